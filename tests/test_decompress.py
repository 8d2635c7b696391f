"""Every format, whole and damaged; the formats' own tools are asked what they make of it."""

import errno
import io
import lzma
import random
import subprocess
from collections.abc import Mapping

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from isobuilder.decompress import FORMATS, DecompressionError, decompressed, format_of

TOOLS: Mapping[str, list[str]] = {
    "gzip": ["gzip"],
    "bzip2": ["bzip2"],
    "lzma": ["xz", "--format=lzma"],
    "xz": ["xz"],
    "zstd": ["zstd"],
}
TEXT = b"some text " * 10_000
NOISE = random.Random(1).randbytes(300_000)


def tool(name: str, data: bytes, *options: str) -> bytes:
    command = [*TOOLS[name], "--stdout", *options]
    return subprocess.run(command, input=data, check=True, capture_output=True, timeout=60).stdout


def plain(packed: bytes, name: str) -> bytes:
    return b"".join(decompressed(io.BytesIO(packed), name))


def test_every_format_is_tested() -> None:
    assert {"none", *TOOLS} == FORMATS


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("data", [b"", TEXT, NOISE], ids=["empty", "text", "noise"])
def test_what_the_tools_pack_is_unpacked(name: str, data: bytes) -> None:
    packed = tool(name, data)
    assert plain(packed, name) == data
    assert format_of(packed) == ("none" if name == "lzma" else name)


def test_what_is_not_packed_stays() -> None:
    assert plain(NOISE * 9, "none") == NOISE * 9
    assert format_of(b"") == format_of(b"<?xml ") == "none"


def test_it_begins_where_the_source_stands() -> None:
    source = io.BytesIO(b"lead" + tool("xz", TEXT))
    source.seek(4)
    assert b"".join(decompressed(source, "xz")) == TEXT


@pytest.mark.parametrize("name", TOOLS.keys() - {"lzma"})
def test_several_streams_are_one(name: str) -> None:
    packed = tool(name, TEXT) + tool(name, b"") + tool(name, NOISE)
    assert plain(packed, name) == TEXT + NOISE == tool(name, packed, "--decompress")


@pytest.mark.parametrize("name", TOOLS)
def test_zeros_behind_the_end_are_padding(name: str) -> None:
    # More than is read at once; of xz, the format allows multiples of four bytes.
    assert plain(tool(name, TEXT) + bytes(4096), name) == TEXT


@pytest.mark.parametrize("name", TOOLS.keys() - {"lzma"})
def test_streams_with_zeros_between_them(name: str) -> None:
    assert plain(tool(name, TEXT) + bytes(4096) + tool(name, NOISE), name) == TEXT + NOISE


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("behind", [b"garbage that is no stream of anything", b"\0\0\0\0\xffgarbage"])
def test_anything_else_behind_the_end_is_refused(name: str, behind: bytes) -> None:
    with pytest.raises(DecompressionError):
        plain(tool(name, TEXT) + behind, name)


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("data", [TEXT, NOISE], ids=["text", "noise"])
def test_a_stream_that_is_cut_short_is_refused(name: str, data: bytes) -> None:
    packed = tool(name, data)
    for end in (0, 1, 5, len(packed) // 2, len(packed) - 1):
        with pytest.raises(DecompressionError):
            plain(packed[:end], name)


@settings(max_examples=300)
@given(data=st.data(), name=st.sampled_from(sorted(TOOLS)))
def test_nothing_but_our_error_comes_of_damage(packed: Mapping[str, bytes], data: st.DataObject, name: str) -> None:
    good = packed[name]
    at = data.draw(st.integers(0, len(good)))
    bad = good[:at] + data.draw(st.binary(max_size=32)) + good[data.draw(st.integers(at, len(good))) :]
    try:
        found = plain(bad, name)
    except DecompressionError:
        return
    # Every format but lzma has a checksum of what it holds; the tool's gzip has a time in its header, which has none.
    assert name == "lzma" or found in {TEXT, b""}


@pytest.fixture(scope="module")
def packed() -> dict[str, bytes]:
    return {name: tool(name, TEXT) for name in TOOLS}


def zstd_bomb(blocks: int) -> bytes:
    """A frame as of RFC 8878, each of its blocks four bytes that say "128 KiB of zeros"."""
    block = (1 << 1 | 131072 << 3).to_bytes(3, "little") + b"\0"
    last = (1 | 1 << 1 | 131072 << 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * (blocks - 1) + last


@pytest.mark.parametrize("name", TOOLS)
def test_a_bomb_comes_in_pieces(name: str) -> None:
    size = 100 << 20
    bomb = zstd_bomb(800) if name == "zstd" else tool(name, bytes(1 << 20)) * 100
    if name in {"xz", "lzma", "gzip"}:
        bomb = tool(name, bytes(size))
    pieces = [len(piece) for piece in decompressed(io.BytesIO(bomb), name)]
    assert sum(pieces) == size
    assert max(pieces) <= 32 << 20
    assert min(pieces) > 0


@pytest.mark.parametrize("name", ["xz", "lzma"])
def test_a_window_that_takes_too_much_memory_is_refused(name: str) -> None:
    container = {"xz": lzma.FORMAT_XZ, "lzma": lzma.FORMAT_ALONE}[name]
    kind = {"xz": lzma.FILTER_LZMA2, "lzma": lzma.FILTER_LZMA1}[name]
    filters = [{"id": kind, "preset": 0, "dict_size": 256 << 20}]
    with pytest.raises(DecompressionError):
        plain(lzma.compress(b"x", format=container, filters=filters), name)


def test_a_window_of_zstd_that_takes_too_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, strategy=1)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(DecompressionError):
        plain(writer.compress(b"x") + writer.flush(), "zstd")


@pytest.mark.parametrize(("name", "options"), [("xz", ["-9"]), ("lzma", ["-9"]), ("zstd", ["--ultra", "-22"])])
def test_the_tools_largest_windows_are_taken(name: str, options: list[str]) -> None:
    assert plain(tool(name, TEXT, *options), name) == TEXT


class Unreadable(io.BytesIO):
    def read(self, _size: int | None = -1, /) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_source_that_cannot_be_read_is_not_called_damaged(name: str) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        list(decompressed(Unreadable(), name))
