"""One file on its way into its part file, from wherever its bytes come."""

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from isobuilder.errors import TrustError
from isobuilder.fetch.cache import cache_errors
from isobuilder.fetch.failover import Place
from isobuilder.fetch.standing import Pace
from isobuilder.fetch.transfer import BrokenTransferError, Transfers, shown

Advance = Callable[[int], None]

_CHUNK: Final = 1 << 20
# What a part file had before we came: from whom, nobody knows.
_UNKNOWN: Final = ""


@dataclass(frozen=True)
class Wanted:
    """A file to bring from `place`: `sha256` in lower-case hex, `size` in bytes."""

    place: Place
    sha256: str
    size: int


class StoppedError(Exception):
    """The work was called off; nobody listens to this."""


class Download:
    """Where a file stands: how far it ever came, the hash so far, and who sent what there is of it."""

    def __init__(self, file: Wanted, part: FileIO, advance: Advance, stop: threading.Event) -> None:
        self._file = file
        self._part = part
        self._advance = advance
        self._stop = stop
        self.furthest = 0
        self._hasher = hashlib.sha256()
        self._position = 0
        self._senders: set[str] = set()
        self._may_mix = True

    @property
    def is_right(self) -> bool:
        return self._position == self._file.size and self._hasher.hexdigest() == self._file.sha256

    def resume(self) -> None:
        """Take up what an earlier attempt left in the part file."""
        with self._host_errors():
            if os.fstat(self._part.fileno()).st_size > self._file.size:
                self._part.truncate(0)
            while chunk := self._part.read(_CHUNK):
                check_stop(self._stop)
                self._count(chunk, _UNKNOWN)

    def restart(self) -> None:
        """Throw away what has come. What progress was told stays told: it goes on where this is overtaken."""
        with self._host_errors():
            self._part.seek(0)
            self._part.truncate(0)
        self._hasher = hashlib.sha256()
        self._position = 0
        self._senders = set()

    def attempt(self, transfers: Transfers, url: str, pace: Pace) -> None:
        """Fetch what is missing from `url`, tell `pace` as it comes, and look whether it is the file.

        A file that several have sent, and that is wrong, is fetched from one alone: then it is known whose it is.
        Raises BrokenTransferError when there is reason to call again, and TrustError when what `url` has is wrong.
        """
        if not self._may_mix and self._senders - {url}:
            self.restart()
        try:
            self._fetch(transfers, url, pace)
            if not self.is_right and self._senders != {url}:
                self._may_mix = False
                self.restart()
                self._fetch(transfers, url, pace)
            if not self.is_right:
                raise self._wrong(url, f"has the sha256 {self._hasher.hexdigest()}")
        except TrustError:
            self.restart()
            raise

    def _fetch(self, transfers: Transfers, url: str, pace: Pace) -> None:
        size = self._file.size
        if self._position == size:
            return
        with transfers.get(url, self._position) as reply:
            if reply.status == 416 or reply.start not in {0, self._position}:
                self.restart()
                raise BrokenTransferError("the server does not continue where the transfer broke")
            if reply.total not in {None, size}:
                raise self._wrong(url, f"has {reply.total} bytes")
            if reply.start != self._position:
                self.restart()
            for chunk in reply.chunks:
                check_stop(self._stop)
                if self._position + len(chunk) > size:
                    raise self._wrong(url, f"has more than {size} bytes")
                self._write(chunk, url)
                if self._may_mix and self._position < size:
                    pace(len(chunk))
        if self._position < size:
            raise BrokenTransferError(f"ended after {self._position} of {size} bytes")

    def _write(self, chunk: bytes, sender: str) -> None:
        with self._host_errors():
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._part.write(rest) :]
        self._count(chunk, sender)

    def _count(self, chunk: bytes, sender: str) -> None:
        self._hasher.update(chunk)
        self._senders.add(sender)
        self._position += len(chunk)
        if self._position > self.furthest:
            self._advance(self._position - self.furthest)
            self.furthest = self._position

    def _wrong(self, url: str, found: str) -> TrustError:
        return TrustError(
            f"{shown(url)}: {found}; promised were {self._file.size} bytes of sha256 {self._file.sha256}",
            hint="The mirror changed since the lock was made (isobuilder lock --update), or it is not to be trusted.",
        )

    def _host_errors(self) -> AbstractContextManager[None]:
        return cache_errors(Path(os.fsdecode(self._part.name)))


def check_stop(stop: threading.Event) -> None:
    """Raises StoppedError once the work was called off."""
    if stop.is_set():
        raise StoppedError
