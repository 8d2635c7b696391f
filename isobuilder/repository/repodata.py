"""The repodata of a medium, written from the metadata of the repositories that its packages come from.

No package is read for it: what upstream says of a package, which the lock verified, is written again by createrepo_c's
own writer, for another place and a fixed time. A test compares the result with createrepo_c over the packages.
"""

import gzip
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from isobuilder.errors import MediumError, TrustError
from isobuilder.hosterrors import host_errors, scratch_errors
from isobuilder.lock import Package
from isobuilder.repository import rpmmd
from isobuilder.repository.modulesfile import MediumModules


def write_repodata(
    packages: Sequence[Package],
    metadata: Mapping[str, Mapping[str, Path]],
    comps: bytes | None,
    *,
    epoch: int,
    streams: Collection[str] = (),
    hotfixes: Collection[str] = (),
) -> dict[str, bytes]:
    """The files of repodata/ by their path on the medium, for one repository at its root: the same for the same input.

    `packages` are those that lie on the medium, at their `path`; `metadata` has the files of each repository, by its id
    and then by kind (primary, filelists, and as they are there other and modules). `comps` is a plain comps.xml. All
    times are `epoch`, except those that packages were built at. What upstream's other leaves out is left out. `streams`
    (NAME:STREAM) are those of modules that are active in some role, and `hotfixes` the ids of repositories whose
    packages no stream hides.

    Raises TrustError when the metadata does not have a package as it was locked, MediumError when two packages would
    lie at one path, HostError without createrepo_c or where files cannot be read or written.
    """
    _check_paths(packages)
    entries: list[Any] = []
    modules = _modules(metadata, streams)
    exempt: dict[str, str] = {}
    for repository, files in sorted(metadata.items()):
        wanted = {package.file.sha256: package for package in packages if package.repository == repository}
        if wanted:
            found = _entries(repository, wanted, files, epoch)
            entries += found
            if repository in hotfixes:
                exempt |= {e.nevra(): e.name for e in found if modules.names & {name for name, *_ in e.provides}}
    if strangers := {package.repository for package in packages} - metadata.keys():
        raise MediumError(f"no metadata of these repositories is at hand: {', '.join(sorted(strangers))}")
    entries.sort(key=lambda entry: (entry.nevra(), entry.pkgId))
    with scratch_errors(), tempfile.TemporaryDirectory() as folder:
        return _Writer(Path(folder), epoch).write(entries, comps, modules.text(exempt))


def _modules(metadata: Mapping[str, Mapping[str, Path]], streams: Collection[str]) -> MediumModules:
    published: dict[str, bytes] = {}
    for repository, files in sorted(metadata.items()):
        if "modules" in files:
            with host_errors(files["modules"]):
                published[repository] = files["modules"].read_bytes()
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


def _entries(repository: str, wanted: Mapping[str, Package], files: Mapping[str, Path], epoch: int) -> list[Any]:
    """What upstream says of the wanted packages, as createrepo_c's objects."""
    module = rpmmd.createrepo_c()
    found: dict[str, Any] = {}

    def keep(entry: Any) -> None:
        if entry.pkgId in wanted:
            found[entry.pkgId] = entry

    def known(sha256: str, _name: str, _arch: str) -> Any | None:
        return found.get(sha256)

    for kind in ("primary", "filelists", "other"):
        if kind in files:
            rpmmd.check_xml(files[kind], kind)
    try:
        module.xml_parse_primary(os.fspath(files["primary"]), None, keep, None, False)  # noqa: FBT003 - no keywords
        # Only what `known` gives back is filled in; the rest of a file of gigabytes passes by.
        module.xml_parse_filelists(os.fspath(files["filelists"]), known)
        if "other" in files:
            module.xml_parse_other(os.fspath(files["other"]), known)
    except module.CreaterepoCError as error:
        raise TrustError(f"repository {repository}: its metadata is not as it should be: {error}") from error
    for sha256, package in wanted.items():
        _place(found.get(sha256), package, epoch)
    return [found[sha256] for sha256 in wanted]


def _place(entry: Any, package: Package, epoch: int) -> None:
    """Make `entry` speak of `package` on the medium."""
    if entry is None or entry.nevra() != package.nevra or entry.size_package != package.file.size:
        raise TrustError(
            f"repository {package.repository}: the metadata does not have {package.nevra} as it was locked"
        )
    entry.location_href = package.path
    entry.location_base = None
    entry.time_file = epoch


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

    def write(self, entries: Sequence[Any], comps: bytes | None, modules: bytes) -> dict[str, bytes]:
        writers = {
            "primary": self._module.PrimaryXmlFile,
            "filelists": self._module.FilelistsXmlFile,
            "other": self._module.OtherXmlFile,
        }
        for kind, writer in writers.items():
            self._packages(kind, writer, entries)
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

    def _packages(self, kind: str, writer: Any, entries: Sequence[Any]) -> None:
        plain = self._folder / f"{kind}.xml"
        document = writer(os.fspath(plain), self._module.NO_COMPRESSION)
        document.set_num_of_pkgs(len(entries))
        for entry in entries:
            document.add_pkg(entry)
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
