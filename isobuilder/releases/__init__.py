"""Facts of a release as data: one TOML file each, a shipped one or the user's own.

Nothing here knows one release from another, and nothing else in isobuilder does: a fact that code would ask about is a
key of `Release`.
"""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from isobuilder.addresses import Folder
from isobuilder.definition import Definition, Identifier, Repository, Title, unlike_ids
from isobuilder.errors import DefinitionError
from isobuilder.schema import Many, Matching, Table, did_you_mean, load_toml

TreePath = Annotated[str, Matching(r"(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[A-Za-z0-9._+/-]{1,200}", "a path inside the tree")]
Name = Annotated[
    str, Matching(r"[A-Za-z0-9][A-Za-z0-9._+() -]{0,60}", "a name of letters, digits and . _ + ( ) - and spaces")
]
AbsolutePath = Annotated[str, Matching(r"(?!.*/\.{1,2}(?:/|$))(?:/[A-Za-z0-9._+-]+){1,20}", "an absolute path")]
PackageName = Annotated[str, Matching(r"[A-Za-z0-9][A-Za-z0-9._+-]*", "a package's name")]
Argument = Annotated[str, Matching(r"[A-Za-z0-9._-]+(?:=[A-Za-z0-9._:/=,{}-]*)?", "one kernel argument")]


# What the lock calls the master boot record's code, which is no file on the medium.
MBR = "mbr"
# Where isolinux finds its module that starts another disk.
CHAIN = "isolinux/chain.c32"

KickstartSection = Annotated[str, Matching(r"%[a-z][a-z-]{1,20}", "a section of a kickstart such as %post")]


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from error
    return value


class PackagedFile(Table):
    """A file that no tree publishes, taken out of a package of the release (signed, and named in the lock)."""

    package: PackageName
    file: AbsolutePath


class KernelArguments(Table):
    """How the installer is told things. `{label}`: the volume id, escaped; `{path}`: a path from the medium's root.

    `stage2` is left out where the installer looks for its second stage on the medium by itself (6). `no_copy` keeps it
    from leaving a copy of the kickstart in the installed system.
    """

    stage2: Argument | None = None
    no_copy: Argument | None = None
    kickstart: Annotated[Argument, Matching(r".*\{path\}.*", "an argument with {path} in it")]
    rescue: Argument
    check: Argument


class Refused(Table):
    """Kickstart lines that an installer stops at: `line` is a regular expression for the start of one; and `why`."""

    line: Annotated[str, AfterValidator(_pattern)]
    why: Title


class KickstartFacts(Table):
    """What the release's own installer makes of a kickstart, beyond what pykickstart tells.

    `syntax` is pykickstart's name for it. `sections` are those that the installer knows (pykickstart knows some that
    it does not); `environments`: whether %packages may name an environment (@^). `packages` are what its commands call
    in the installed system and the installer does not add: every kickstart of ours asks for them. `medium` and `root`
    are where scripts of the installer find the medium and the system that is being installed. `medium_is_sought`: the
    command cdrom looks for the medium among the disks that are not ignored, and does not remember it from the boot.
    `refused` is what pykickstart takes and the installer does not. `utf8`: it takes no kickstart in another encoding.
    """

    syntax: Annotated[str, Matching(r"(?:RHEL|F)[0-9]{1,2}", "a syntax that pykickstart knows, such as RHEL9")]
    sections: Many[KickstartSection] = ("%packages", "%pre", "%pre-install", "%post", "%onerror", "%traceback")
    environments: bool = True
    packages: Many[PackageName] = ()
    medium: AbsolutePath = "/run/install/repo"
    root: AbsolutePath = "/mnt/sysroot"
    medium_is_sought: bool = True
    refused: Many[Refused] = ()
    utf8: bool = True


class Installed(Table):
    """The installed system. `stock_repositories`: the repository files of its own packages still work.

    `https` is false where its TLS is too old for today's servers: what is signed is fetched by http then. `init` is
    what starts its services.
    """

    stock_repositories: bool = True
    https: bool = True
    init: Literal["sysv", "systemd"] = "systemd"


