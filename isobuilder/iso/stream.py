"""The one pass over the bytes of a medium: each is read once, written once, and summed on the way.

Who reads fills buffers and checks what it reads; a second thread writes them out, and a third feeds the media checksum,
which is the slowest part of the pass. This module knows neither ISO 9660 nor what the files are.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from io import FileIO
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from isobuilder.errors import HostError
from isobuilder.iso.mediasum import MediaSum
from isobuilder.tree import Cached

_BUFFER = 1 << 20
_BUFFERS = 16
# For who sums while others work: after each piece a thread waits up to 5 ms for its turn, as Python shares turns out.
_LARGE = 4 << 20

Advance = Callable[[int], None]
# A buffer, and how much of it is filled; at the end nothing.
_Queue = SimpleQueue[tuple[bytearray, int]]
_END = (bytearray(), 0)


class Stream:
    """Bytes in their order into an open file and into the media checksum; a context, complete when it is left.

    At most 16 MiB are under way. Errors of the file come out as OSError.
    """

    def __init__(self, descriptor: int, media: MediaSum, advance: Advance) -> None:
        self._descriptor = descriptor
        self._advance = advance
        filled, written, self._free = _Queue(), _Queue(), _Queue()
        self._filled_buffers = filled
        self._steps = (_Step(self._write, filled, written), _Step(media.update, written, self._free))
        self._buffers = 1
        self._buffer = bytearray(_BUFFER)
        self._filled = 0
        self._offset = 0

    def __enter__(self) -> Self:
        for step in self._steps:
            step.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._hand_on()
        else:
            for step in self._steps:
                step.call_off()
        self._filled_buffers.put(_END)
        for step in self._steps:
            step.join()
        if kind is None:
            self._raise_errors()

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
            self._hand_on()
            self._buffer = self._next_buffer()
            self._filled = 0

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

    def _hand_on(self) -> None:
        self._filled_buffers.put((self._buffer, self._filled))
        self._advance(self._filled)

    def _next_buffer(self) -> bytearray:
        if self._buffers < _BUFFERS and self._free.empty():
            self._buffers += 1
            return bytearray(_BUFFER)
        buffer, _ = self._free.get()
        self._raise_errors()
        return buffer

    def _raise_errors(self) -> None:
        for step in self._steps:
            if step.error:
                raise step.error

    def _write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]


class _Step(threading.Thread):
    """Does its `work` on one buffer after the other, and hands each on; after an error it only hands on."""

    def __init__(self, work: Callable[[memoryview], None], source: _Queue, target: _Queue) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._work = work
        self._source = source
        self._target = target
        self._is_off = False

    def call_off(self) -> None:
        """From now on, do nothing with what comes."""
        self._is_off = True

    def run(self) -> None:
        while (item := self._source.get()) is not _END:
            buffer, filled = item
            try:
                if not self._is_off:
                    self._work(memoryview(buffer)[:filled])
            except BaseException as error:  # noqa: BLE001 - raised again by who fills buffers
                self.error, self._is_off = error, True
            self._target.put(item)
        self._target.put(_END)


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


def sha256_of(descriptor: int, advance: Advance, is_over: threading.Event) -> str:
    """The sha256 of an open file from its start to its end, as hexadecimal digits; of less once it `is_over`."""
    digest = hashlib.sha256()
    buffer = bytearray(_LARGE)
    offset = 0
    while not is_over.is_set() and (count := os.preadv(descriptor, [buffer], offset)):
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
