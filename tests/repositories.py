"""Repositories for tests: tiny ones of packages that exist in metadata only, and real ones that lack some files."""

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import createrepo_c
import zstandard

from isobuilder.kept import Kept
from isobuilder.lock import Package
from isobuilder.repository import repodata
from isobuilder.repository.pieces import Metadata, pieces_of
from isobuilder.resolve.pool import Source

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}
_FLAGS = {"=": "EQ", "<": "LT", ">": "GT", "<=": "LE", ">=": "GE"}


@dataclass(frozen=True)
class Fake:
    """A package in metadata only. Dependencies are written as in a spec file: "name", "name >= 1-2", "(a if b)"."""

    name: str
    evr: str = "1-1"
    arch: str = "noarch"
    requires: Sequence[str] = ()
    provides: Sequence[str] = ()
    recommends: Sequence[str] = ()
    supplements: Sequence[str] = ()
    conflicts: Sequence[str] = ()
    obsoletes: Sequence[str] = ()
    files: Sequence[str] = ()
    href: str = ""
    base: str = ""
    size: int = 1000
    checksum_type: str = "sha256"

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr if ':' in self.evr else f'0:{self.evr}'}.{self.arch}"

    def package(self) -> createrepo_c.Package:
        epoch, _, rest = self.evr.rpartition(":")
        version, _, release = rest.partition("-")
        package = createrepo_c.Package()
        package.name, package.arch, package.epoch = self.name, self.arch, epoch or "0"
        package.version, package.release = version, release
        package.pkgId = hashlib.new(self.checksum_type, self.nevra.encode()).hexdigest()
        package.checksum_type, package.size_package = self.checksum_type, self.size
        package.summary = package.description = package.rpm_license = "for a test"
        package.rpm_sourcerpm = f"{self.name}-{version}-{release}.src.rpm"
        package.location_href = self.href or f"Packages/{self.name}-{version}-{release}.{self.arch}.rpm"
        if self.base:
            package.location_base = self.base
        own = [(self.name, "EQ", epoch or "0", version, release, False)]
        package.provides = own + [_dependency(text) for text in self.provides]
        for kind in ("requires", "recommends", "supplements", "conflicts", "obsoletes"):
            setattr(package, kind, [_dependency(text) for text in getattr(self, kind)])
        package.files = [("", f"{folder}/", name) for folder, _, name in (path.rpartition("/") for path in self.files)]
        package.changelogs = [("Somebody <somebody@example.org> - 1-1", 1_000_000_000, f"- {self.name}")]
        return package


def make_repository(
    folder: Path,
    packages: Sequence[Fake],
    *,
    comps: str = "",
    modules: str = "",
    compression: str = ".gz",
    id: str = "base",  # noqa: A002 - as in Source
    priority: int = 99,
    hotfixes: bool = False,
) -> Source:
    """Write `folder`/repodata for `packages`; `comps` is what lies inside of <comps>, `modules` modulemd."""
    repodata = folder / "repodata"
    repodata.mkdir(parents=True)
    repomd = createrepo_c.Repomd()
    repomd.set_revision("1600000000")
    paths: dict[str, Path] = {}
    for kind, data in _documents(packages, comps, modules).items():
        path = repodata / f"{kind}.{'yaml' if kind == 'modules' else 'xml'}{compression}"
        path.write_bytes(COMPRESSIONS[compression](data))
        record = createrepo_c.RepomdRecord(kind, str(path))
        record.fill(createrepo_c.SHA256)
        record.timestamp = 1_600_000_000
        repomd.set_record(record)
        paths[kind] = path
    (repodata / "repomd.xml").write_text(repomd.xml_dump(), encoding="utf-8")
    return Source(id, priority, paths, hotfixes=hotfixes)


def _documents(packages: Sequence[Fake], comps: str, modules: str) -> dict[str, bytes]:
    made = [fake.package() for fake in packages]
    namespaces = {
        "primary": 'metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"',
        "filelists": 'filelists xmlns="http://linux.duke.edu/metadata/filelists"',
        "other": 'otherdata xmlns="http://linux.duke.edu/metadata/other"',
    }
    documents = {}
    for kind, root in namespaces.items():
        dump = getattr(createrepo_c, f"xml_dump_{kind}")
        body = "".join(dump(package) for package in made)
        text = f'<{root} packages="{len(made)}">\n{body}</{root.split()[0]}>\n'
        documents[kind] = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
    if comps:
        documents["group"] = f"<comps>{comps}</comps>".encode()
    if modules:
        documents["modules"] = modules.encode()
    return documents


def _dependency(text: str) -> tuple[str, str | None, str | None, str | None, str | None, bool]:
    name, _, condition = text.partition(" ")
    if text.startswith("(") or not condition:
        return text, None, None, None, None, False
    sign, _, evr = condition.partition(" ")
    epoch, _, rest = evr.rpartition(":")
    version, _, release = rest.partition("-")
    return name, _FLAGS[sign], epoch or "0", version, release or None, False


def publish(folder: Path, target: Path) -> Source:
    """A copy of a real repository, whose repomd.xml names only what is there."""
    (target / "repodata").mkdir(parents=True)
    repomd = createrepo_c.Repomd()
    files: dict[str, Path] = {}
    for kind in ("primary", "filelists", "comps"):
        path = next((folder / "repodata").glob(f"*{kind}*.xml.gz"))
        copy = target / "repodata" / path.name
        shutil.copyfile(path, copy)
        record = createrepo_c.RepomdRecord("group_gz" if kind == "comps" else kind, os.fspath(copy))
        record.fill(createrepo_c.SHA256)
        repomd.set_record(record)
        files["group" if kind == "comps" else kind] = copy
    (target / "repodata" / "repomd.xml").write_text(repomd.xml_dump(), encoding="utf-8")
    return Source("base", 99, files)


def write_repodata(
    packages: Sequence[Package],
    metadata: Mapping[str, Mapping[str, Path]],
    comps: bytes | None,
    *,
    epoch: int,
    streams: Collection[str] = (),
    hotfixes: Collection[str] = (),
    kept: Kept | None = None,
) -> dict[str, bytes]:
    """The repodata of a medium, from metadata whose checksums are those that it has."""
    known = {name: _with_checksums(files) if kept else Metadata(files, {}) for name, files in metadata.items()}
    pieces = pieces_of(packages, known, epoch=epoch, kept=kept)
    return repodata.write_repodata(
        packages, known, comps, pieces, epoch=epoch, streams=streams, hotfixes=hotfixes, kept=kept
    )


def _with_checksums(files: Mapping[str, Path]) -> Metadata:
    return Metadata(files, {kind: hashlib.sha256(path.read_bytes()).hexdigest() for kind, path in files.items()})
