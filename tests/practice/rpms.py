"""RPMs out of files that lie in a tree already: one spec, one run of rpmbuild, however many packages."""

import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.practice.host import run


@dataclass(frozen=True)
class Rpm:
    """One package. `files` are absolute paths as installed; a folder among them is owned without what is in it.

    `requires`, `recommends` and `provides` are in RPM's own words ("glibc >= 2.36").
    """

    name: str
    version: str
    summary: str
    release: str = "1"
    epoch: str = "0"
    arch: str = "x86_64"
    requires: tuple[str, ...] = ()
    recommends: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


# rpmbuild would strip, compress, link and complain: these files are finished.
_SETTINGS = {
    "_build_id_links": "none",
    "_buildhost": "practice",
    "__check_files": "%{nil}",
    "__os_install_post": "%{nil}",
    "_missing_build_ids_terminate_build": "0",
    "_rpmfilename": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    "_binary_payload": "w3T2.zstdio",
    "_unpackaged_files_terminate_build": "0",
    "build_mtime_policy": "clamp_to_source_date_epoch",
    "clamp_mtime_to_source_date_epoch": "1",
    "debug_package": "%{nil}",
    "use_source_date_epoch_as_buildtime": "1",
}


def build_rpms(
    rpms: Iterable[Rpm], tree: Path, output: Path, scratch: Path, epoch: int, *, arch: str = "x86_64"
) -> None:
    """Make every one of `rpms` out of `tree`, into the folder `output`. `scratch` is an empty folder for rpmbuild.

    No file in them is dated later than `epoch`; `arch` is that of all that are not "noarch". Raises HostError when
    rpmbuild refuses.
    """
    spec = ["Name: practice\nVersion: 1\nRelease: 1\nSummary: None\nLicense: Various\nAutoReqProv: no\n"]
    spec.append("%description\nNot built: only its parts are.\n")
    owners = _Owners(_names(tree / "etc/passwd"), _names(tree / "etc/group"))
    spec += [_package(rpm, tree, owners) for rpm in rpms]
    (scratch / "practice.spec").write_text("\n".join(spec), encoding="utf-8")
    defines = {**_SETTINGS, "_topdir": str(scratch), "_rpmdir": str(output)}
    words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    run(
        [
            "rpmbuild",
            "-bb",
            "--quiet",
            "--target",
            arch,
            "--noclean",
            "--buildroot",
            tree,
            *words,
            scratch / "practice.spec",
        ],
        env={"SOURCE_DATE_EPOCH": str(epoch)},
    )


@dataclass(frozen=True)
class _Owners:
    """Names by number. In a package owners are names: rpm looks them up where it installs."""

    users: Mapping[int, str]
    groups: Mapping[int, str]


def _names(table: Path) -> dict[int, str]:
    rows = [line.split(":") for line in table.read_text(encoding="utf-8").splitlines()] if table.exists() else []
    return {0: "root"} | {int(row[2]): row[0] for row in rows}


def _package(rpm: Rpm, tree: Path, owners: _Owners) -> str:
    tags = [("Version", rpm.version), ("Release", rpm.release), ("Epoch", rpm.epoch), ("License", "Various")]
    tags += [("BuildArch", "noarch")] if rpm.arch == "noarch" else []
    tags += [("Summary", rpm.summary.replace("%", "%%")), ("AutoReqProv", "no")]
    tags += [("Requires", one) for one in rpm.requires]
    tags += [("Recommends", one) for one in rpm.recommends]
    tags += [("Provides", one) for one in rpm.provides]
    lines = "".join(f"{tag}: {value}\n" for tag, value in tags if (tag, value) != ("Epoch", "0"))
    name = f"-n {rpm.name}"
    files = "".join(_file_line(tree, path, owners) for path in sorted(rpm.files))
    return f"%package {name}\n{lines}%description {name}\n{rpm.summary}\n%files {name}\n{files}"


def _file_line(tree: Path, path: str, owners: _Owners) -> str:
    status = (tree / path[1:]).lstat()
    words = []
    if not stat.S_ISLNK(status.st_mode):
        user, group = owners.users[status.st_uid], owners.groups[status.st_gid]
        words.append(f"%attr({stat.S_IMODE(status.st_mode):o},{user},{group})")
    if stat.S_ISDIR(status.st_mode):
        words.append("%dir")
    elif path.startswith("/etc/") and stat.S_ISREG(status.st_mode):
        words.append("%config(noreplace)")
    return f'{" ".join(words)} "{_escaped(path)}"\n'


def _escaped(path: str) -> str:
    # %files takes globs, and there is no other way to write some characters than as one.
    special = {"%": "%%", "[": "[[]", "*": "[*]"}
    return re.sub(r'[%\[*?{}"\\]', lambda found: special.get(found[0], "?"), path)
