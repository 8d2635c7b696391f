"""Compressed bytes become plain ones, as a stream: every format that repositories and RPM packages come in.

They are input from strangers, so memory is bounded here. How many plain bytes are too many is for callers to say.
"""

import bz2
import functools
import lzma
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from types import MappingProxyType
from typing import BinaryIO, Final, Protocol

import zstandard

# A decoder's window is its memory: `xz -9` needs 65 MiB, `zstd --ultra -22` 128 MiB.
_WINDOW: Final = 128 << 20
_INPUT: Final = 1 << 16
# zstd gives all that a piece of input holds at once, and four bytes can hold 128 KiB: 32 MiB for this much.
_ZSTD_INPUT: Final = 1 << 10
_OUTPUT: Final = 1 << 20

_MAGIC: Final[Mapping[bytes, str]] = MappingProxyType(
    {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
)


class DecompressionError(Exception):
    """The bytes are damaged, cut short, followed by something else, or need too much memory."""


class _Decoder(Protocol):
    """One stream's decoder, as those of bz2 and lzma are."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self._has_more = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._has_more

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        plain = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._has_more = bool(self._zlib.unconsumed_tail) or len(plain) == max_length
        return plain


class _Zstd:
    needs_input = True

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()

    @property
    def eof(self) -> bool:
        return self._zstd.eof

    @property
    def unused_data(self) -> bytes:
        return self._zstd.unused_data

    def decompress(self, data: bytes, _max_length: int, /) -> bytes:
        return self._zstd.decompress(data)


_DECODERS: Final[Mapping[str, Callable[[], _Decoder]]] = MappingProxyType(
    {
        "gzip": _Gzip,
        "bzip2": bz2.BZ2Decompressor,
        "lzma": functools.partial(lzma.LZMADecompressor, format=lzma.FORMAT_ALONE, memlimit=_WINDOW),
        "xz": functools.partial(lzma.LZMADecompressor, format=lzma.FORMAT_XZ, memlimit=_WINDOW),
        "zstd": _Zstd,
    }
)
# By the words of rpm's headers, and one for what is not compressed at all.
FORMATS: Final = frozenset({"none", *_DECODERS})


def format_of(head: bytes) -> str:
    """The format of what begins with `head`, six bytes or more; "none" without a magic number, which lzma lacks."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")


def decompressed(source: BinaryIO, name: str) -> Iterator[bytes]:
    """What `source` holds from where it stands, to its end, in the format `name`: pieces of at most 32 MiB, none empty.

    Several streams in a row are one, as the formats' own tools have it; zeros may lie between and behind them. Raises
    DecompressionError, and OSError when `source` cannot be read.
    """
    if name == "none":
        yield from iter(functools.partial(source.read, _OUTPUT), b"")
        return
    most = _ZSTD_INPUT if name == "zstd" else _INPUT
    data = yield from _stream(_DECODERS[name](), b"", source, most)
    while data := _without_padding(data, source):
        data = yield from _stream(_DECODERS[name](), data, source, most)


def _stream(decoder: _Decoder, data: bytes, source: BinaryIO, most: int) -> Generator[bytes, None, bytes]:
    """One stream, which begins with `data`, read `most` bytes at a time; what lies behind its end is returned."""
    while not decoder.eof:
        if decoder.needs_input and not data and not (data := source.read(most)):
            raise DecompressionError("it ends too soon")
        try:
            plain = decoder.decompress(data, _OUTPUT)
        # bz2 has no error of its own.
        except (OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            raise DecompressionError(str(error)) from error
        data = b""
        if plain:
            yield plain
    return decoder.unused_data


def _without_padding(data: bytes, source: BinaryIO) -> bytes:
    """`data` from its first byte that is not zero, reading on while there is none."""
    rest = data.lstrip(b"\0")
    while not rest and (data := source.read(_ZSTD_INPUT)):
        rest = data.lstrip(b"\0")
    return rest
