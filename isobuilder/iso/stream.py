"""The one pass over the bytes of a medium: each is read once, written once, and summed on the way.

The reader fills buffers, checks what it reads and writes them out; a second thread feeds the media checksum, which is
the slowest part of the pass. This module knows neither ISO 9660 nor what the files are.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from types import TracebackType
from typing import Self

from isobuilder.errors import HostError
from isobuilder.iso.mediasum import MediaSum
from isobuilder.tree import Cached

_BUFFER = 1 << 20
_BUFFERS = 16

Advance = Callable[[int], None]


class Stream:
    """Bytes in their order into an open file and into the media checksum; a context, complete when it is left.

    At most 16 MiB wait for the checksum. Errors of the file come out as OSError.
    """

    def __init__(self, descriptor: int, media: MediaSum, advance: Advance) -> None:
        self._descriptor = descriptor
        self._media = media
        self._advance = advance
        self._worker = ThreadPoolExecutor(1, "media-sum")
        self._waiting: deque[tuple[Future[None], bytearray]] = deque()
        self._buffer = bytearray(_BUFFER)
        self._filled = 0
        self._offset = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write_out()
                while self._waiting:
                    self._waiting.popleft()[0].result()
        finally:
            self._worker.shutdown(cancel_futures=True)

    @property
    def offset(self) -> int:
        """How many bytes have come so far."""
        return self._offset

    def room(self) -> memoryview:
        """Where the next bytes go; never empty. `accept` says how many were put there."""
        return memoryview(self._buffer)[self._filled :]

    def accept(self, count: int) -> None:
        self._filled += count
        self._offset += count
        if self._filled == len(self._buffer):
            self._write_out()

    def put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            room = self.room()
            piece = rest[: len(room)]
            room[: len(piece)] = piece
            self.accept(len(piece))
            rest = rest[len(piece) :]

    def zeros_to(self, offset: int) -> None:
        """Nothing but zeros up to `offset`, which must not lie behind."""
        while self._offset < offset:
            self.put(bytes(min(offset - self._offset, _BUFFER)))

    def _write_out(self) -> None:
        data = memoryview(self._buffer)[: self._filled]
        rest = data
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._waiting.append((self._worker.submit(self._media.update, data), self._buffer))
        self._advance(len(data))
        self._buffer = self._next_buffer()
        self._filled = 0

    def _next_buffer(self) -> bytearray:
        if len(self._waiting) < _BUFFERS:
            return bytearray(_BUFFER)
        done, buffer = self._waiting.popleft()
        done.result()
        return buffer


def copy_cached(content: Cached, stream: Stream) -> str:
    """Put a cached file into the stream; returns what is wrong with it, or nothing when it is what was promised.

    The stream gets `content.size` bytes either way, so that a damaged file does not hide the next one. HostError when
    the file cannot be read.
    """
    end = stream.offset + content.size
    digest = hashlib.sha256()
    with _opened(content) as source:
        while stream.offset < end:
            room = stream.room()[: end - stream.offset]
            count = _read_into(room, source, content)
            if not count:
                break
            digest.update(room[:count])
            stream.accept(count)
        size = os.fstat(source.fileno()).st_size
    stream.zeros_to(end)
    return _difference(content, size, digest.hexdigest())


def read_cached(content: Cached) -> tuple[bytes, str]:
    """A small cached file as a whole, `content.size` bytes of it, and what is wrong with it, as `copy_cached` says."""
    data = bytearray(content.size)
    done = 0
    with _opened(content) as source:
        while count := _read_into(memoryview(data)[done:], source, content):
            done += count
        size = os.fstat(source.fileno()).st_size
    return bytes(data), _difference(content, size, hashlib.sha256(data).hexdigest())


def sha256_of(descriptor: int, advance: Advance) -> str:
    """The sha256 of an open file from its start to its end, as hexadecimal digits."""
    digest = hashlib.sha256()
    buffer = bytearray(_BUFFER)
    offset = 0
    while count := os.preadv(descriptor, [buffer], offset):
        digest.update(memoryview(buffer)[:count])
        offset += count
        advance(count)
    return digest.hexdigest()


def _opened(content: Cached) -> FileIO:
    try:
        return content.path.open("rb", buffering=0)
    except OSError as error:
        raise _unreadable(content, error) from error


def _read_into(room: memoryview, source: FileIO, content: Cached) -> int:
    """Only reading stands in the `try`: an error of the output must not be taken for one of the cache."""
    try:
        return source.readinto(room) or 0
    except OSError as error:
        raise _unreadable(content, error) from error


def _unreadable(content: Cached, error: OSError) -> HostError:
    return HostError(
        f"a fetched file cannot be read: {content.path}: {error.strerror}",
        hint="Run the build again: what is missing in the cache is fetched again.",
    )


def _difference(content: Cached, size: int, sha256: str) -> str:
    if size != content.size:
        return f"{content.path} has {size} bytes, not {content.size}"
    if sha256 != content.sha256:
        return f"{content.path} has the sha256 {sha256}, not {content.sha256}"
    return ""
