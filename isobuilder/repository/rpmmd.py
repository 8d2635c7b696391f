"""How the files of a package repository (rpm-md) are opened: bounded, without entities, never outside the repository.

All of it is input from strangers, even where its checksum is right: a repository can be hostile itself. Every reader of
metadata comes through here; what the files mean is not known here.
"""

import functools
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET
from xml.parsers import expat

from isobuilder.decompress import DecompressionError, decompressed, format_of
from isobuilder.errors import DamagedError, HostError, TrustError
from isobuilder.hosterrors import host_errors, scratch_errors

# Bytes after decompression. All of BaseOS and AppStream of a Stream has 52 MB of primary and 2 GB of filelists.
LIMITS = MappingProxyType(
    {"primary": 1 << 30, "filelists": 8 << 30, "other": 4 << 30, "group": 8 << 20, "modules": 64 << 20}
)
# What a document of each kind is called. The libraries find nothing in others, and say so of none.
_ROOTS = MappingProxyType({"primary": "metadata", "filelists": "filelists", "other": "otherdata", "group": "comps"})
_PROLOG = 64 << 10
# Of what is parsed here, comps goes deepest: four elements within each other.
_MAX_DEPTH = 32


def _chunks(source: BinaryIO, kind: str, where: str) -> Iterator[bytes]:
    """The plain bytes of a metadata file, whatever it is compressed with (gzip, xz, bzip2, zstd or not at all).

    Raises TrustError when there are more of them than its `kind` can have, or when the file is damaged.
    """
    head = source.read(6)
    source.seek(0)
    total = 0
    try:
        for chunk in decompressed(source, format_of(head)):
            total += len(chunk)
            if total > LIMITS[kind]:
                raise TrustError(
                    f"{where}: {kind} unpacks to more than {LIMITS[kind]:,} bytes; no repository is that large"
                )
            yield chunk
    except DecompressionError as error:
        raise TrustError(f"{where}: the compressed {kind} is damaged: {error}") from error


def unpack(data: bytes, kind: str, where: str) -> bytes:
    """`data` decompressed, within the limit of its kind."""
    return b"".join(_chunks(io.BytesIO(data), kind, where))


def check_xml(path: Path, kind: str, sha256: str | None = None) -> None:
    """Read all of an XML file once, so that a C library may read it again: bounded, and no entities declared in it.

    Raises TrustError, or HostError when the file cannot be read.
    """
    for _ in plain_chunks(path, kind, sha256):
        pass


@contextmanager
def unpacked_xml(path: Path, kind: str, sha256: str | None = None) -> Iterator[BinaryIO]:
    """The plain XML of `path` as a temporary file without a name, checked and refused as by plain_chunks."""
    with ExitStack() as stack:
        with scratch_errors():
            plain = stack.enter_context(tempfile.TemporaryFile())
            plain.writelines(plain_chunks(path, kind, sha256))
            plain.seek(0)
        yield plain


def _check_prolog(head: bytes, where: str) -> str:
    """The name of the root, as it is written, of the XML that starts with `head`.

    Raises TrustError unless it comes to its root without declaring anything.
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
    except (LookupError, ValueError) as error:
        # An encoding that Python does not know, or that has more than 256 characters.
        raise TrustError(f"{where}: not XML in an encoding that can be read: {error}") from error
    if not roots:
        raise TrustError(f"{where}: not XML: no element in its first {_PROLOG >> 10} KiB")
    return roots[0]


def parse_xml(data: bytes, where: str) -> ET.Element:
    """The root of a small XML document.

    Raises TrustError when it is not well-formed, declares entities, or has elements within each other beyond reason.
    """
    _check_prolog(data, where)
    parser = ET.XMLParser(target=_FlatTree(where))  # noqa: S314 - _check_prolog refused what could be amplified
    try:
        parser.feed(data)
        root: ET.Element = parser.close()
    except (ET.ParseError, LookupError, ValueError) as error:
        raise TrustError(f"{where}: not well-formed XML: {error}") from error
    return root


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


@contextmanager
def _no_rpm_configuration() -> Iterator[None]:
    """Give librpm, which gets ready when createrepo_c is loaded, an empty configuration in place of the host's.

    On a host without rpm it would complain that there is none.
    """
    before = os.environ.get("RPM_CONFIGDIR")
    with tempfile.TemporaryDirectory(prefix="isobuilder-rpm-") as folder:
        Path(folder, "rpmrc").touch()
        os.environ["RPM_CONFIGDIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["RPM_CONFIGDIR"]
            else:
                os.environ["RPM_CONFIGDIR"] = before


@functools.cache
def createrepo_c() -> Any:
    """The module createrepo_c, which publishes no types. Raises HostError where it cannot be loaded."""
    try:
        with _no_rpm_configuration():
            import createrepo_c as module
    except ImportError as error:
        raise HostError(
            f"createrepo_c cannot be loaded: {error}",
            hint="It needs GLib of the host: the package libglib2.0-0 (Debian, Ubuntu) or glib2 (Fedora, CentOS).",
        ) from error
    return module


class _FlatTree(ET.TreeBuilder):
    """Elements within each other, but not for ever: what walks through a tree does so by recursion."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise TrustError(f"{self._where}: the XML has more than {_MAX_DEPTH} elements within each other")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ET.Element:
        self._depth -= 1
        return super().end(tag)


def plain_chunks(path: Path, kind: str, sha256: str | None = None) -> Iterator[bytes]:
    """The plain bytes of an XML file, bounded, that declares nothing and is of that `sha256`, if any is given.

    Raises TrustError where it declares anything, DamagedError where it is another; HostError when it cannot be read.
    """
    with host_errors(path), path.open("rb") as source:
        if sha256 is not None:
            check_sha256(source, sha256, path)
        pieces = _chunks(source, kind, path.name)
        head = b""
        while len(head) < _PROLOG and (piece := next(pieces, b"")):
            head += piece
        root = _check_prolog(head, path.name)
        if root != _ROOTS[kind]:
            raise TrustError(
                f"{path.name}: {kind} begins with {root[:40]!r}, and not with {_ROOTS[kind]!r}",
                hint="Names with a prefix mean the same in XML, and neither dnf nor isobuilder reads such metadata.",
            )
        yield head
        yield from pieces


def check_sha256(source: io.BufferedReader, sha256: str, path: Path) -> None:
    """Read an open file, which stands at its start again afterwards. Raises DamagedError when it is another."""
    if hashlib.file_digest(source, "sha256").hexdigest() != sha256:
        raise DamagedError(f"{path}: the file in the cache is not what it was when it was fetched", [path])
    source.seek(0)
