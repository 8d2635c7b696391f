"""What upstream's metadata says of the packages of a medium, as pieces of the medium's own: read once, and kept.

Filelists and changelogs of a distribution are gigabytes, and a medium holds a few packages of it. What was taken out of
them for a package is the same until the metadata is another, so that a medium that changes asks for what is new alone.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from importlib import metadata as installed
from pathlib import Path
from typing import Any

from isobuilder import __version__
from isobuilder.errors import TrustError
from isobuilder.kept import Kept, key_of
from isobuilder.lock import Package
from isobuilder.repository import rpmmd

# Counted up when pieces are kept in another form.
_FORMAT = 1
# What more than so many characters say is not kept: to read that back takes memory that a build should not need.
_MOST = 48 << 20


@dataclass(frozen=True)
class Metadata:
    """The metadata files of a repository by kind (primary, filelists, maybe other), and the sha256 that each must have.

    Without `sha256` nothing is compared, and nothing kept.
    """

    files: Mapping[str, Path]
    sha256: Mapping[str, str]


@dataclass(frozen=True)
class Piece:
    """What metadata says of a package, as elements of primary, filelists and other, and some of it as values.

    `provides` are names. `licence`, `vendor` and `home` are "" where nothing is said.
    """

    primary: str
    filelists: str
    other: str
    name: str
    provides: tuple[str, ...]
    licence: str
    vendor: str
    home: str


def pieces_of(
    packages: Sequence[Package], metadata: Mapping[str, Metadata], *, epoch: int, kept: Kept | None = None
) -> dict[str, Piece]:
    """The pieces of all `packages`, by their sha256, for a medium where they lie at their `path`.

    `metadata` is by repository. All times are `epoch`, except those that packages were built at. Raises TrustError when
    the metadata does not have a package as it was locked, HostError without createrepo_c or where it cannot be read.
    """
    pieces: dict[str, Piece] = {}
    for repository, files in sorted(metadata.items()):
        wanted = {package.file.sha256: package for package in packages if package.repository == repository}
        if wanted:
            pieces |= _of_repository(repository, wanted, files, epoch, kept if files.sha256 else None)
    return pieces


def _of_repository(
    repository: str, wanted: Mapping[str, Package], metadata: Metadata, epoch: int, kept: Kept | None
) -> dict[str, Piece]:
    key = key_of(
        *("pieces", _FORMAT, __version__, installed.version("createrepo_c"), epoch),
        {kind: metadata.sha256.get(kind) for kind in _kinds(metadata.files)},
    )
    known = kept.facts(key) if kept else {}
    found: dict[str, Piece] = {}
    for sha256, package in wanted.items():
        said = known.get(sha256)
        # A package may be asked for by another name than it had: then it is read again, and refused.
        if said and said[0] == [package.nevra, package.path, package.file.size]:
            primary, filelists, other, name, provides, licence, vendor, home = said[1]
            found[sha256] = Piece(primary, filelists, other, name, tuple(provides), licence, vendor, home)
    missing = {sha256: package for sha256, package in wanted.items() if sha256 not in found}
    if missing:
        found |= _read(repository, missing, metadata, epoch)
        if kept and sum(len(p.primary) + len(p.filelists) + len(p.other) for p in found.values()) <= _MOST:
            new = {sha256: ([p.nevra, p.path, p.file.size], astuple(found[sha256])) for sha256, p in wanted.items()}
            kept.keep_facts(key, new)
    return {sha256: found[sha256] for sha256 in wanted}


def _kinds(files: Collection[str]) -> list[str]:
    return [kind for kind in ("primary", "filelists", "other") if kind in files]


def _read(repository: str, wanted: Mapping[str, Package], metadata: Metadata, epoch: int) -> dict[str, Piece]:
    entries = _entries(repository, wanted, metadata)
    module = rpmmd.createrepo_c()
    pieces = {}
    for sha256, package in wanted.items():
        entry = _placed(entries.get(sha256), package, epoch)
        pieces[sha256] = Piece(
            module.xml_dump_primary(entry),
            module.xml_dump_filelists(entry),
            module.xml_dump_other(entry),
            entry.name,
            tuple(dict.fromkeys(name for name, *_ in entry.provides)),
            *(text or "" for text in (entry.rpm_license, entry.rpm_vendor, entry.url)),
        )
    return pieces


def _entries(repository: str, wanted: Mapping[str, Package], metadata: Metadata) -> dict[str, Any]:
    """What upstream says of the wanted packages, as createrepo_c's objects."""
    module = rpmmd.createrepo_c()
    found: dict[str, Any] = {}

    def keep(entry: Any) -> None:
        if entry.pkgId in wanted:
            found[entry.pkgId] = entry

    def known(sha256: str, _name: str, _arch: str) -> Any | None:
        return found.get(sha256)

    files = metadata.files
    for kind in _kinds(files):
        rpmmd.check_xml(files[kind], kind, metadata.sha256.get(kind))
    try:
        module.xml_parse_primary(os.fspath(files["primary"]), None, keep, None, False)  # noqa: FBT003 - no keywords
        # Only what `known` gives back is filled in; the rest of a file of gigabytes passes by.
        module.xml_parse_filelists(os.fspath(files["filelists"]), known)
        if "other" in files:
            module.xml_parse_other(os.fspath(files["other"]), known)
    except module.CreaterepoCError as error:
        raise TrustError(f"repository {repository}: its metadata is not as it should be: {error}") from error
    return found


def _placed(entry: Any, package: Package, epoch: int) -> Any:
    """`entry`, made to speak of `package` on the medium."""
    if entry is None or entry.nevra() != package.nevra or entry.size_package != package.file.size:
        raise TrustError(
            f"repository {package.repository}: the metadata does not have {package.nevra} as it was locked"
        )
    entry.location_href = package.path
    entry.location_base = None
    entry.time_file = epoch
    return entry
