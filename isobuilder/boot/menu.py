"""The boot menus on a finished medium, read back: which entries there are, and what each would tell the kernel.

Reads menus as `menus` writes them; it decides nothing about them.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from isobuilder.boot.vm import Firmware
from isobuilder.errors import MediumError, UsageError
from isobuilder.iso.reader import read_file
from isobuilder.schema import did_you_mean

MENU_PATHS: dict[Firmware, str] = {"bios": "isolinux/isolinux.cfg", "uefi": "EFI/BOOT/grub.cfg"}
SIZE_LIMIT = 1 << 20

_GRUB_ENTRY = re.compile(r"^menuentry '((?:[^']|'\\'')*)' --id ([a-z][a-z0-9-]*)(?: --hotkey=\w)? \{$")
_GRUB_LINUX = re.compile(r"^\s+linux(?:efi)? \S+ (.+)$")
_GRUB_CHAIN = re.compile(r"^\s+chainloader (.*)$")
_ID = re.compile(r"[a-z][a-z0-9-]*")
_LOADER = re.compile(r"/([A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*)")


@dataclass(frozen=True)
class MenuLine:
    """An entry as it stands on the medium.

    `kernel_line` is None for the local disk; `loaders` are the paths that GRUB looks for on disks then, best first.
    """

    id: str
    title: str
    kernel_line: str | None = None
    loaders: tuple[str, ...] = ()


@dataclass(frozen=True)
class BootMenu:
    """A menu in the order that it shows. `serial_port` is where it is drawn as well, None for nowhere."""

    path: str
    lines: tuple[MenuLine, ...]
    default: str
    serial_port: int | None

    def index(self, entry: str) -> int:
        """Where `entry` stands, from 0. Raises UsageError, with a suggestion, when it does not."""
        known = [line.id for line in self.lines]
        if entry not in known:
            raise UsageError(f"--entry: the menu has no {entry!r}{did_you_mean(entry, known)}")
        return known.index(entry)


def read_menu(iso: Path, firmware: Firmware) -> BootMenu:
    """The menu that `firmware` would show. Raises MediumError when `iso` is no medium with a menu of ours, UsageError
    when it is not there, HostError when it cannot be read.
    """
    path = MENU_PATHS[firmware]
    text = read_file(iso, path, limit=SIZE_LIMIT).decode("utf-8", errors="replace")
    menu = parse_isolinux(text) if firmware == "bios" else parse_grub(text)
    if not menu.lines or menu.default not in [line.id for line in menu.lines]:
        raise MediumError(
            f"{iso}: {path} is no menu that isobuilder made", hint="Only media made by isobuilder can be checked."
        )
    return menu


def parse_isolinux(text: str) -> BootMenu:
    """The entries of an isolinux.cfg; lines that are not about entries are passed over.

    Raises MediumError for an id that isobuilder gives to no entry.
    """
    lines: list[MenuLine] = []
    default, port = "", None
    for line in text.splitlines():
        words = line.split()
        match words:
            case ["serial", unit, *_] if unit.isdecimal():
                port = int(unit)
            case ["label", name]:
                lines.append(MenuLine(_id(name), name))
            case ["menu", "label", *_] if lines:
                title = re.sub(r"\^(.)", r"\1", line.split("label", 1)[1].strip())
                lines[-1] = replace(lines[-1], title=title)
            case ["menu", "default"] if lines:
                default = lines[-1].id
            case ["append", *arguments] if lines:
                kernel = " ".join(word for word in arguments if not word.startswith("initrd="))
                lines[-1] = replace(lines[-1], kernel_line=kernel)
    return BootMenu(MENU_PATHS["bios"], tuple(lines), default, port)


def parse_grub(text: str) -> BootMenu:
    """The entries of a grub.cfg; lines that are not about entries are passed over.

    Raises MediumError for a loader whose path does not stay below the top of a disk: it is made on one to be found.
    """
    lines: list[MenuLine] = []
    default, port = "", None
    for line in text.splitlines():
        if found := _GRUB_ENTRY.match(line):
            lines.append(MenuLine(found[2], found[1].replace("'\\''", "'")))
        elif lines and (found := _GRUB_LINUX.match(line)):
            lines[-1] = replace(lines[-1], kernel_line=found[1])
        elif lines and (found := _GRUB_CHAIN.match(line)):
            lines[-1] = replace(lines[-1], loaders=(*lines[-1].loaders, _loader(found[1])))
        elif found := re.match(r"set default=([a-z][a-z0-9-]*)$", line):
            default = found[1]
        elif found := re.match(r"if serial --unit=([0-9])", line):
            port = int(found[1])
    return BootMenu(MENU_PATHS["uefi"], tuple(lines), default, port)


def _id(name: str) -> str:
    if not _ID.fullmatch(name):
        raise MediumError(f"{MENU_PATHS['bios']}: {name!r} is no id of an entry")
    return name


def _loader(place: str) -> str:
    """The path of a loader, without the slash in front."""
    found = _LOADER.fullmatch(place)
    if not found or {".", ".."} & set(found[1].split("/")):
        raise MediumError(f"{MENU_PATHS['uefi']}: {place!r} is no path of a loader")
    return found[1]
