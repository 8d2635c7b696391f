"""What a lab has to know of its medium: the menu, and which entry makes which machine of a cloud."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from isobuilder.boot.firmware import NAMES, Firmware
from isobuilder.boot.hardware import Hardware, hardware_for
from isobuilder.boot.menu import BootMenu, MenuLine, read_menu
from isobuilder.bootmenu.entries import SERIAL_SUFFIX
from isobuilder.errors import UsageError
from isobuilder.iso.reader import read_file
from isobuilder.kickstart.disks import STORAGE_INCLUDE
from isobuilder.schema import did_you_mean

Part = Literal["frontend", "nc"]

KICKSTART_LIMIT = 1 << 20
_KICKSTART = re.compile(r"(?:^|\s)(?:inst\.)?ks=\S*:(/\S+)")
# What a role's kickstart tells the wizard of the parts of a cloud that it makes.
_PARTS = re.compile(r'^PARTS="([a-z ]*)"$', re.MULTILINE)
_OPTIONS: dict[Part, str] = {"frontend": "--front-end", "nc": "--node"}


@dataclass(frozen=True)
class Role:
    """A menu entry with a kickstart: the parts of a cloud that it makes, and whether it asks for no disk."""

    line: MenuLine
    parts: tuple[str, ...]
    unattended: bool


@dataclass(frozen=True)
class LabMedium:
    """A medium of ours whose menu is on the serial port `serial_port` too; `roles` by id, in the menu's order."""

    iso: Path
    hardware: Hardware
    menu: BootMenu
    serial_port: int
    roles: dict[str, Role]

    def role(self, part: Part, chosen: str | None) -> Role | None:
        """The entry that is `chosen`, or else the first that makes this part and no other; None when there is none.

        Raises UsageError when what is chosen is not there.
        """
        if chosen is None:
            return next((role for role in self.roles.values() if role.parts == (part,)), None)
        if chosen not in self.roles:
            raise UsageError(f"{_OPTIONS[part]}: the medium has no role {chosen!r}{did_you_mean(chosen, self.roles)}")
        return self.roles[chosen]

    def unattended_role(self, part: Part, chosen: str | None) -> Role:
        """As `role`. Raises UsageError too when there is none, or the installer would ask a person for the disk."""
        role = self.role(part, chosen)
        if role is None:
            raise UsageError(
                f"--unattended: nothing on the medium says which role is for {_OPTIONS[part].removeprefix('--')}",
                hint=f"Name it with {_OPTIONS[part]}: the medium has {', '.join(self.roles) or 'no roles'}.",
            )
        if not role.unattended:
            raise UsageError(
                f"--unattended: the installer of {role.line.id} asks a person which disk to use",
                hint='Set disk = { min-size = "20GB" } under [install] in the definition and build the medium again, '
                "or leave out --unattended and choose at the console.",
            )
        return role


def read_lab_medium(iso: Path, firmware: Firmware) -> LabMedium:
    """Read `iso` for machines with `firmware`.

    Raises UsageError when it is not there, its machines have not that firmware, or its menu is on no serial port;
    MediumError when isobuilder has not made it; HostError when it cannot be read.
    """
    hardware = hardware_for(iso)
    if firmware not in hardware.firmware:
        raise UsageError(f"the medium is for {hardware.arch}, and {NAMES[firmware]} cannot be had for that here")
    menu = read_menu(iso, firmware)
    if menu.serial_port is None:
        raise UsageError(
            f"{iso}: the menu is on no serial console, and the machines of a lab have no screen",
            hint=f'Set console = "{hardware.console}" under [install] in the definition and build the medium again.',
        )
    roles = {line.id: role for line in menu.lines if (role := _role(iso, menu, line))}
    return LabMedium(iso.absolute(), hardware, menu, menu.serial_port, roles)


def _role(iso: Path, menu: BootMenu, line: MenuLine) -> Role | None:
    found = _KICKSTART.search(line.kernel_line or "")
    if not found or line.id.endswith(SERIAL_SUFFIX):
        return None
    text = read_file(iso, found[1].lstrip("/"), limit=KICKSTART_LIMIT).decode("utf-8", errors="replace")
    parts = _PARTS.search(text)
    return Role(
        menu.on_serial(line.id), tuple(parts[1].split()) if parts else (), f"%include {STORAGE_INCLUDE}" in text
    )
