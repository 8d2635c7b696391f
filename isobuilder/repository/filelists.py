"""Who has which files: filelists of any size, read past for the few paths that somebody asks for.

Filelists are the largest of all metadata, 2 GB of XML for a distribution, and nearly nothing in them is wanted. So they
are no tree of elements here but text that is cut at every ">" and compared.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape, unescape

from isobuilder.errors import TrustError
from isobuilder.repository import rpmmd

_PACKAGE: Final = b"<package "
_TAG: Final = re.compile(rb"<package\s([^>]*)>")
_ATTRIBUTE: Final = re.compile(rb"""\b(pkgid|name)=(?:"([^"]*)"|'([^']*)')""")
_COUNT: Final = re.compile(rb"""<filelists\s[^>]*\bpackages=["']([0-9]+)["']""")
_ENCODING: Final = re.compile(rb"""<\?xml[^>]*\bencoding=["']([^"']*)["']""")
_END: Final = b"</file"
_ROOT_END: Final = b"</filelists>"
# One package: the largest known list some 100,000 files.
_MOST: Final = 256 << 20


@dataclass(frozen=True)
class Owner:
    """A package that has some of the files that were asked for: `pkgid` is its checksum in the metadata."""

    pkgid: str
    name: str
    paths: tuple[str, ...]


def find_owners(path: Path, wanted: Iterable[str], where: str, sha256: str | None = None) -> list[Owner]:
    """The packages of the filelists at `path` that have any of the `wanted` paths, in the order in which they stand.

    Raises TrustError for filelists that are cut short, are no XML in UTF-8, or are not of `sha256`, where that is
    given; HostError where they cannot be read.
    """
    ends = frozenset(escape(each).encode() + _END for each in wanted)
    found: list[Owner] = []
    promised, count, is_first = 0, 0, True
    tail = b""
    for block in _blocks(rpmmd.plain_chunks(path, "filelists", sha256), where):
        if is_first:
            promised = _promised(block, where)
            is_first = False
        count += block.count(_PACKAGE)
        if not ends.isdisjoint(block.split(b">")):
            try:
                found += _owners(block, ends)
            except UnicodeDecodeError as error:
                raise TrustError(f"{where}: its filelists are not as they should be: they are not in UTF-8") from error
        tail = block[-256:]
    if _ROOT_END not in tail or count != promised:
        raise TrustError(
            f"{where}: its filelists are not as they should be: {count} packages, and they say {promised}"
            if _ROOT_END in tail
            else f"{where}: its filelists are not as they should be: they do not come to an end"
        )
    return found


def _blocks(chunks: Iterable[bytes], where: str) -> Iterator[bytes]:
    """The text in pieces that each end before a package begins, or with the text."""
    rest: list[bytes] = []
    size = 0
    for chunk in chunks:
        rest.append(chunk)
        size += len(chunk)
        if size > _MOST:
            raise TrustError(f"{where}: its filelists have a package of more than {_MOST:,} bytes")
        # The word may lie across two chunks.
        joined = b"".join(rest[-2:])
        cut = joined.rfind(_PACKAGE)
        if cut >= 0 and (before := b"".join(rest[:-2]) + joined[:cut]):
            yield before
            rest = [joined[cut:]]
            size = len(rest[0])
    yield b"".join(rest)


def _promised(head: bytes, where: str) -> int:
    encoding = _ENCODING.search(head)
    if encoding and encoding[1].lower() not in {b"utf-8", b"utf8", b"ascii", b"us-ascii"}:
        raise TrustError(f"{where}: its filelists are written in {encoding[1][:40].decode(errors='replace')}")
    if found := _COUNT.search(head):
        return int(found[1])
    raise TrustError(f"{where}: its filelists are not as they should be: no root says how many packages they have")


def _owners(block: bytes, ends: frozenset[bytes]) -> Iterator[Owner]:
    for text in block.split(_PACKAGE)[1:]:
        here = ends.intersection(text.split(b">"))
        if here and (tag := _TAG.match(_PACKAGE + text)):
            said = {name: double or single for name, double, single in _ATTRIBUTE.findall(tag[1])}
            paths = sorted(unescape(each.removesuffix(_END).decode()) for each in here)
            yield Owner(said.get(b"pkgid", b"").decode(), unescape(said.get(b"name", b"").decode()), tuple(paths))
