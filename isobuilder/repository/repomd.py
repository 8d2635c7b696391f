"""What a repository and an installation tree say about themselves: repomd.xml and .treeinfo, from bytes to values.

Nothing is fetched or verified here. Bytes that cannot be trusted to mean what they say end in a TrustError.
"""

import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from xml.etree import ElementTree as ET

from isobuilder.errors import TrustError
from isobuilder.lock import RepositoryFile
from isobuilder.repository.rpmmd import LIMITS, location, parse_xml

# A record may be published twice, plain and compressed; the smaller is taken.
_RECORDS = MappingProxyType(
    {
        "primary": ("primary",),
        "filelists": ("filelists",),
        "other": ("other",),
        "group": ("group_gz", "group_xz", "group_zst", "group"),
        "modules": ("modules",),
    }
)
_READ = frozenset(name for names in _RECORDS.values() for name in names)
_REQUIRED = ("primary", "filelists")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TREE_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
# Before the year 2106: the times of a medium have to fit in it.
_LATEST = 1 << 32


@dataclass(frozen=True)
class Record:
    """One file of the metadata: `href` below the repository, quoted as in an address; `size` as published, in bytes."""

    href: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Repomd:
    """repomd.xml: `records` by kind, those that isobuilder reads; `timestamp` the newest, in seconds since 1970."""

    timestamp: int
    records: Mapping[str, Record]


@dataclass(frozen=True)
class Listed:
    """A file as repomd.xml lists it, whatever its kind and checksum; `size` None where it does not say."""

    kind: str
    href: str
    algorithm: str
    digest: str
    size: int | None


@dataclass(frozen=True)
class TreeInfo:
    """.treeinfo: `timestamp` in seconds since 1970; `checksums` the sha256 of files by their path in the tree.

    Older trees publish no checksums at all, or those of some files only.
    """

    arch: str
    timestamp: int
    checksums: Mapping[str, str]


def parse_repomd(data: bytes, *, where: str) -> Repomd:
    """Read repomd.xml (http://createrepo.baseurl.org has its schema); `where` names it in messages.

    Raises TrustError for what is not repomd, lacks primary or filelists, has a checksum other than sha256 or an absurd
    size for a file that would be read, or a location outside the repository. Other records are left out unread.
    """
    root = parse_xml(data, where)
    if root.tag.rpartition("}")[2] != "repomd":
        raise TrustError(f"{where}: not repomd.xml but {root.tag!r}")
    published: dict[str, ET.Element] = {}
    for element in root.iterfind("{*}data"):
        kind = element.get("type", "")
        if kind in published and kind in _READ:
            raise TrustError(f"{where}: {kind} is there twice, and which of them counts is not said")
        published[kind] = element
    chosen = {
        kind: published[name]
        for kind, names in _RECORDS.items()
        if (name := next((name for name in names if name in published), None))
    }
    if missing := [kind for kind in _REQUIRED if kind not in chosen]:
        raise TrustError(f"{where}: the repository publishes no {' and no '.join(missing)}")
    return Repomd(
        timestamp=max(_timestamp(_text(element, "timestamp") or "0", where) for element in chosen.values()),
        records={kind: _record(kind, element, where) for kind, element in chosen.items()},
    )


def listed_files(data: bytes, *, where: str) -> tuple[Listed, ...]:
    """Everything that repomd.xml lists, for who examines a repository and does not build from it.

    Raises TrustError for what is not repomd, and for a location outside the repository.
    """
    root = parse_xml(data, where)
    if root.tag.rpartition("}")[2] != "repomd":
        raise TrustError(f"{where}: not repomd.xml but {root.tag!r}")
    return tuple(_listed(element, where) for element in root.iterfind("{*}data"))


def _listed(element: ET.Element, where: str) -> Listed:
    place, checksum = element.find("{*}location"), element.find("{*}checksum")
    size = _text(element, "size")
    return Listed(
        kind=element.get("type", ""),
        href=location(place.get("href", "") if place is not None else "", where),
        algorithm=checksum.get("type", "") if checksum is not None else "",
        digest=_text(element, "checksum"),
        size=_number(size, where) if size else None,
    )


def metadata_files(repomd: Repomd) -> dict[str, RepositoryFile]:
    """What to fetch of the repository, by kind.

    The kinds are primary, filelists, other, group and modules, whatever name and compression they are published under.
    """
    return {
        kind: RepositoryFile(path=record.href, sha256=record.sha256, size=record.size)
        for kind, record in repomd.records.items()
    }


def parse_treeinfo(data: bytes, *, where: str) -> TreeInfo:
    """Read .treeinfo of any release: productmd's, and the older one whose facts are all in [general].

    The INI is read directly, since productmd refuses what CentOS 6 published (an empty variant). Raises TrustError for
    what is not a .treeinfo and for a path that leads out of the tree. A checksum weaker than sha256 counts as none.
    """
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # paths keep their case
    try:
        parser.read_string(data.decode("utf-8"), source=where)
        tree = parser["tree"] if "tree" in parser else parser["general"]
        arch, timestamp = tree["arch"], tree.get("build_timestamp") or tree["timestamp"]
        checksums = dict(parser["checksums"]) if "checksums" in parser else {}
    except (configparser.Error, UnicodeDecodeError, KeyError) as error:
        raise TrustError(f"{where}: not a .treeinfo: {' '.join(str(error).split())}") from error
    return TreeInfo(
        arch=arch,
        timestamp=_timestamp(timestamp, where),
        checksums={
            location(path, where): value.removeprefix("sha256:")
            for path, value in checksums.items()
            if _TREE_SHA256.fullmatch(value)
        },
    )


def _record(kind: str, element: ET.Element, where: str) -> Record:
    place = element.find("{*}location")
    checksum = element.find("{*}checksum")
    algorithm = checksum.get("type") if checksum is not None else None
    sha256 = _text(element, "checksum").lower()
    if algorithm != "sha256" or not _SHA256.fullmatch(sha256):
        raise TrustError(
            f"{where}: {kind} has no sha256 checksum but {algorithm or 'none'}",
            hint="A repository with other checksums has to be made anew: createrepo_c --checksum sha256",
        )
    if place is not None and place.get("{http://www.w3.org/XML/1998/namespace}base"):
        raise TrustError(f"{where}: {kind} lies on another server (xml:base), which is not supported")
    for name in ("size", "open-size"):
        if _number(_text(element, name) or "0", where) > LIMITS[kind]:
            raise TrustError(f"{where}: {kind} has the {name} {_text(element, name)}; no repository is that large")
    if not (size := _number(_text(element, "size") or "0", where)):
        raise TrustError(f"{where}: {kind} has no size")
    href = location(place.get("href", "") if place is not None else "", where)
    return Record(href=href, sha256=sha256, size=size)


def _text(element: ET.Element, name: str) -> str:
    return (element.findtext(f"{{*}}{name}") or "").strip()


def _number(text: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise TrustError(f"{where}: {text[:40]!r} is not a number")
    return int(text)


def _timestamp(text: str, where: str) -> int:
    """Whole seconds; both files may carry fractions of one."""
    seconds = _number(text.partition(".")[0], where)
    if seconds >= _LATEST:
        raise TrustError(f"{where}: {text} is not a time of this century")
    return seconds
