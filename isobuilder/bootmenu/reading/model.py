"""What a menu says, whatever loader it is for: entries, the one that starts by itself, and the files it names."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

# Where a loader reads: the medium's own file system, the EFI image's, or a disk that nobody can know of.
Device = Literal["medium", "esp", "elsewhere"]
Loader = Literal["isolinux", "grub", "grub-legacy"]
Use = Literal["kernel", "initrd", "module", "message", "picture", "theme", "font", "menu", "chain", "loader-file"]
# What an entry does: start a kernel, another program of the medium, the local disk, another list, or none of these.
Action = Literal["linux", "program", "local", "submenu", "other"]

# Menus have some thousands of bytes. As many files as this are followed, so deep.
SIZE_LIMIT: Final = 1 << 18
MOST_FILES: Final = 40
MOST_ENTRIES: Final = 2000


class Devices(Protocol):
    """The files that a loader could reach. Paths are from the root of a device, with or without a slash in front."""

    def exists(self, device: Device, path: str) -> bool | None:
        """Whether there is such a file; None when nobody can know."""

    def text(self, device: Device, path: str) -> str | None:
        """What is in a file, None when it is not there or cannot be read."""

    def with_label(self, label: str) -> Device | None:
        """The device whose file system has this label, None for none of the medium's."""

    def with_uuid(self, uuid: str) -> Device | None:
        """The device whose file system has this UUID, None for none of the medium's."""

    def shown(self, device: Device, path: str) -> str:
        """How a person is told of a file."""


@dataclass(frozen=True)
class Place:
    """A line of a file, counted from 1; `file` is how a person is told of it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True)
class Named:
    """A file that a menu names: `path` from the root of `device`, `written` as it stands in the menu.

    With `guarded` it is tried only, and something else is done when it is not there.
    """

    use: Use
    device: Device
    path: str
    written: str
    place: Place
    guarded: bool = False


@dataclass(frozen=True)
class Boot:
    """One kernel that an entry starts; `arguments` is what the kernel is told, without what loaders put before it.

    `command` is the menu's for the kernel, and `loaded_by` that for the initrd, where it is one of its own.
    """

    command: str
    kernel: Named
    initrds: tuple[Named, ...]
    arguments: str
    place: Place
    loaded_by: str | None = None


@dataclass(frozen=True)
class Search:
    """GRUB looking for a device: `found` is the one it would take, None for none of the medium's.

    `by` is label, uuid or file. With `guarded` the menu goes on in another way when nothing is found.
    """

    by: Literal["label", "uuid", "file"]
    key: str
    found: Device | None
    place: Place
    guarded: bool = False


@dataclass(frozen=True)
class Entry:
    """One line of a menu. `steps` are titles of the lists that lead to it, from the first one on.

    `boots` is more than one where the entry chooses between kernels by what cannot be known. `named` are other files.
    `place` is where it begins. With `conditional` it is there on some machines only.
    """

    id: str
    title: str
    place: Place
    action: Action
    steps: tuple[str, ...] = ()
    boots: tuple[Boot, ...] = ()
    named: tuple[Named, ...] = ()
    searches: tuple[Search, ...] = ()
    conditional: bool = False
    marked: bool = False


@dataclass(frozen=True)
class Problem:
    """What a loader would stop at, or read otherwise than it was meant."""

    place: Place
    text: str


@dataclass(frozen=True)
class Default:
    """Which entry is marked: `written` in the menu at `place` (None: not at all, so that the loader takes its own).

    `entry` is None when there is no such one, or when it cannot be known, and then `known` is false.
    """

    entry: Entry | None
    written: str | None = None
    place: Place | None = None
    known: bool = True


@dataclass(frozen=True)
class Menu:
    """A menu as its loader would have it. `path` is how a person is told of its file.

    `wait` is after how many seconds the default starts by itself, 0 for at once and None for never. `platform` is what
    the loader runs on.
    """

    path: str
    loader: Loader
    platform: Literal["bios", "uefi"]
    entries: tuple[Entry, ...]
    default: Default
    wait: float | None
    named: tuple[Named, ...] = ()
    searches: tuple[Search, ...] = ()
    problems: tuple[Problem, ...] = ()


def decode(data: bytes) -> str:
    """The text of a menu: UTF-8, else Latin-1; without a byte order mark, NUL bytes and carriage returns."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\0", "").replace("\r", "")


def joined(folder: str, path: str) -> str:
    """`path` from the root, when it may be relative to `folder`: no slash in front, no "." and ".." left."""
    parts: list[str] = []
    for part in [*([] if path.startswith("/") else folder.split("/")), *path.split("/")]:
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)
