"""A configured Debian tree as a set of packages: one for each Debian package, and one for what configuring it made.

Because the tree is configured already, none of them needs a scriptlet. It reads the tree and writes nothing.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.practice.rpms import Rpm

# What CentOS calls the same thing: kickstarts and comps ask for packages by these names.
_NAMES = {
    "base-files": "basesystem",
    "grub-common": "grub2-common",
    "grub-pc-bin": "grub2-pc",
    "grub2-common": "grub2-tools",
    "iproute2": "iproute",
    "iputils-ping": "iputils",
    "libc-bin": "glibc-common",
    "libc6": "glibc",
    "linux-image-amd64": "kernel",
    "network-manager": "NetworkManager",
    "openssh-client": "openssh-clients",
    "passwd": "shadow-utils",
    "procps": "procps-ng",
}
_STATE = "system-state"
_SETUP = "setup"
_BASE = "base-files"
_LOGIN = ("libpam-modules", "libpam-runtime", "login", "passwd")

# Debian's package manager and its lists, and what belongs to one machine: addresses, names, keys.
_LEFT_OUT = re.compile(
    r"/(?:dev|proc|run|sys|tmp|etc/apt|etc/dpkg|var/lib/apt|var/lib/dpkg|var/cache|var/log)(?:/|$)"
    r"|/etc/(?:hostname|resolv\.conf|ssh/ssh_host_.*|\.pwd\.lock|(?:group|gshadow|passwd|shadow|subgid|subuid)-)$"
)
# As on CentOS: users and groups, in a package that requires nothing, so that it is installed before files are theirs.
_ACCOUNTS = ("/etc/group", "/etc/gshadow", "/etc/passwd", "/etc/shadow")
_MOUNT_POINTS = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/cache", "/var/log")


@dataclass(frozen=True)
class _Deb:
    fields: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.fields["Package"]

    @property
    def rpm_name(self) -> str:
        return "kernel-core" if re.match(r"linux-image-\d", self.name) else _NAMES.get(self.name, self.name)

    def relations(self, *fields: str) -> Iterator[list[tuple[str, str]]]:
        """The alternatives of each relation in `fields`: a package's name, and RPM's words for a version or ""."""
        for relation in ",".join(self.fields.get(field, "") for field in fields).split(","):
            if relation.strip():
                yield [_relation(alternative) for alternative in relation.split("|")]


def split(tree: Path) -> list[Rpm]:
    """The packages that a tree, as mmdebstrap leaves it, is made of. Together they hold all of it that is kept."""
    debs = {deb.name: deb for deb in _installed(tree)}
    files = _owned(tree, debs)
    owner = {path: name for name, paths in files.items() for path in paths}
    kernel = next(name for name in debs if re.match(r"linux-image-\d", name))
    state = set(_MOUNT_POINTS)
    for path in _walk(tree):
        if path not in owner:
            of_kernel = path.startswith(("/boot/", "/usr/lib/modules/"))
            # A link that configuring made, such as one that enables a unit, is there with what it leads to.
            of_target = files.get(owner.get(_target(tree, path), ""), state)
            (files[kernel] if of_kernel else of_target).add(path)
    names = {name: deb.rpm_name for name, deb in debs.items()}
    virtual = {name for deb in debs.values() for [(name, _)] in deb.relations("Provides")} - debs.keys()
    rpms = [_rpm(deb, names | {name: name for name in virtual}, files[deb.name], debs) for deb in debs.values()]
    state -= set(_ACCOUNTS)
    rpms.append(Rpm(_SETUP, "1", "Users and groups of the system", arch="noarch", files=_ACCOUNTS))
    rpms.append(Rpm(_STATE, "1", "Files that configuring the packages made", requires=(_SETUP,), files=tuple(state)))
    return sorted(rpms, key=lambda rpm: rpm.name)


def _installed(tree: Path) -> Iterator[_Deb]:
    for paragraph in (tree / "var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            yield _Deb(fields)


def _owned(tree: Path, debs: Mapping[str, _Deb]) -> dict[str, set[str]]:
    """What each Debian package owns, as absolute paths without links in their folders; no file has two owners.

    The links at the root that a merged /usr needs belong to the package that everything requires.
    """
    links = {
        f"/{path.name}" for path in tree.iterdir() if path.is_symlink() and path.name.startswith(("bin", "lib", "sbin"))
    }
    files = {name: set[str]() for name in debs}
    files[_BASE] |= links
    taken = set(links)
    for name, deb in debs.items():
        for path in _listed(tree, deb):
            status = tree / path[1:]
            is_folder = status.is_dir() and not status.is_symlink()
            if os.path.lexists(status) and not _LEFT_OUT.match(path) and (is_folder or path not in taken):
                files[name].add(path)
                taken.add(path)
    return files


def _listed(tree: Path, deb: _Deb) -> Iterator[str]:
    info = tree / "var/lib/dpkg/info"
    listing = next(
        path
        for path in (info / f"{deb.name}.list", info / f"{deb.name}:{deb.fields['Architecture']}.list")
        if path.exists()
    )
    for line in listing.read_text(encoding="utf-8").splitlines():
        if line != "/.":
            folder, _, base = line.rpartition("/")
            yield f"{_without_links(tree, folder)}/{base}"


def _without_links(tree: Path, folder: str) -> str:
    real = os.path.realpath(tree / folder[1:])
    return "" if real == os.path.realpath(tree) else f"/{os.path.relpath(real, os.path.realpath(tree))}"


def _target(tree: Path, path: str) -> str:
    """Where the link at `path` leads to in the end, or nothing; links that lead to each other lead nowhere."""
    here, seen = path, set[str]()
    while (tree / here[1:]).is_symlink() and here not in seen:
        seen.add(here)
        folder, _, base = os.path.normpath(Path(here).parent / (tree / here[1:]).readlink()).rpartition("/")
        here = f"{_without_links(tree, folder)}/{base}"
    return here if seen and here not in seen else ""


def _walk(tree: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(tree):
        inside = folder[len(os.fspath(tree)) :]
        folders[:] = [name for name in folders if not _LEFT_OUT.match(f"{inside}/{name}")]
        yield from (f"{inside}/{name}" for name in folders + names if not _LEFT_OUT.match(f"{inside}/{name}"))


def _rpm(deb: _Deb, names: Mapping[str, str], files: set[str], debs: Mapping[str, _Deb]) -> Rpm:
    epoch, version, release = _evr(deb.fields["Version"])
    requires = {"basesystem", _SETUP} | {_words(found, names) for found in deb.relations("Depends", "Pre-Depends")}
    if deb.name == _BASE:
        # In Debian nothing requires an essential package: it is always there.
        essential = [name for name, other in debs.items() if other.fields.get("Essential") == "yes"]
        requires |= {names[name] for name in (*essential, *_LOGIN)} | {_STATE, "practice-release"}
    provides = {f"{name}{version}" for [(name, version)] in deb.relations("Provides")}
    provides |= {deb.name} if deb.name != deb.rpm_name else set()
    return Rpm(
        name=deb.rpm_name,
        epoch=epoch,
        version=version,
        release=release,
        arch="noarch" if deb.fields["Architecture"] == "all" else "x86_64",
        summary=deb.fields.get("Description", deb.name),
        requires=tuple(sorted(requires - {deb.rpm_name, ""})),
        recommends=tuple(sorted({_words(found, names) for found in deb.relations("Recommends")} - {deb.rpm_name, ""})),
        provides=tuple(sorted(provides | ({"/bin/sh"} if "/usr/bin/sh" in files else set()))),
        files=tuple(files),
    )


def _words(alternatives: list[tuple[str, str]], names: Mapping[str, str]) -> str:
    """The first alternative that is there, in RPM's words; "" when none is."""
    return next((f"{names[name]}{version}" for name, version in alternatives if name in names), "")


def _relation(text: str) -> tuple[str, str]:
    found = re.match(r"\s*([a-z0-9][a-z0-9.+-]*)(?::\w+)?\s*(?:\(([<>=]+)\s*([^)]+)\))?", text)
    if not found:
        raise ValueError(f"not a relation between Debian packages: {text!r}")
    if not found[2]:
        return found[1], ""
    epoch, version, release = _evr(found[3].strip())
    operator = {"<<": "<", ">>": ">"}.get(found[2], found[2])
    evr = f"{epoch}:{version}" if epoch != "0" else version
    # Without a revision Debian means revision 0, and RPM any release: this matters where equal is not enough.
    needs_release = "-" in found[3] or operator in ("<", ">")
    return found[1], f" {operator} {evr}" + (f"-{release}" if needs_release else "")


def _evr(version: str) -> tuple[str, str, str]:
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return epoch or "0", upstream.replace("-", "_"), revision
