"""A kickstart read back as the installer of its release will read it.

What a medium must hold is taken from what pykickstart understood, never from a list of ours. What it said of a text is
kept, since it takes its time; a text that it refuses is read each time, and no text is kept.
"""

import functools
import hashlib
from dataclasses import dataclass
from importlib import metadata
from typing import Final

from pydantic import TypeAdapter

from isobuilder import __version__
from isobuilder.errors import KickstartError
from isobuilder.kept import Kept, key_of
from isobuilder.kickstart.request import PackageRequest
from isobuilder.releases import KickstartFacts

# Counted up when readings are kept in another form; the version of isobuilder tells of what is looked for.
_FORMAT: Final = 1
# The number of a line, if known, and what is wrong there.
Mistake = tuple[int | None, str]


@dataclass(frozen=True)
class Reading:
    """A kickstart as the installer of a release understands it; `network` are its sources besides the medium.

    `refused` are lines that it would stop at, `unsafe` what should not be on a medium all the same: each the number of
    the line, if known, and why. `warnings` is what it complains about and takes; `notes` is what should be known.
    """

    request: PackageRequest
    refused: tuple[Mistake, ...]
    unsafe: tuple[Mistake, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    network: tuple[str, ...]


# Roles and media have texts in common. The proof of an image asks without `kept`: it reads what is on it.
@functools.lru_cache(maxsize=64)
def examine(text: str, facts: KickstartFacts, kept: Kept | None = None) -> Reading:
    """Read a kickstart as the installer of the release whose `facts` these are, or as it was read before.

    Raises KickstartError for a syntax that pykickstart does not know.
    """
    key = key_of(_said_by(), _digest(text), facts.model_dump(mode="json"))
    if kept and (said := kept.facts(key)):
        return _reading().validate_python(said)
    from isobuilder.kickstart.pykickstarts import read

    reading = read(text, facts)
    if kept and not (reading.refused or reading.unsafe):
        kept.keep_facts(key, _reading().dump_python(reading, mode="json"))
    return reading


class Acceptance:
    """What the installer of one syntax takes: asked of pykickstart, or kept from when that was asked."""

    def __init__(self, syntax: str, kept: Kept | None) -> None:
        self._syntax = syntax
        self._kept = kept
        self._key = key_of(_said_by(), "accepts", syntax)
        self._known: dict[str, bool] = dict(kept.facts(self._key)) if kept else {}

    def accepts(self, line: str) -> bool:
        """Whether the installer takes `line` as a command, deprecated or not.

        Templates ask this instead of which release they are for: `accepts("sshkey --username=root key")`.
        """
        # A line may hold a password.
        digest = _digest(line)
        if digest not in self._known:
            from isobuilder.kickstart.pykickstarts import takes

            self._known[digest] = takes(line, self._syntax)
            if self._kept:
                self._kept.keep_facts(self._key, self._known)
        return self._known[digest]


@functools.lru_cache(maxsize=16)
def acceptance(syntax: str, kept: Kept | None) -> Acceptance:
    """What the installer of a syntax takes; the same for all that ask."""
    return Acceptance(syntax, kept)


@functools.cache
def _said_by() -> tuple[object, ...]:
    return "kickstart", _FORMAT, __version__, metadata.version("pykickstart")


@functools.cache
def _reading() -> TypeAdapter[Reading]:
    return TypeAdapter(Reading)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def read_back(
    text: str, facts: KickstartFacts, *, where: str, kept: Kept | None = None
) -> tuple[PackageRequest, tuple[str, ...]]:
    """What the installer of the release whose `facts` these are understands of a kickstart, and notes on it.

    Raises KickstartError with every command that it would refuse and all that the lint finds; a malformed section ends
    the reading.
    """
    reading = examine(text, facts, kept)
    if mistakes := [*reading.refused, *reading.unsafe]:
        details = [f"{place(text, number, where)}: {' '.join(message.split())}" for number, message in mistakes]
        raise KickstartError(f"{where}: it cannot be used as it is ({facts.syntax})", details=details)
    return reading.request, tuple(f"{where}: {note}" for note in (*reading.warnings, *reading.notes))


def place(text: str, number: int | None, where: str) -> str:
    """The line of that number for a message, with its first word alone: the rest may hold a password."""
    lines = text.splitlines()
    words = lines[number - 1].split() if number and number <= len(lines) else []
    shown = f"{words[0]} ..." if len(words) > 1 else "".join(words)
    return f"{where}, line {number}: {shown}" if shown else where
