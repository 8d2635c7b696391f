"""What all ways to a file have in common: how one is asked for bytes, what it answers, and how it fails.

`http.py` asks servers and `local.py` the disk; `routes.py` knows which of them an address is for.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit, urlunsplit

from rich import filesize

from isobuilder.errors import FetchError, UsageError

VARIABLE: Final = "ISOBUILDER_TIMEOUT"


class BrokenTransferError(Exception):
    """The network or the server failed in a way that may pass; `after` is how many seconds the server asks to wait."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class SlowError(BrokenTransferError):
    """Nothing failed, but another mirror may bring the rest far sooner: `came` bytes came in `seconds`."""

    def __init__(self, came: int, seconds: float) -> None:
        super().__init__(f"slow: {filesize.decimal(came)} came in {seconds:.0f} seconds")


class RefusedError(FetchError):
    """The server's answer is no, and will be; `status` is HTTP's."""

    def __init__(self, message: str, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


@dataclass(frozen=True)
class Patience:
    """How long to wait: seconds for a connection and for a byte, attempts at one file, seconds before the second
    and at most.

    A transfer that brings fewer than `slow_bytes` in `silence` seconds has stalled, however steadily it drips. One that
    brings fewer than `slow_rate` bytes a second, for `look` seconds, goes on at another mirror where there is a better
    one. `budget` is for all transfers: one that breaks takes one of it, one that comes puts one back, and what breaks
    when it is empty is not repeated.
    """

    connect: float = 10.0
    silence: float = 30.0
    slow_bytes: int = 30 << 10
    look: float = 10.0
    slow_rate: int = 64 << 10
    budget: int = 100
    attempts: int = 5
    first_pause: float = 1.0
    longest_pause: float = 8.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row: 1, 2, 4, 8, 8..."""
        return min(self.first_pause * 2.0 ** (failures - 1), self.longest_pause)


def patience(environ: Mapping[str, str]) -> Patience:
    """The usual patience, or that of somebody who says in ISOBUILDER_TIMEOUT how many seconds a server may be silent.

    All else goes by that. Raises UsageError.
    """
    text = environ.get(VARIABLE)
    if not text:
        return Patience()
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= (seconds := int(text)) <= 3600:
        raise UsageError(f"{VARIABLE}: {text[:20]!r} is not a number of seconds from 1 to 3600")
    usual = Patience()
    share = seconds / usual.silence
    return Patience(
        connect=max(1.0, usual.connect * share),
        silence=float(seconds),
        slow_bytes=int(usual.slow_bytes * share),
        look=usual.look * share,
        first_pause=usual.first_pause * min(share, 1.0),
        longest_pause=usual.longest_pause * min(share, 1.0),
    )


@dataclass(frozen=True)
class Reply:
    """An answer of 200, 206 or 416. `start` is the offset of its first byte in the file, `total` the file's size.

    Either is None when the server does not say.
    """

    status: int
    start: int | None
    total: int | None
    encoding: str
    chunks: Iterator[bytes]


class Transfers(Protocol):
    """Asks for files by their addresses. What it holds open is closed by `close`."""

    def get(self, url: str, start: int = 0) -> AbstractContextManager[Reply]:
        """Ask for `url` from the byte `start` on; all of it may come nevertheless.

        Raises BrokenTransferError, RefusedError (a FetchError) or HostError, then or while the bytes come.
        """
        ...

    def size(self, url: str) -> int | None:
        """How many bytes the file has, or None where nobody says. Raises as `get`."""
        ...

    def close(self) -> None: ...


def shown(url: str) -> str:
    """`url` for people: without the user name and password that it may carry."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(an address that cannot be read)"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
