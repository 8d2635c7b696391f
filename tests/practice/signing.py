"""A throw-away OpenPGP key, and what it signs. The secret half never leaves a folder that is removed at once."""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.practice.host import run

_BATCH = """\
%no-protection
Key-Type: RSA
Key-Length: 2048
Key-Usage: sign
Name-Real: isobuilder practice mirror
Name-Comment: throw-away key
Expire-Date: 0
%commit
"""


@dataclass(frozen=True)
class Signer:
    """Somebody who can sign. `fingerprint` is 40 hexadecimal digits, `public_key` armored text."""

    home: Path
    fingerprint: str
    public_key: str

    def sign_rpms(self, rpms: Iterable[Path]) -> None:
        """Add a signature to the header of each RPM, in place."""
        # rpmsign looks for gpg in the working folder, not on the PATH.
        defines = ("--define", f"__gpg {shutil.which('gpg')}", "--define", f"_gpg_name {self.fingerprint}")
        run(["rpmsign", "--addsign", *defines, *rpms], env=self._env)

    def sign_detached(self, path: Path) -> None:
        """Write an armored signature of the file at `path` beside it, as .asc."""
        run(["gpg", "--batch", "--yes", "--armor", "--detach-sign", path], env=self._env)

    @property
    def _env(self) -> dict[str, str]:
        return {"GNUPGHOME": str(self.home)}


@contextmanager
def new_signer() -> Iterator[Signer]:
    """Somebody with a new key, for as long as the context lasts."""
    # Not in the cache: the path of gpg-agent's socket, which lies in here, may be 107 characters long.
    with tempfile.TemporaryDirectory(prefix="practice-key-") as folder:
        env = {"GNUPGHOME": folder}
        try:
            run(["gpg", "--batch", "--quiet", "--generate-key"], env=env, stdin=_BATCH)
            listing = run(["gpg", "--batch", "--with-colons", "--list-secret-keys"], env=env)
            [fingerprint] = re.findall(r"^fpr:+([0-9A-F]{40}):", listing, re.MULTILINE)
            public_key = run(["gpg", "--batch", "--armor", "--export", fingerprint], env=env)
            yield Signer(Path(folder), fingerprint, public_key)
        finally:
            run(["gpgconf", "--kill", "all"], env=env)
