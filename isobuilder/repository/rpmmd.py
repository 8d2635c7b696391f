"""How the files of a package repository (rpm-md) are opened: bounded, without entities, never outside the repository.

All of it is input from strangers, even where its checksum is right: a repository can be hostile itself. Every reader of
metadata comes through here; what the files mean is not known here.
"""

import bz2
import functools
import gzip
import io
import lzma
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET
from xml.parsers import expat

import zstandard

from isobuilder.errors import HostError, TrustError

# Bytes after decompression. All of BaseOS and AppStream of a Stream has 52 MB of primary and 2 GB of filelists.
LIMITS = MappingProxyType(
    {"primary": 1 << 30, "filelists": 8 << 30, "other": 4 << 30, "group": 64 << 20, "modules": 64 << 20}
)
_CHUNK = 1 << 20
# A decompressor's window is its memory: `xz -9` needs 65 MiB. zstd's own limit is this one.
_WINDOW = 128 << 20
_PROLOG = 64 << 10


def chunks(source: BinaryIO, kind: str, where: str) -> Iterator[bytes]:
    """The plain bytes of a metadata file, whatever it is compressed with (gzip, xz, bzip2, zstd or not at all).

    Raises TrustError when there are more of them than its `kind` can have, or when the file is damaged.
    """
    total = 0
    try:
        for chunk in _decompressed(source):
            total += len(chunk)
            if total > LIMITS[kind]:
                raise TrustError(
                    f"{where}: {kind} unpacks to more than {LIMITS[kind]:,} bytes; no repository is that large"
                )
            yield chunk
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        raise TrustError(f"{where}: the compressed {kind} is damaged: {error}") from error


def unpack(data: bytes, kind: str, where: str) -> bytes:
    """`data` decompressed, within the limit of its kind."""
    return b"".join(chunks(io.BytesIO(data), kind, where))


def check_xml(path: Path, kind: str) -> None:
    """Read all of an XML file once, so that a C library may read it again: bounded, and no entities declared in it."""
    with path.open("rb") as source:
        pieces = chunks(source, kind, path.name)
        check_prolog(next(pieces, b""), path.name)
        for _ in pieces:
            pass


@contextmanager
def unpacked_xml(path: Path, kind: str) -> Iterator[BinaryIO]:
    """The plain XML of `path` as a temporary file without a name, checked as by check_xml."""
    with path.open("rb") as source, tempfile.TemporaryFile() as plain:
        pieces = chunks(source, kind, path.name)
        head = next(pieces, b"")
        check_prolog(head, path.name)
        plain.write(head)
        plain.writelines(pieces)
        plain.seek(0)
        yield plain


def check_prolog(head: bytes, where: str) -> None:
    """Raises TrustError unless the XML that starts with `head` comes to its root without declaring anything.

    Entities can only be declared in a DOCTYPE's own subset, before the root; a DOCTYPE that merely names a DTD, as
    comps has it, is harmless since no parser here loads one. Expat reads the encodings that a search would miss.
    """
    parser = expat.ParserCreate()
    roots: list[str] = []

    def doctype(_name: str, _system: str | None, _public: str | None, has_subset: int) -> None:
        if has_subset:
            raise TrustError(f"{where}: the XML declares entities or a document type of its own; metadata never does")

    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = lambda name, _attributes: roots.append(name)
    try:
        parser.Parse(head[:_PROLOG])
    except expat.ExpatError as error:
        # Behind the root it is the reader's business, which reads all of it.
        if not roots:
            raise TrustError(f"{where}: not XML: {error}") from error
    if not roots:
        raise TrustError(f"{where}: not XML: no element in its first {_PROLOG >> 10} KiB")


def parse_xml(data: bytes, where: str) -> ET.Element:
    """The root of a small XML document. Raises TrustError when it is not well-formed or declares entities."""
    check_prolog(data, where)
    try:
        return ET.fromstring(data)  # noqa: S314 - check_prolog refused what could be amplified
    except ET.ParseError as error:
        raise TrustError(f"{where}: not well-formed XML: {error}") from error


def location(href: str, where: str) -> str:
    """`href` of a metadata file as the end of an address, quoted: always below the repository.

    Raises TrustError for one that is absolute, climbs, has a scheme, or holds control characters. A `%` is taken as
    written already in an address's way, since repositories with such names publish them so.
    """
    plain = unquote(href)
    parts = plain.split("/")
    if (
        re.search(r"[\x00-\x1f\x7f\\?#]", plain)
        or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", plain)
        or any(part in {"", ".."} for part in parts)
        or parts[-1] == "."
    ):
        raise TrustError(f"{where}: the location {href!r} does not lie inside the repository")
    return quote(href, safe="/%~+^:=@,()!$&'*;")


def createrepo_c() -> Any:
    """The module createrepo_c, which publishes no types. Raises HostError where it cannot be loaded."""
    try:
        import createrepo_c as module
    except ImportError as error:
        raise HostError(
            f"createrepo_c cannot be loaded: {error}",
            hint="It needs GLib of the host: the package libglib2.0-0 (Debian, Ubuntu) or glib2 (Fedora, CentOS).",
        ) from error
    return module


def _decompressed(source: BinaryIO) -> Iterator[bytes]:
    magic = source.read(6)
    source.seek(0)
    if magic.startswith(b"\xfd7zXZ\x00"):
        return _unxz(source)
    reader: Any = source
    if magic.startswith(b"\x1f\x8b"):
        reader = gzip.GzipFile(fileobj=source)
    elif magic.startswith(b"BZh"):
        reader = bz2.BZ2File(source)
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        reader = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
    return iter(functools.partial(reader.read, _CHUNK), b"")


def _unxz(source: BinaryIO) -> Iterator[bytes]:
    """One xz stream; lzma's own file class knows no limit on memory."""
    decoder = lzma.LZMADecompressor(memlimit=_WINDOW)
    while not decoder.eof:
        data = source.read(_CHUNK) if decoder.needs_input else b""
        if decoder.needs_input and not data:
            raise EOFError("it ends too soon")
        yield decoder.decompress(data, _CHUNK)