class Wizard(Table):
    """What the wizard of the first login runs on: an interpreter of Python 3.6 or later, and the package it is in.

    `libraries` is the folder of its shared libraries, where the system does not look for them by itself.
    """

    python: AbsolutePath = "/usr/bin/python3"
    package: PackageName = "python3"
    libraries: AbsolutePath | None = None


class Bios(Table):
    """What starts a BIOS: `image` by El Torito, one of `files`, the loader's own; `mbr` is code for a USB stick.

    `files` are paths in the tree, or in `inside`, an ISO of the tree; there a path that ends in a slash is a folder
    with all that it holds. They are the paths on the medium too. `chain` is isolinux's module that starts another disk:
    a medium that has it can start the local disk from a USB stick too.
    """

    loader: Literal["isolinux", "grub"]
    image: TreePath
    files: Many[TreePath]
    inside: TreePath | None = None
    mbr: PackagedFile
    chain: PackagedFile | None = None

    @model_validator(mode="after")
    def _files_are_there(self) -> Self:
        if self.image not in self.files:
            raise ValueError(f"image: {self.image!r} is not one of files")
        if MBR in self.files:
            raise ValueError(f"files: the lock has the name {MBR!r} for the master boot record's code")
        if folders := [path for path in self.files if path.endswith("/") and self.inside is None]:
            raise ValueError(f"files: {folders[0]!r} is a folder, and only one inside an ISO can be listed")
        return self


class Efi(Table):
    """What starts UEFI: the loader's `files` in the tree. `linux` and `initrd` are the commands of its GRUB's menu.

    `local_loaders` are where an installed system of this release keeps its own loader on its EFI system partition,
    best first.
    """

    loader: Literal["grub", "grub-legacy"] = "grub"
    files: Annotated[Many[TreePath], Field(min_length=1)]
    linux: Literal["linux", "linuxefi"] = "linux"
    initrd: Literal["initrd", "initrdefi"] = "initrd"
    local_loaders: Annotated[Many[AbsolutePath], Field(min_length=1)]


class Boot(Table):
    """What boots: paths in the tree, which are the paths on the medium too; `bios` is left out where there is none."""

    kernel: TreePath
    initrd: TreePath
    stage2: TreePath
    bios: Bios | None = None
    efi: Efi

    @property
    def tree_files(self) -> tuple[str, ...]:
        """The paths of all that is fetched from the tree as it lies there."""
        bios = self.bios.files if self.bios and self.bios.inside is None else ()
        return tuple(dict.fromkeys([self.kernel, self.initrd, self.stage2, *bios, *self.efi.files]))

    @property
    def inside(self) -> dict[TreePath, TreePath]:
        """What lies inside an ISO of the tree, as `Bios.files` says it: path to the path of the ISO."""
        return dict.fromkeys(self.bios.files, self.bios.inside) if self.bios and self.bios.inside else {}

    @property
    def packaged(self) -> dict[str, PackagedFile]:
        """What is taken out of packages, by the name that the lock gives it."""
        if self.bios is None:
            return {}
        return {MBR: self.bios.mbr} | ({CHAIN: self.bios.chain} if self.bios.chain else {})


class ArchFacts(Table):
    """What differs between architectures of one release.

    `always` are packages that the installer adds to every role by itself, those of `if_there` only where a repository
    has them (all the same they are on a medium of ours); `may` those that a person can bring in at its
    screens (storage, languages), and so are on the medium too. `repository` joins those of the release, or replaces
    the one with the same id.
    """

    tree: Folder
    always: Many[PackageName]
    if_there: Many[PackageName] = ()
    may: Many[PackageName] = ()
    repository: Annotated[Many[Repository], AfterValidator(unlike_ids)] = ()
    boot: Boot


class Dvd(Table):
    """The release's own installer DVD, which a definition may name as its `source`.

    `repositories` are those of the release's repositories that are on it, by id, each with its folder ("" is the root);
    the others are left out. `keys`: the key files lie at its root, by the names that they are published under.
    """

    repositories: Annotated[dict[Identifier, Literal[""] | TreePath], Field(min_length=1)]
    keys: bool = False


