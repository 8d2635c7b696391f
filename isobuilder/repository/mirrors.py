"""Who has the files of a repository: mirror lists and metalinks, from bytes to values.

A metalink is MirrorManager's, as mirrors.centos.org and mirrors.fedoraproject.org serve it: version 3.0 with the
extensions of http://fedorahosted.org/mirrormanager. It says what repomd.xml must be as well, which is what keeps a
mirror from serving an old one. Nothing is fetched here. The lists are input from strangers: only addresses that could
stand in a definition come out of them.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from isobuilder.definition import fill_in
from isobuilder.errors import FetchError, TrustError
from isobuilder.repository.rpmmd import parse_xml

REPOMD: Final = "repodata/repomd.xml"
# More are not asked and not locked: when eight have failed, the ninth will not help.
_MOST: Final = 8
_SHOWN: Final = 80
_BASE = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(?:/[!-~]*)?")
# Weaker checksums, which metalinks carry too, say nothing. The strongest that is there counts.
_HASHES: Final = {"sha512": re.compile(r"[0-9a-f]{128}"), "sha256": re.compile(r"[0-9a-f]{64}")}


@dataclass(frozen=True)
class Version:
    """A repomd.xml by its digest in lower-case hex; `timestamp` in seconds since 1970, 0 where that is not said."""

    timestamp: int
    algorithm: str
    digest: str

    def is_of(self, data: bytes) -> bool:
        """Whether `data` is this version."""
        return hashlib.new(self.algorithm, data).hexdigest() == self.digest


@dataclass(frozen=True)
class Mirrors:
    """Where a repository lies, at most eight addresses that end in a slash, best first.

    `versions` are all that repomd.xml may be, the newest first; empty where nobody says.
    """

    baseurls: tuple[str, ...]
    versions: tuple[Version, ...] = ()

    def age(self, data: bytes, *, where: str) -> int:
        """Which version `data` is: 0 for the newest. Raises TrustError when it is none of them."""
        if not self.versions:
            return 0
        found = next((age for age, version in enumerate(self.versions) if version.is_of(data)), None)
        if found is None:
            raise TrustError(
                f"{where}: is not what the metalink says: {len(data)} bytes of sha256 "
                f"{hashlib.sha256(data).hexdigest()}",
                hint="The mirror is behind the metalink, or ahead of it, or not to be trusted.",
            )
        return found


def parse_mirrorlist(data: bytes, arch: str, *, where: str) -> Mirrors:
    """Read a mirror list: a base address on each line, best first, `$basearch` in it filled in as `arch`.

    Comments and lines that are no http:// or https:// address are left out. Raises FetchError when nothing is left.
    """
    text = data.decode("utf-8", errors="replace")
    if re.match(r"\s*<", text):
        raise FetchError(
            f"{where}: not a list of mirrors but XML or HTML", hint="Is it a metalink? It has its own key."
        )
    return Mirrors(_chosen((fill_in(line.strip(), arch) for line in text.splitlines()), where, text))


def parse_metalink(data: bytes, *, where: str) -> Mirrors:
    """Read a metalink of repomd.xml.

    Mirrors are sorted by their preference, then by address, so that the order in the file makes no difference. Raises
    TrustError for what is no such metalink or has no sha256 or sha512 of repomd.xml, and FetchError without a mirror.
    """
    root = parse_xml(data, where)
    if root.tag.rpartition("}")[2] != "metalink":
        raise TrustError(f"{where}: not a metalink but {root.tag!r}")
    file = next((file for file in root.iterfind("{*}files/{*}file") if file.get("name") == "repomd.xml"), None)
    if file is None:
        raise TrustError(f"{where}: the metalink is not of repomd.xml")
    newest = _version(file, where)
    if newest is None:
        raise TrustError(f"{where}: the metalink has no sha512 or sha256 of repomd.xml")
    alternates = (_version(element, where) for element in file.iterfind("{*}alternates/{*}alternate"))
    older = sorted((version for version in alternates if version), key=lambda version: -version.timestamp)
    ranked = sorted(_ranked(file.iterfind("{*}resources/{*}url")))
    return Mirrors(
        _chosen((base for _, base in ranked), where, f"{len(ranked)} addresses of repomd.xml"), (newest, *older)
    )


def _ranked(urls: Iterable[ET.Element]) -> Iterator[tuple[int, str]]:
    """The base of each address of repomd.xml, with how little it is preferred (100 is most, and none is least)."""
    for element in urls:
        url = (element.text or "").strip()
        preference = element.get("preference") or "0"
        if url.endswith(f"/{REPOMD}") and re.fullmatch(r"[0-9]{1,3}", preference):
            yield -int(preference), url.removesuffix(REPOMD)


def _chosen(addresses: Iterable[str], where: str, content: str) -> tuple[str, ...]:
    """The best of `addresses`: those by https first, and each mirror once."""
    found = dict.fromkeys(
        f"{url.rstrip('/')}/" for url in addresses if _BASE.fullmatch(url) and not set("?#@") & set(url)
    )
    secure = [url for url in found if url.startswith("https:")]
    plain = [url for url in found if f"https{url.removeprefix('http')}" not in found and url not in secure]
    if not found:
        raise FetchError(
            f"{where}: names no mirror with an http:// or https:// address; it has {content.strip()[:_SHOWN]!r}",
            hint="Is the address of the list right, with its release and architecture?",
        )
    return tuple([*secure, *plain][:_MOST])


def _version(element: ET.Element, where: str) -> Version | None:
    """What `element` says of one repomd.xml, or None where it has no digest that counts."""
    published = {
        hash_.get("type", ""): (hash_.text or "").strip().lower()
        for hash_ in element.iterfind("{*}verification/{*}hash")
    }
    algorithm = next((name for name, form in _HASHES.items() if form.fullmatch(published.get(name, ""))), None)
    if algorithm is None:
        return None
    return Version(
        timestamp=_timestamp(element, where),
        algorithm=algorithm,
        digest=published[algorithm],
    )


def _timestamp(element: ET.Element, where: str) -> int:
    text = (element.findtext("{*}timestamp") or "0").strip()
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise TrustError(f"{where}: {text[:_SHOWN]!r} is not a timestamp")
    return int(text)
