"""The log: what happened and when, for who looks later. No secret comes into it: what is hidden once stays hidden."""

import time
from typing import Set

from .effects import Effects

PATH = "/var/log/cloud-setup.log"
_HIDDEN = "***"


class Log:
    """Adds lines to the log, which only root may read."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._secrets: Set[str] = set()

    def hide(self, secret: str) -> None:
        """Never show this text again."""
        if secret:
            self._secrets.add(secret)

    def clean(self, text: str) -> str:
        """The text without secrets, whoever said them."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return text

    def say(self, text: str) -> None:
        """A line, or some, with the time in front of each."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._effects.now()))
        lines = [f"{stamp} {line}\n" for line in self.clean(text).splitlines()]
        try:
            self._effects.append(PATH, "".join(lines).encode("utf-8", "backslashreplace"))
        except OSError:
            # A full disk must not stop a roll-back.
            pass
