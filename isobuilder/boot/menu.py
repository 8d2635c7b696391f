"""The boot menus on a finished medium, read back: which entries there are, and what each would tell the kernel.

`bootmenu.reading` reads them; here is what a person at the keyboard needs to choose an entry of a menu of ours.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from isobuilder.boot.firmware import Firmware
from isobuilder.boot.hardware import Hardware
from isobuilder.bootmenu.entries import SERIAL_SUFFIX
from isobuilder.bootmenu.reading.grub import Platform, read_grub
from isobuilder.bootmenu.reading.isolinux import read_isolinux
from isobuilder.bootmenu.reading.model import Device, Entry, Menu
from isobuilder.bootmenu.render import FIRMWARE_CONSOLE, GRUB_BIOS_MENU, GRUB_EFI_MENU, ISOLINUX_MENU
from isobuilder.errors import MediumError, UsageError
from isobuilder.iso.reader import read_file
from isobuilder.schema import did_you_mean

SIZE_LIMIT = 1 << 20
# A menu's first line is on the serial port a moment before its last is on the screen.
DRAWING_SECONDS = 1.5
# A word of this length shows that a line of the menu is there, also where a narrow screen cuts it.
TITLE_SHOWN = 40

_OURS = "# Made by isobuilder."
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

    @property
    def presses(self) -> tuple[tuple[str, ...], ...]:
        """The keys that choose it, by QEMU's names, for each list on the way: a list behind a line is drawn anew."""
        # Twice: the first key that a machine is given can get lost, and a second "home" changes nothing.
        return tuple(("home", "home", *["down"] * step, "ret") for step in self.steps)


@dataclass(frozen=True)
class BootMenu:
    """A menu in the order that it shows. `serial_port` is where it is drawn as well, None for nowhere.

    What the firmware's console is counts as the first port.
    """

    lines: tuple[MenuLine, ...]
    default: str
    serial_port: int | None

    def find(self, entry: str, *, asked: str = "--entry") -> MenuLine:
        """The line of `entry`. Raises UsageError, with a suggestion, when there is none; `asked` says who named it."""
        known = {line.id: line for line in self.lines}
        if entry not in known:
            raise UsageError(f"{asked}: the menu has no {entry!r}{did_you_mean(entry, known)}")
        return known[entry]

    @property
    def shows(self) -> str:
        """Words by which the menu is known when it is there, also where a narrow screen cuts them."""
        return self.find(self.default).title[:TITLE_SHOWN]

    def on_serial(self, entry: str, *, asked: str = "--entry") -> MenuLine:
        """The line that does what `entry` does and talks on the serial console, when the menu has one."""
        found = self.find(entry, asked=asked)
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
        if _OURS in text and menu.default in [line.id for line in menu.lines]:
            return menu
        raise MediumError(
            f"{iso}: {path} is no menu that isobuilder made", hint="Only media made by isobuilder can be checked."
        )
    raise missing[0]


def serial_port(menu: BootMenu, line: MenuLine, hardware: Hardware, *, asked: str) -> int:
    """The number of the serial port that the menu and the entry's kernel share, and the machine has.

    Raises UsageError when there is none; `asked` says where the entry was named.
    """
    port = menu.serial_port
    talks = line.kernel_line is None or re.search(rf"console={hardware.serial}{port}\b", line.kernel_line)
    if port is None or not talks:
        raise UsageError(
            f"{asked}: {line.id} says nothing on a serial console, and a boot can only be followed there",
            hint=f'Set console = "{hardware.console}" under [install] in the definition and build the medium again.',
        )
    return port


def parse_isolinux(text: str) -> BootMenu:
    """The entries of an isolinux.cfg; lines that are not about entries are passed over.

    Raises MediumError for an id that isobuilder gives to no entry.
    """
    found = read_isolinux(ISOLINUX_MENU, _Alone(ISOLINUX_MENU, text))
    for entry in found.entries:
        if len(entry.id.split()) == 1 and not (_ID.fullmatch(entry.id) or _OWN_ID.fullmatch(entry.id)):
            raise MediumError(f"{ISOLINUX_MENU}: {entry.id!r} is no id of an entry")
    return _boot_menu(found, re.search(r"^serial ([0-9]+)\b", text, re.MULTILINE))


def parse_grub(text: str) -> BootMenu:
    """The entries of a grub.cfg; lines that are not about entries are passed over.

    Raises MediumError for a loader whose path does not stay below the top of a disk: it is made on one to be found.
    """
    found = read_grub("medium", GRUB_EFI_MENU, _Alone(GRUB_EFI_MENU, text), Platform("uefi", "x86_64"))
    port = re.search(r"^if serial --unit=([0-9])", text, re.MULTILINE)
    on_firmware = re.search(rf"^{FIRMWARE_CONSOLE}()$", text, re.MULTILINE)
    return _boot_menu(found, port or on_firmware)


@dataclass(frozen=True)
class _Alone:
    """A menu without the medium around it: what it searches for is found, and what it names nobody knows."""

    path: str
    content: str

    def exists(self, device: Device, path: str) -> None:
        del device, path

    def text(self, device: Device, path: str) -> str | None:
        del device
        return self.content if path == self.path else None

    def with_label(self, label: str) -> Device | None:
        del label
        return "medium"

    def with_uuid(self, uuid: str) -> Device | None:
        del uuid
        return "medium"

    def shown(self, device: Device, path: str) -> str:
        del device
        return path


def _boot_menu(found: Menu, port: re.Match[str] | None) -> BootMenu:
    lines = [_line(entry, steps) for entry, steps in _placed(found.entries) if _ID.fullmatch(entry.id)]
    default = found.default.entry.id if found.default.entry else ""
    return BootMenu(tuple(lines), default, int(port[1] or 0) if port else None)


def _placed(entries: tuple[Entry, ...]) -> Iterator[tuple[Entry, tuple[int, ...]]]:
    """Each entry with the places that lead to it, over lines that can be marked."""
    counted: Counter[tuple[str, ...]] = Counter()
    behind: dict[tuple[str, ...], tuple[int, ...]] = {}
    for entry in entries:
        place = (*behind.get(entry.steps, ()), counted[entry.steps])
        counted[entry.steps] += 1
        if entry.action == "submenu":
            behind[*entry.steps, entry.title] = place
        yield entry, place


def _line(entry: Entry, steps: tuple[int, ...]) -> MenuLine:
    loaders = tuple(_loader(named.written) for named in entry.named if named.use == "chain")
    return MenuLine(entry.id, entry.title, steps, entry.boots[0].arguments if entry.boots else None, loaders)


_MENUS: dict[Firmware, dict[str, Callable[[str], BootMenu]]] = {
    "bios": {ISOLINUX_MENU: parse_isolinux, GRUB_BIOS_MENU: parse_grub},
    "uefi": {GRUB_EFI_MENU: parse_grub},
    "uefi-secure": {GRUB_EFI_MENU: parse_grub},
}


def _loader(place: str) -> str:
    """The path of a loader, without the slash in front."""
    found = _LOADER.fullmatch(place)
    if not found or {".", ".."} & set(found[1].split("/")):
        raise MediumError(f"{GRUB_EFI_MENU}: {place!r} is no path of a loader")
    return found[1]