class Release(Table):
    """One release of CentOS, or of a rebuild of it.

    `rebuilds` are the families whose media of the same first number have the same packages and installer.
    `variant` is the one that .treeinfo names (installers of 8 and later take the repository of "BaseOS" for the base),
    absent where it names none; `platform` what modules require of it, as in its os-release's PLATFORM_ID (absent: what
    the repositories say). `end_of_life` is the last day with updates, and `end_of_life_source` says whose word that is.
    `metadata` are the formats, by rpm's words, in which its installer reads metadata. `network`
    is how the installed system keeps the configuration of its network: as ifcfg files of the service "network", or as
    NetworkManager's keyfiles.
    """

    id: Annotated[str, Matching(r"[a-z0-9][a-z0-9.-]{0,30}", "a release's short name")]
    title: Title
    family: Name
    rebuilds: Many[Name] = ()
    short: Name
    version: Annotated[str, Matching(r"[0-9]+(?:\.[0-9]+)*", "a version such as 9 or 7.9")]
    variant: Name | None = None
    platform: Annotated[str, Matching(r"[a-z0-9.+_-]{1,30}", "a module platform such as el8")] | None = None
    end_of_life: dt.date | None = None
    end_of_life_source: Annotated[str, Matching(r"[ -~]{1,200}", "a line of text")] | None = None
    metadata: Many[Literal["none", "gzip", "bzip2", "xz", "zstd"]] = ("none", "gzip", "bzip2", "xz", "zstd")
    network: Literal["ifcfg", "networkmanager"] = "networkmanager"
    kickstart: KickstartFacts
    kernel_arguments: KernelArguments
    installed: Installed = Installed()
    wizard: Wizard = Wizard()
    dvd: Dvd | None = None
    repository: Annotated[Many[Repository], AfterValidator(unlike_ids)] = ()
    arch: dict[Literal["x86_64", "aarch64"], ArchFacts]


def load_release(definition: Definition) -> Release:
    """The release that the definition names: a shipped one by id, or a file of the user's by path (ending in .toml).

    Raises DefinitionError for an unknown id, a file with mistakes, or an architecture that the release lacks.
    """
    if definition.release.endswith(".toml"):
        release = load_toml(definition.named(definition.folder, definition.release), Release, "release file")
    else:
        release = named_release(definition.release, definition.folder)
    if definition.arch not in release.arch:
        raise DefinitionError(
            f"arch: {release.title} has no {definition.arch}{did_you_mean(definition.arch, release.arch)}"
        )
    _check_source(definition, release)
    return release


def named_release(wanted: str, folder: Path) -> Release:
    """A shipped release by its id, or a file by its path below `folder`, ending in .toml. Raises DefinitionError."""
    if wanted.endswith(".toml"):
        return load_toml(folder / wanted, Release, "release file")
    known = _shipped()
    if wanted not in known:
        raise DefinitionError(
            f"release: {wanted!r} is not a release{did_you_mean(wanted, known)}",
            hint="A release file of your own is named by its path, which ends in .toml.",
        )
    return load_toml(known[wanted], Release, "release file")


def release_of_version(version: str) -> Release | None:
    """The shipped release that a medium of `version` ("7.9", "9") is of, or rebuilt from: the first number is its."""
    major = version.partition(".")[0]
    return next((release for release in shipped_releases() if release.version.partition(".")[0] == major), None)


def shipped_releases() -> Iterator[Release]:
    """The releases that isobuilder ships."""
    return (load_toml(path, Release, "release file") for path in _shipped().values())


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}


def _check_source(definition: Definition, release: Release) -> None:
    if definition.source is None:
        return
    if release.dvd is None:
        raise DefinitionError(f"source: the release file of {release.title} does not say what its DVD holds ([dvd])")
    known = {one.id for one in (*release.repository, *release.arch[definition.arch].repository)}
    if unknown := sorted(release.dvd.repositories.keys() - known):
        raise DefinitionError(f"dvd.repositories: {release.title} has no repository {unknown[0]!r}")


def end_of_life_warning(release: Release, today: dt.date) -> str | None:
    """What to tell who uses a release that gets no updates any more."""
    if release.end_of_life is None or today <= release.end_of_life:
        return None
    return f"{release.title} has had no updates since {release.end_of_life}"
