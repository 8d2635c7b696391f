"""The boot menus on a finished medium, read back: which entries there are, and what each would tell the kernel.

Reads menus as `bootmenu` writes them; it decides nothing about them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from isobuilder.boot.firmware import Firmware
from isobuilder.bootmenu.entries import SERIAL_SUFFIX
from isobuilder.bootmenu.render import FIRMWARE_CONSOLE, GRUB_BIOS_MENU, GRUB_EFI_MENU, ISOLINUX_MENU
from isobuilder.errors import MediumError, UsageError
from isobuilder.iso.reader import read_file
from isobuilder.schema import did_you_mean

SIZE_LIMIT = 1 << 20

_GRUB_ENTRY = re.compile(
    r"^(\t?)(menuentry|submenu) '((?:[^']|'\\'')*)' --id ([a-z][a-z0-9.-]*)(?: --hotkey=\w| --class heading)? \{$"
)
_GRUB_LINUX = re.compile(r"^\s+linux(?:efi)? \S+ (.+)$")
# A file; where there is none, blocks of a disk are given.
_GRUB_CHAIN = re.compile(r"^\s+(?:if )?chainloader (?!\+1\b)(.*?)(?:; then)?$")
_ID = re.compile(r"[a-z][a-z0-9-]*")
_LOADER = re.compile(r"/([A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*)")
# Lines of the menu that start nothing: headings, and the ways to another list.
_OWN_ID = re.compile(r"(?:heading|menu)\.[a-z0-9]+")


@dataclass(frozen=True)
class MenuLine:
    """An entry as it stands on the medium.

    `steps` lead to it: its place in the list that shows first, or that of a list behind it and then its place there,
    each counted from 0 and over lines that can be marked only. `kernel_line` is None for the local disk; `loaders` are
    the paths that GRUB looks for on disks then, best first.
    """

    id: str
    title: str
    steps: tuple[int, ...]
    kernel_line: str | None = None
    loaders: tuple[str, ...] = ()


@dataclass(frozen=True)
class BootMenu:
    """A menu in the order that it shows. `serial_port` is where it is drawn as well, None for nowhere.

    What the firmware's console is counts as the first port.
    """

    lines: tuple[MenuLine, ...]
    default: str
    serial_port: int | None

    def find(self, entry: str) -> MenuLine:
        """The line of `entry`. Raises UsageError, with a suggestion, when there is none."""
        known = {line.id: line for line in self.lines}
        if entry not in known:
            raise UsageError(f"--entry: the menu has no {entry!r}{did_you_mean(entry, known)}")
        return known[entry]

    def on_serial(self, entry: str) -> MenuLine:
        """The line that does what `entry` does and talks on the serial console, when the menu has one."""
        found = self.find(entry)
        return next((line for line in self.lines if line.id == entry + SERIAL_SUFFIX), found)


def read_menu(iso: Path, firmware: Firmware) -> BootMenu:
    """The menu that `firmware` would show. Raises MediumError when `iso` is no medium with a menu of ours, UsageError
    when it is not there, HostError when it cannot be read.
    """
    missing: list[MediumError] = []
    for path, parse in _MENUS[firmware].items():
        try:
            text = read_file(iso, path, limit=SIZE_LIMIT).decode("utf-8", errors="replace")
        except MediumError as error:
            missing.append(error)
            continue
        menu = parse(text)
        if menu.lines and menu.default in [line.id for line in menu.lines]:
            return menu
        raise MediumError(
            f"{iso}: {path} is no menu that isobuilder made", hint="Only media made by isobuilder can be checked."
        )
    raise missing[0]


@dataclass
class _Lines:
    """The lines of a menu as they are read, and where the next one stands."""

    read: list[MenuLine] = field(default_factory=list)
    places: list[int] = field(default_factory=lambda: [0])

    def line(self, name: str, title: str) -> None:
        """One more line of the list; those that start nothing take a place only."""
        if not _OWN_ID.fullmatch(name):
            self.read.append(MenuLine(name, title, tuple(self.places)))
        self.places[-1] += 1

    def unmarked(self) -> None:
        """The last line was one that no key marks."""
        self.places[-1] = max(0, self.places[-1] - 1)

    def begin(self) -> None:
        """The next lines are behind one that stands here."""
        self.places.append(0)

    def end(self) -> None:
        if len(self.places) > 1:
            self.places.pop()
            self.places[-1] += 1

    def change(self, **values: object) -> None:
        if self.read:
            self.read[-1] = replace(self.read[-1], **values)  # type: ignore[arg-type]


def parse_isolinux(text: str) -> BootMenu:
    """The entries of an isolinux.cfg; lines that are not about entries are passed over.

    Raises MediumError for an id that isobuilder gives to no entry.
    """
    lines = _Lines()
    name, default, port = "", "", None
    for line in text.splitlines():
        words = line.split()
        match words:
            case ["serial", unit, *_] if unit.isdecimal():
                port = int(unit)
            case ["label", name]:
                lines.line(_id(name), name)
            case ["menu", "disable"]:
                lines.unmarked()
            case ["menu", "begin", _]:
                name = ""
                lines.begin()
            case ["menu", "end"]:
                lines.end()
            case ["menu", "label", *_] if _ID.fullmatch(name):
                lines.change(title=re.sub(r"\^(.)", r"\1", line.split("label", 1)[1].strip()))
            case ["menu", "default"] if _ID.fullmatch(name):
                default = name
            case ["append", *arguments] if _ID.fullmatch(name):
                lines.change(kernel_line=" ".join(word for word in arguments if not word.startswith("initrd=")))
    return BootMenu(tuple(lines.read), default, port)


def parse_grub(text: str) -> BootMenu:
    """The entries of a grub.cfg; lines that are not about entries are passed over.

    Raises MediumError for a loader whose path does not stay below the top of a disk: it is made on one to be found.
    """
    lines = _Lines()
    default, port = "", None
    for line in text.splitlines():
        if found := _GRUB_ENTRY.match(line):
            tab, kind, title, name = found.groups()
            if not tab:
                lines.end()
            if kind == "submenu":
                lines.begin()
            else:
                lines.line(name, title.replace("'\\''", "'").strip())
        elif found := _GRUB_LINUX.match(line):
            lines.change(kernel_line=found[1])
        elif lines.read and (found := _GRUB_CHAIN.match(line)):
            lines.change(loaders=(*lines.read[-1].loaders, _loader(found[1])))
        elif found := re.match(r"set default=([a-z][a-z0-9-]*)$", line):
            default = found[1]
        elif found := re.match(r"if serial --unit=([0-9])", line):
            port = int(found[1])
        elif line == FIRMWARE_CONSOLE:
            port = 0
    return BootMenu(tuple(lines.read), default, port)


_MENUS: dict[Firmware, dict[str, Callable[[str], BootMenu]]] = {
    "bios": {ISOLINUX_MENU: parse_isolinux, GRUB_BIOS_MENU: parse_grub},
    "uefi": {GRUB_EFI_MENU: parse_grub},
    "uefi-secure": {GRUB_EFI_MENU: parse_grub},
}


def _id(name: str) -> str:
    if not (_ID.fullmatch(name) or _OWN_ID.fullmatch(name)):
        raise MediumError(f"{ISOLINUX_MENU}: {name!r} is no id of an entry")
    return name


def _loader(place: str) -> str:
    """The path of a loader, without the slash in front."""
    found = _LOADER.fullmatch(place)
    if not found or {".", ".."} & set(found[1].split("/")):
        raise MediumError(f"{GRUB_EFI_MENU}: {place!r} is no path of a loader")
    return found[1]
