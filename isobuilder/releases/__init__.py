"""Facts of a release as data: one TOML file each, a shipped one or the user's own.

Nothing here knows one release from another, and nothing else in isobuilder does: a fact that code would ask about is a
key of `Release`.
"""

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from isobuilder.definition import Definition, Repository, Title, Url, fill_in
from isobuilder.errors import DefinitionError
from isobuilder.schema import Many, Matching, Table, did_you_mean, load_toml

TreePath = Annotated[str, Matching(r"(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[A-Za-z0-9._+/-]{1,200}", "a path inside the tree")]
Name = Annotated[
    str, Matching(r"[A-Za-z0-9][A-Za-z0-9._+() -]{0,60}", "a name of letters, digits and . _ + ( ) - and spaces")
]
AbsolutePath = Annotated[str, Matching(r"(?!.*/\.{1,2}(?:/|$))(?:/[A-Za-z0-9._+-]+){1,20}", "an absolute path")]
PackageName = Annotated[str, Matching(r"[A-Za-z0-9][A-Za-z0-9._+-]*", "a package's name")]
Argument = Annotated[str, Matching(r"[A-Za-z0-9._-]+(?:=[A-Za-z0-9._:/=,{}-]*)?", "one kernel argument")]


class PackagedFile(Table):
    """A file that no tree publishes, taken out of a package of the release (signed, and named in the lock)."""

    package: PackageName
    file: AbsolutePath


class KernelArguments(Table):
    """How the installer is told things. `{label}`: the volume id, escaped; `{path}`: a path from the medium's root."""

    stage2: Argument
    kickstart: Annotated[Argument, Matching(r".*\{path\}.*", "an argument with {path} in it")]
    rescue: Argument
    check: Argument


class Boot(Table):
    """What boots: paths in the tree, which are the paths on the medium too.

    `bios_image` is what El Torito starts on a BIOS (isolinux.bin), one of `files`, the loaders' own; `mbr` the code for
    a USB stick's master boot record. `linux` and `initrd_command` are
    the commands of this release's UEFI GRUB. `local_loaders` are where an installed system of this release keeps its
    own loader on its EFI system partition, best first.
    """

    kernel: TreePath
    initrd: TreePath
    stage2: TreePath
    bios_image: TreePath
    files: Many[TreePath]
    mbr: PackagedFile
    linux: Literal["linux", "linuxefi"] = "linux"
    initrd_command: Literal["initrd", "initrdefi"] = "initrd"
    local_loaders: Annotated[Many[AbsolutePath], Field(min_length=1)]

    @model_validator(mode="after")
    def _bios_image_is_there(self) -> Self:
        if self.bios_image not in self.files:
            raise ValueError(f"bios-image: {self.bios_image!r} is not one of files")
        if "mbr" in self.files:
            raise ValueError("files: the lock has the name 'mbr' for the master boot record's code")
        return self


class ArchFacts(Table):
    """What differs between architectures of one release.

    `always` are packages that the installer adds to every role by itself; `may` those that a person can bring in at its
    screens (storage, languages), and so are on the medium too.
    """

    tree: Url
    always: Many[PackageName]
    may: Many[PackageName] = ()
    boot: Boot


class Release(Table):
    """One release of CentOS, or of a rebuild of it.

    `variant` is the one that .treeinfo names (installers of 8 and later take the repository of "BaseOS" for the base);
    `kickstart_syntax` is pykickstart's name for the syntax that its installer takes.
    """

    id: Annotated[str, Matching(r"[a-z0-9][a-z0-9.-]{0,30}", "a release's short name")]
    title: Title
    family: Name
    short: Name
    version: Annotated[str, Matching(r"[0-9]+(?:\.[0-9]+)*", "a version such as 9 or 7.9")]
    variant: Name = "BaseOS"
    kickstart_syntax: Annotated[
        str, Matching(r"(?:RHEL|F)[0-9]{1,2}", "a syntax that pykickstart knows, such as RHEL9")
    ]
    end_of_life: dt.date | None = None
    kernel_arguments: KernelArguments
    repository: Annotated[Many[Repository], Field(min_length=1)]
    arch: dict[Literal["x86_64", "aarch64"], ArchFacts]


def load_release(definition: Definition) -> Release:
    """The release that the definition names: a shipped one by id, or a file of the user's by path (ending in .toml).

    Raises DefinitionError for an unknown id, a file with mistakes, or an architecture that the release lacks.
    """
    wanted = definition.release
    if wanted.endswith(".toml"):
        release = load_toml(definition.folder / wanted, Release, "release file")
    else:
        known = {path.stem: path for path in Path(__file__).parent.glob("*.toml")}
        if wanted not in known:
            raise DefinitionError(
                f"release: {wanted!r} is not a release{did_you_mean(wanted, known)}",
                hint="A release file of your own is named by its path, which ends in .toml.",
            )
        release = load_toml(known[wanted], Release, "release file")
    if definition.arch not in release.arch:
        raise DefinitionError(
            f"arch: {release.title} has no {definition.arch}{did_you_mean(definition.arch, release.arch)}"
        )
    return release


def end_of_life_warning(release: Release, today: dt.date) -> str | None:
    """What to tell who uses a release that gets no updates any more."""
    if release.end_of_life is None or today <= release.end_of_life:
        return None
    return f"{release.title} has had no updates since {release.end_of_life}"


def repositories(definition: Definition, release: Release) -> tuple[Repository, ...]:
    """The repositories of a medium: the release's, replaced or joined by the definition's, `$basearch` filled in."""
    merged = {repository.id: repository for repository in release.repository}
    merged |= {repository.id: repository for repository in definition.repository}
    return tuple(repository.for_arch(definition.arch) for repository in merged.values())


def expand(url: str, arch: str) -> str:
    """`url` with `$basearch` filled in, and one slash at the end."""
    return fill_in(url, arch).rstrip("/") + "/"
