"""The repositories on a medium: metadata whole and as repomd.xml says, and every package that it names in its place."""

import functools
import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

from isobuilder.decompress import format_of
from isobuilder.errors import TrustError
from isobuilder.hosterrors import scratch_errors
from isobuilder.iso.units import BLOCK
from isobuilder.repository.comps import parse_comps
from isobuilder.repository.repomd import Listed, listed_files
from isobuilder.repository.rpmmd import LIMITS, check_xml, createrepo_c, location
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.sums import ALGORITHMS, Expected

_REPOMD: Final = "repodata/repomd.xml"
_REPOMD_LIMIT: Final = 16 << 20
_CHUNK: Final = 1 << 20
_MOST_REPOSITORIES: Final = 100
# What the installer reads, by the names that it is published under, the one that is taken first.
_READ: Final = MappingProxyType(
    {
        "primary": ("primary",),
        "filelists": ("filelists",),
        "group": ("group_gz", "group_xz", "group_zst", "group"),
        "modules": ("modules",),
    }
)
_NEEDED: Final = ("primary", "filelists")

REPODATA_MALFORMED = Kind(
    "repodata-malformed",
    "error",
    "the metadata of a repository cannot be read",
    "Make it anew: createrepo_c on the folder above repodata.",
)
REPODATA_MISSING = Kind(
    "repodata-missing",
    "error",
    "a file of the metadata that the installer reads is not on the medium",
    "Make the metadata anew: createrepo_c on the folder above repodata.",
)
REPODATA_EXTRA = Kind(
    "repodata-extra-missing",
    "warning",
    "repomd.xml names a file that is not on the medium, and that the installer does not need",
    "Copy the whole repodata folder, or make the metadata anew.",
)
REPODATA_SUM = Kind(
    "repodata-sum-differs",
    "error",
    "a file of the metadata is not what repomd.xml says",
    "Make the metadata anew: createrepo_c on the folder above repodata.",
)
REPODATA_FORMAT = Kind(
    "repodata-format",
    "error",
    "metadata is compressed in a way that the installer of this release cannot read",
    "Make it anew with createrepo_c --general-compress-type=gz.",
)
PACKAGE_MISSING = Kind(
    "package-missing",
    "error",
    "a package that the metadata names is not on the medium",
    "Put the package there, or make the metadata anew.",
)
PACKAGE_SIZE = Kind(
    "package-size-differs",
    "error",
    "a package has another size than the metadata says",
    "Take the package from its repository again, or make the metadata anew.",
)
PACKAGE_SUM = Kind(
    "package-sum-differs",
    "error",
    "a package is not the one that the metadata says",
    "Take the package from its repository again, or make the metadata anew.",
)
PACKAGE_ELSEWHERE = Kind(
    "package-elsewhere",
    "error",
    "the metadata sends the installer elsewhere for a package",
    "Make the metadata anew, without a base address: createrepo_c on the folder above repodata.",
)
PACKAGE_UNLISTED = Kind(
    "package-unlisted",
    "warning",
    "a package lies on the medium that no metadata names, so that nobody can install it by name",
    "Make the metadata anew, or leave the package out.",
)
KINDS = (
    REPODATA_MALFORMED,
    REPODATA_MISSING,
    REPODATA_EXTRA,
    REPODATA_SUM,
    REPODATA_FORMAT,
    PACKAGE_MISSING,
    PACKAGE_SIZE,
    PACKAGE_SUM,
    PACKAGE_ELSEWHERE,
    PACKAGE_UNLISTED,
)


@dataclass(frozen=True)
class Listing:
    """A package that metadata names: `path` on the medium, `size` in bytes as it lies there (0 where it does not).

    `evr` has its epoch written ("0:5.1-2"), and `digest` is what the metadata says of its bytes ("sha256 ...").
    `license` and `summary` are its own words.
    """

    name: str
    evr: str
    arch: str
    path: str
    size: int
    digest: str
    license: str = ""
    summary: str = ""

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{self.arch}"


@dataclass(frozen=True)
class OnMedium:
    """A repository on the medium: its folder ("" for the root), and its metadata, taken out, by kind.

    It can be resolved from only when it has `files`; `sha256` is that of each of them, as it lies there. `is_read`:
    which packages it names was found out. `formats` are those of what the installer reads, by its path on the medium.
    """

    folder: str
    files: Mapping[str, Path]
    packages: tuple[Listing, ...]
    is_read: bool
    formats: Mapping[str, str]
    sha256: Mapping[str, str] = field(default_factory=dict)

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """The names of all packages."""
        return frozenset(package.name for package in self.packages)

    @property
    def id(self) -> str:
        """How messages call it."""
        return self.folder or "the medium"


