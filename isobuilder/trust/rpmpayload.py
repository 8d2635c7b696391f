"""One file out of an RPM package's payload (a compressed cpio archive), read as a stream within bounds.

It checks no signature: the package has been verified before anybody asks for what is in it.
"""

import bz2
import gzip
import lzma
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final

import zstandard

from isobuilder.errors import HostError, MediumError, TrustError
from isobuilder.trust.rpmheader import PAYLOAD_COMPRESSOR, read_head

# Members are read past, not kept; no package that boot code is taken from unpacks to more.
_MAX_UNPACKED: Final = 1 << 30
_MAX_NAME: Final = 4096
# zstd -19, which Fedora and CentOS use, needs 8 MiB.
_MAX_ZSTD_WINDOW: Final = 128 << 20
_CHUNK: Final = 1 << 20

_MAGIC: Final = {b"070701", b"070702"}
_TRAILER: Final = "TRAILER!!!"


@dataclass(frozen=True)
class _Entry:
    name: str
    mode: int
    links: int
    size: int


class _Archive:
    """A newc cpio archive, read forward only; a bound on all that comes out of the decompressor."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
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
        parts = []
        while count:
            part = self._stream.read(min(count, _CHUNK))
            if not part:
                raise TrustError("the payload is cut short")
            self._at += len(part)
            if self._at > self._limit:
                raise TrustError(f"the payload unpacks to more than {self._limit} bytes")
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
        with path.open("rb") as file:
            head = read_head(file)
            decompressor = _decompressor(head.header.text(PAYLOAD_COMPRESSOR) or "none")
            file.seek(head.payload_at)
            with decompressor(file) as stream:
                yield _Archive(stream, limit)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
        raise TrustError(f"{path}: the payload does not unpack: {error}") from error
    except TrustError as error:
        raise TrustError(f"{path}: {error.message}", details=error.details, hint=error.hint) from error
    except OSError as error:
        # bz2 has no error of its own: what it dislikes is an OSError without a number.
        if error.errno is None:
            raise TrustError(f"{path}: the payload does not unpack: {error}") from error
        raise HostError(f"{path}: cannot be read: {error.strerror}") from error


def _decompressor(name: str) -> Callable[[BinaryIO], IO[bytes]]:
    if name not in _DECOMPRESSORS:
        raise TrustError(f"the payload is compressed with {name!r}, which is not known")
    return _DECOMPRESSORS[name]


def _gzip(file: BinaryIO) -> IO[bytes]:
    return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]


def _bzip2(file: BinaryIO) -> IO[bytes]:
    return bz2.BZ2File(file)


def _lzma(file: BinaryIO) -> IO[bytes]:
    return lzma.LZMAFile(file)


def _zstd(file: BinaryIO) -> IO[bytes]:
    return zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW).stream_reader(file, read_across_frames=True)


# By the words of rpm's header; rpmbuild leaves the word out when it compresses nothing (payload w.ufdio).
_DECOMPRESSORS: Final[Mapping[str, Callable[[BinaryIO], IO[bytes]]]] = {
    "none": lambda file: file,
    "gzip": _gzip,
    "bzip2": _bzip2,
    "lzma": _lzma,
    "xz": _lzma,
    "zstd": _zstd,
}
