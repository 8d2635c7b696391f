"""An RPM package's payload, a compressed cpio archive: one file out of it, read as a stream within bounds; its size.

It checks no signature: the package has been verified before anybody asks for what is in it.
"""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from isobuilder.decompress import FORMATS, DecompressionError, decompressed
from isobuilder.errors import MediumError, TrustError
from isobuilder.hosterrors import host_errors
from isobuilder.trust.rpmheader import (
    BASE_NAMES,
    DIRECTORY_INDEXES,
    DIRECTORY_NAMES,
    FILE_FLAGS,
    FILE_INODES,
    FILE_MODES,
    FILE_SIZES,
    INSTALLED_SIZE,
    LONG_FILE_SIZES,
    PAYLOAD_COMPRESSOR,
    Header,
    PackageHead,
    read_head,
)

# Members are read past, not kept; no package that boot code is taken from unpacks to more.
_MAX_UNPACKED: Final = 1 << 30
_MAX_NAME: Final = 4096
_CHUNK: Final = 1 << 20

_MAGIC: Final = {b"070701", b"070702"}
_TRAILER: Final = "TRAILER!!!"
_TRAILER_SIZE: Final = 124
_GHOST: Final = 1 << 6


@dataclass(frozen=True)
class _Entry:
    name: str
    mode: int
    links: int
    size: int


class _Archive:
    """A newc cpio archive that comes in pieces, read forward only; a bound on all that is read."""

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._limit = limit
        self._at = 0

    def entries(self) -> Iterator[_Entry]:
        """Each entry; its data, `entry.size` bytes, is to be taken with `read` before the next is asked for."""
        while True:
            head = self.read(110)
            if head[:6] not in _MAGIC:
                raise TrustError("the payload is not a cpio archive of the new format")
            fields = [self._number(head[at : at + 8]) for at in range(6, 110, 8)]
            mode, links, size, name_size = fields[1], fields[4], fields[6], fields[11]
            if not 0 < name_size <= _MAX_NAME:
                raise TrustError("the payload has a name of unreasonable length")
            name = self.read(name_size).rstrip(b"\0").decode(errors="replace")
            self.align()
            if name == _TRAILER:
                return
            yield _Entry(name, mode, links, size)

    def read(self, count: int) -> bytes:
        if self._at + count > self._limit:
            raise TrustError(f"the payload unpacks to more than {self._limit} bytes")
        self._at += count
        parts = []
        while count:
            if not self._piece:
                self._piece = memoryview(next(self._pieces, b""))
            part, self._piece = self._piece[:count], self._piece[count:]
            if not part:
                raise TrustError("the payload is cut short")
            count -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        while count:
            count -= len(self.read(min(count, _CHUNK)))
        self.align()

    def align(self) -> None:
        self.read(-self._at % 4)

    @staticmethod
    def _number(digits: bytes) -> int:
        try:
            return int.from_bytes(bytes.fromhex(digits.decode("ascii")), "big")
        except ValueError as error:
            raise TrustError("the payload's cpio archive is damaged") from error


def read_member(path: Path, member: str, *, limit: int, unpacked_limit: int = _MAX_UNPACKED) -> bytes:
    """The bytes of the regular file `member` ("/usr/share/syslinux/isohdpfx.bin") in the package at `path`.

    Raises MediumError when there is no such regular file or it has more than `limit` bytes, TrustError when the
    payload cannot be understood or unpacks to more than `unpacked_limit` bytes before the file has come, HostError when
    the package cannot be read.
    """
    wanted = member.lstrip("/")
    with _payload(path, unpacked_limit) as archive:
        for entry in archive.entries():
            if entry.name.removeprefix(".").lstrip("/") != wanted:
                archive.skip(entry.size)
                continue
            # Of a file with several names, only the last in the archive has the bytes.
            if not stat.S_ISREG(entry.mode) or (entry.links > 1 and not entry.size):
                raise MediumError(f"{path}: {member} is not a regular file of its own")
            if entry.size > limit:
                raise MediumError(f"{path}: {member} has {entry.size} bytes; at most {limit} were expected")
            return archive.read(entry.size)
    raise MediumError(f"{path}: the package has no file {member}")


@contextmanager
def _payload(path: Path, limit: int) -> Iterator[_Archive]:
    try:
        with host_errors(path), path.open("rb") as file:
            head = read_head(file)
            file.seek(head.payload_at)
            yield _Archive(decompressed(file, _format(head)), limit)
    except DecompressionError as error:
        raise TrustError(f"{path}: the payload does not unpack: {error}") from error
    except TrustError as error:
        raise TrustError(f"{path}: {error.message}", details=error.details, hint=error.hint) from error


def _format(head: PackageHead) -> str:
    # rpmbuild leaves the word out when it compresses nothing (payload w.ufdio).
    name = head.header.text(PAYLOAD_COMPRESSOR) or "none"
    if name not in FORMATS:
        raise TrustError(f"the payload is compressed with {name!r}, which is not known")
    return name


def check_archive_size(file: BinaryIO, head: PackageHead, promised: int) -> None:
    """Check what is said of the unpacked payload's size, without unpacking it where the header says the same.

    Raises TrustError when it is another. Known to be wrong are rpm 4.11.90, which left the trailer out, and tools that
    say how much is installed instead.
    """
    size = _archive_size(head.header)
    if promised in {size, (size or 0) - _TRAILER_SIZE, head.header.integer(INSTALLED_SIZE)}:
        return
    size = 0
    try:
        file.seek(head.payload_at)
        for piece in decompressed(file, _format(head)):
            size += len(piece)
            if size > promised:
                break
    except DecompressionError as error:
        raise TrustError(f"the payload does not unpack: {error}") from error
    if size != promised:
        raise TrustError(f"the payload does not unpack to {promised} bytes, as the package says")


def _archive_size(header: Header) -> int | None:
    """The size of the archive that has just the header's files, as rpm writes it; None where that is not clear."""
    large = header.integers(LONG_FILE_SIZES)
    sizes = large or header.integers(FILE_SIZES)
    directories, folders = header.texts(DIRECTORY_NAMES), header.integers(DIRECTORY_INDEXES)
    columns = (header.integers(FILE_MODES), header.integers(FILE_FLAGS), header.integers(FILE_INODES))
    names = header.texts(BASE_NAMES)
    if {len(sizes), len(folders), *map(len, columns)} != {len(names)} or max(folders, default=-1) >= len(directories):
        return None
    total = _TRAILER_SIZE
    last_names: dict[int, int] = {}
    for name, folder, size, mode, flags, inode in zip(names, folders, sizes, *columns, strict=True):
        if flags & _GHOST:
            continue
        # With a file too large for cpio, rpm leaves names and sizes out of the archive.
        entry = 14 if large else 110 + len(f".{directories[folder]}{name}".encode()) + 1
        total += _aligned(entry)
        if stat.S_ISREG(mode):
            # Of a file with several names, only the last in the archive has the bytes.
            last_names[inode] = _aligned(size)
        elif stat.S_ISLNK(mode):
            total += _aligned(size)
    return total + sum(last_names.values())


def _aligned(size: int) -> int:
    return size + -size % 4