@dataclass(frozen=True)
class Repositories:
    """All of them, the root's first, what is wrong with them, and the checksums that have still to be compared."""

    found: tuple[OnMedium, ...]
    findings: tuple[Finding, ...]
    expected: tuple[Expected, ...]


def repository_folders(medium: Medium) -> tuple[str, ...]:
    """The folders that hold a repository ("" for the root), sorted."""
    return tuple(
        sorted(path.removesuffix(_REPOMD).rstrip("/") for path in medium.files if f"/{path}".endswith(f"/{_REPOMD}"))
    )


def examine_repositories(medium: Medium, scratch: Path) -> Repositories:
    """Look at every repository; metadata is taken out into the folder `scratch`, which has to outlive the result."""
    examined: list[OnMedium] = []
    findings: list[Finding] = []
    expected: list[Expected] = []
    named: set[str] = set()
    by_name = {path.rpartition("/")[2].lower(): path for path in medium.files if path.endswith(".rpm")}
    for number, folder in enumerate(repository_folders(medium)[:_MOST_REPOSITORIES]):
        room = scratch / str(number)
        room.mkdir()
        one = _Examination(medium, folder, room, by_name)
        examined.append(one.run())
        findings += one.findings
        expected += one.expected
        named |= one.named
    # Where metadata cannot be read, it cannot be told what it names.
    if examined and all(each.is_read for each in examined):
        findings += [
            PACKAGE_UNLISTED.at(path, "no repository on the medium names it")
            for path in sorted(medium.files)
            if path.endswith(".rpm") and path not in named
        ]
    return Repositories(tuple(examined), tuple(findings), tuple(expected))


def check_formats(found: Iterable[OnMedium], readable: Collection[str]) -> Iterator[Finding]:
    """Metadata in another format than those that an installer can read, by rpm's words for them."""
    for repository in found:
        for path, name in repository.formats.items():
            if name not in readable:
                said = f"it is compressed by {name}, and the installer reads {', '.join(readable)}"
                yield REPODATA_FORMAT.at(path, said)


