"""The repodata of a medium, written from the metadata of the repositories that its packages come from.

No package is read for it: what upstream says of a package, which the lock verified, is written again by createrepo_c's
own writer, for another place and a fixed time. A test compares the result with createrepo_c over the packages.
"""

import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata as installed
from pathlib import Path
from typing import Any

from isobuilder import __version__
from isobuilder.errors import MediumError
from isobuilder.hosterrors import host_errors, scratch_errors
from isobuilder.kept import Kept, key_of
from isobuilder.lock import Package
from isobuilder.repository import rpmmd
from isobuilder.repository.modulesfile import MediumModules
from isobuilder.repository.pieces import Metadata, Piece


def write_repodata(
    packages: Sequence[Package],
    metadata: Mapping[str, Metadata],
    comps: bytes | None,
    pieces: Mapping[str, Piece],
    *,
    epoch: int,
    streams: Collection[str] = (),
    hotfixes: Collection[str] = (),
    kept: Kept | None = None,
) -> dict[str, bytes]:
    """The files of repodata/ by their path on the medium, for one repository at its root: the same for the same input.

    `packages` are those that lie on the medium, at their `path`, and `pieces` what is said of them (`pieces_of`);
    `metadata` has the files of each repository, by its id, of which modules are read here. `comps` is a plain
    comps.xml. All times are `epoch`, except those that packages were built at. `streams` (NAME:STREAM) are those of
    modules that are active in some role, and `hotfixes` the ids of repositories whose packages no stream hides. Where
    all of it is as it was before, what was written then is taken from `kept`.

    Raises MediumError when two packages would lie at one path, HostError without createrepo_c or where files cannot be
    read or written, TrustError for modules that are not as they should be.
    """
    _check_paths(packages)
    if strangers := {package.repository for package in packages} - metadata.keys():
        raise MediumError(f"no metadata of these repositories is at hand: {', '.join(sorted(strangers))}")
    modules = _modules(metadata, streams)
    exempt = {
        package.nevra: pieces[package.file.sha256].name
        for package in packages
        if package.repository in hotfixes and modules.names & set(pieces[package.file.sha256].provides)
    }
    ordered = sorted(packages, key=lambda package: (package.nevra, package.file.sha256))
    said = [pieces[package.file.sha256] for package in ordered]
    text = modules.text(exempt)
    key = _key(said, comps, text, epoch)
    if kept and (files := kept.data(key)):
        return files
    with scratch_errors(), tempfile.TemporaryDirectory() as folder:
        files = _Writer(Path(folder), epoch).write(said, comps, text)
    if kept:
        kept.keep_data(key, files)
    return files


def _key(pieces: Sequence[Piece], comps: bytes | None, modules: bytes, epoch: int) -> str:
    """All that the files depend on."""
    digest = hashlib.sha256()
    for piece in pieces:
        for text in (piece.primary, piece.filelists, piece.other):
            digest.update(text.encode() + b"\0")
    digest.update(comps or b"")
    digest.update(b"\0" + modules)
    tools = installed.version("createrepo_c"), zlib.ZLIB_RUNTIME_VERSION, __version__
    return key_of("repodata", tools, epoch, comps is None, digest.hexdigest())


def _modules(metadata: Mapping[str, Metadata], streams: Collection[str]) -> MediumModules:
    published: dict[str, bytes] = {}
    for repository, found in sorted(metadata.items()):
        if "modules" in found.files:
            path = found.files["modules"]
            with host_errors(path), path.open("rb") as file:
                if "modules" in found.sha256:
                    rpmmd.check_sha256(file, found.sha256["modules"], path)
                published[repository] = file.read()
    return MediumModules(published, streams)


def _check_paths(packages: Sequence[Package]) -> None:
    paths: dict[str, Package] = {}
    for package in packages:
        if (other := paths.setdefault(package.path, package)).file.sha256 != package.file.sha256:
            raise MediumError(
                f"two packages would lie at {package.path}",
                details=[f"{one.nevra} of repository {one.repository}: {one.file.path}" for one in (other, package)],
                hint="Leave one of the repositories out, or give one of them priority.",
            )


class _Writer:
    """Writes repodata files into a folder and gives their bytes back.

    Every installer since CentOS 6 reads gzip. Python's zlib packs all of it, the one that the lock names: createrepo_c
    brings or finds another, and two of them seldom pack to the same bytes.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        self._module = rpmmd.createrepo_c()
        self._folder = folder
        self._epoch = epoch
        self._repomd = self._module.Repomd()
        self._files: dict[str, bytes] = {}

    def write(self, pieces: Sequence[Piece], comps: bytes | None, modules: bytes) -> dict[str, bytes]:
        writers = {
            "primary": self._module.PrimaryXmlFile,
            "filelists": self._module.FilelistsXmlFile,
            "other": self._module.OtherXmlFile,
        }
        for kind, writer in writers.items():
            self._packages(kind, writer, [getattr(piece, kind) for piece in pieces])
        if comps is not None:
            # CentOS publishes both, and each has its readers.
            plain = self._folder / "comps.xml"
            plain.write_bytes(comps)
            packed = _packed(plain)
            self._add("group", plain)
            self._add("group_gz", packed)
        if modules:
            plain = self._folder / "modules.yaml"
            plain.write_bytes(modules)
            self._add("modules", _packed(plain))
        self._repomd.set_revision(str(self._epoch))
        return {"repodata/repomd.xml": self._repomd.xml_dump().encode(), **self._files}

    def _packages(self, kind: str, writer: Any, elements: Sequence[str]) -> None:
        plain = self._folder / f"{kind}.xml"
        document = writer(os.fspath(plain), self._module.NO_COMPRESSION)
        document.set_num_of_pkgs(len(elements))
        for element in elements:
            document.add_chunk(element)
        document.close()
        self._add(kind, _packed(plain))
        plain.unlink()

    def _add(self, kind: str, path: Path) -> None:
        record = self._module.RepomdRecord(kind, os.fspath(path))
        record.fill(self._module.SHA256)
        record.rename_file()
        record.timestamp = self._epoch
        self._repomd.set_record(record)
        self._files[record.location_href] = Path(record.location_real).read_bytes()


def _packed(plain: Path) -> Path:
    """The file `plain`, packed beside it."""
    path = plain.with_name(f"{plain.name}.gz")
    with (
        plain.open("rb") as source,
        path.open("wb") as file,
        # Without a name and a time, which it would write down.
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed)
    return path