class _Examination:
    """One repository, looked at."""

    def __init__(self, medium: Medium, folder: str, room: Path, by_name: Mapping[str, str]) -> None:
        self._medium = medium
        self._folder = folder
        self._room = room
        self._above = f"{folder}/" if folder else ""
        self.findings: list[Finding] = []
        self.expected: list[Expected] = []
        self.named: set[str] = set()
        self._bases: set[str] = set()
        self._by_name = by_name
        self._sha256: dict[str, str] = {}

    def run(self) -> OnMedium:
        chosen: dict[str, Listed] = {}
        files: dict[str, Path] = {}
        packages: tuple[Listing, ...] = ()
        place = f"{self._above}{_REPOMD}"
        try:
            listed = listed_files(self._medium.read(place, limit=_REPOMD_LIMIT), where=place)
        except (Unreadable, TrustError) as error:
            self.findings.append(REPODATA_MALFORMED.at(place, _said(error)))
        else:
            chosen = self._chosen(listed, place)
            self.expected += self._sums(listed, place)
            files = self._taken_out(chosen)
            packages = self._packages(files["primary"]) if "primary" in files else packages
            if "group" in files:
                self._groups(files["group"], self._path(chosen["group"]))
        wrong = {finding.kind for finding in self.findings}
        is_sound = not wrong & {REPODATA_MALFORMED, PACKAGE_ELSEWHERE}
        usable = files if is_sound and all(kind in files for kind in _NEEDED) else {}
        return OnMedium(
            self._folder,
            MappingProxyType(usable),
            packages,
            is_read="primary" in files and REPODATA_MALFORMED not in wrong,
            formats=MappingProxyType({self._path(chosen[kind]): _format(path) for kind, path in files.items()}),
            sha256=MappingProxyType(self._sha256),
        )

    def _chosen(self, listed: tuple[Listed, ...], place: str) -> dict[str, Listed]:
        """What the installer will read, by kind; what it lacks is found here."""
        there = {each.kind: each for each in listed if self._medium.find(self._path(each))}
        published = {each.kind for each in listed}
        chosen = {}
        for kind, names in _READ.items():
            if name := next((name for name in names if name in there), None):
                chosen[kind] = there[name]
            elif kind in _NEEDED or published.intersection(names):
                gone = [self._path(each) for each in listed if each.kind in names]
                said = f"{', '.join(gone)} is not on the medium" if gone else f"it names no {kind}"
                self.findings.append(REPODATA_MISSING.at(place, said))
        read = {name for names in _READ.values() for name in names}
        for each in listed:
            # A second form of what is read is no loss.
            if each.kind not in there and each.kind not in read:
                self.findings.append(REPODATA_EXTRA.at(place, f"{self._path(each)} is not on the medium"))
        return chosen

    def _path(self, listed: Listed) -> str:
        return f"{self._above}{unquote(listed.href)}"

    def _sums(self, listed: tuple[Listed, ...], place: str) -> Iterator[Expected]:
        for each in listed:
            node = self._medium.find(self._path(each))
            if node is None:
                continue
            if each.algorithm not in ALGORITHMS:
                self.findings.append(
                    REPODATA_MALFORMED.at(place, f"{each.kind} has a checksum of the kind {each.algorithm!r}")
                )
            elif each.size is not None and each.size != node.size:
                said = f"it has {node.size} bytes, and repomd.xml says {each.size}"
                self.findings.append(REPODATA_SUM.at(node.path, said))
            else:
                yield Expected(node.path, node, each.algorithm, each.digest, REPODATA_SUM, place)

    def _taken_out(self, chosen: Mapping[str, Listed]) -> dict[str, Path]:
        files = {}
        for kind, listed in chosen.items():
            path = self._path(listed)
            target = self._room / kind
            try:
                self._sha256[kind] = self._take_out(path, target, LIMITS[kind])
            except Unreadable as error:
                self.findings.append(REPODATA_MALFORMED.at(path, str(error)))
            else:
                files[kind] = target
        return files

    def _take_out(self, path: str, target: Path, limit: int) -> str:
        """Copy a file to `target`; its sha256."""
        node = self._medium.find(path)
        if node is None or not node.is_plain or node.size > limit:
            raise Unreadable(f"it is a link, or has more than {limit} bytes")
        digest = hashlib.sha256()
        with scratch_errors(), target.open("wb") as file:
            for block, size in node.extents:
                for done in range(0, size, _CHUNK):
                    data = self._medium.read_at(block * BLOCK + done, min(_CHUNK, size - done))
                    digest.update(data)
                    file.write(data)
        return digest.hexdigest()

    def _groups(self, comps: Path, place: str) -> None:
        try:
            parse_comps(comps.read_bytes(), where="comps")
        except TrustError as error:
            self.findings.append(REPODATA_MALFORMED.at(place, _said(error).removeprefix("comps: ")))

    def _packages(self, primary: Path) -> tuple[Listing, ...]:
        """Every package that primary names, looked for."""
        place = f"{self._above}repodata, primary"
        listings: list[Listing] = []

        def package(entry: Any) -> None:
            path, size = self._package(entry, place)
            evr = f"{entry.epoch or 0}:{entry.version}-{entry.release}"
            digest = f"{entry.checksum_type} {entry.pkgId}"
            words = (entry.rpm_license or "", entry.summary or "")
            listings.append(Listing(entry.name or "", evr, entry.arch or "", path, size, digest, *words))

        module = createrepo_c()
        try:
            check_xml(primary, "primary")
            module.xml_parse_primary(os.fspath(primary), None, package, None, 0)
        except (TrustError, module.CreaterepoCError, UnicodeDecodeError) as error:
            self.findings.append(REPODATA_MALFORMED.at(place, _said(error)))
        return tuple(listings)

    def _package(self, entry: Any, place: str) -> tuple[str, int]:
        """Where a package should lie, and how many bytes of it do."""
        href = entry.location_href or ""
        try:
            path = f"{self._above}{unquote(location(href, place))}"
        except TrustError:
            self.findings.append(PACKAGE_ELSEWHERE.at(place, f"{entry.name} lies at {href[:200]!r}"))
            return href, 0
        if entry.location_base and entry.location_base not in self._bases:
            self._bases.add(entry.location_base)
            said = f"the base address of {entry.name}, and maybe of others, is {entry.location_base[:200]!r}"
            self.findings.append(PACKAGE_ELSEWHERE.at(place, said))
        node = self._medium.find(path)
        self.named |= {path, node.path} if node else {path}
        if node is None:
            moved = self._by_name.get(path.rpartition("/")[2].lower())
            if moved is not None:
                self.named.add(moved)
            hint = f"; there is {moved}" if moved else ""
            self.findings.append(PACKAGE_MISSING.at(path, f"{place} names it{hint}"))
        elif entry.size_package and node.size != entry.size_package:
            said = f"it has {node.size} bytes, and {place} says {entry.size_package}"
            self.findings.append(PACKAGE_SIZE.at(path, said))
        elif entry.checksum_type in ALGORITHMS and entry.pkgId:
            self.expected.append(Expected(path, node, entry.checksum_type, entry.pkgId, PACKAGE_SUM, place))
        else:
            self.findings.append(
                REPODATA_MALFORMED.at(place, f"{entry.name} has a checksum of the kind {entry.checksum_type!r}")
            )
        return path, node.size if node else 0


def _format(path: Path) -> str:
    with path.open("rb") as file:
        return format_of(file.read(6))


def _said(error: Exception) -> str:
    return " ".join(str(getattr(error, "message", error)).split())
