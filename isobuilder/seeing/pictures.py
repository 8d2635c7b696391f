"""Pictures of a medium's boot menus, taken of machines in QEMU; why there is none where there is none."""

import re
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Final

from isobuilder.boot.accelerate import accelerator
from isobuilder.boot.hardware import Accelerator, Hardware, hardware_for
from isobuilder.boot.menu import DRAWING_SECONDS, read_menu
from isobuilder.boot.vm import Machine, VirtualMachine
from isobuilder.errors import BootError, HostError, IsobuilderError, MediumError
from isobuilder.hosterrors import scratch_errors
from isobuilder.progress import Progress
from isobuilder.seeing.picture import Firmware, Picture, Pictures

# A menu was seen after 2 s on a BIOS and 8 s on UEFI, translated; a busy machine may take many times that.
SECONDS: Final = 120.0


def take_pictures(
    iso: Path,
    firmwares: Iterable[Firmware],
    progress: Progress,
    *,
    choose_accelerator: Callable[[Hardware, Progress], Accelerator] = accelerator,
    seconds: float = SECONDS,
) -> Pictures:
    """Start `iso` as a CD on a machine of its architecture with each firmware, and take a picture of the menu there.

    That works for media of isobuilder whose menu is on a serial port too, by which it is known that it is there.
    Whatever else there is becomes a reason; nothing is raised for it.
    """
    found: dict[Firmware, Picture | str] = {}
    choose = cache(lambda: choose_accelerator(hardware_for(iso), progress))
    for firmware in firmwares:
        try:
            found[firmware] = _picture(iso, firmware, progress, choose, seconds)
        except IsobuilderError as error:
            found[firmware] = error.message.removeprefix(f"{iso}: ")
    return found


def _picture(
    iso: Path,
    firmware: Firmware,
    progress: Progress,
    choose_accelerator: Callable[[], Accelerator],
    seconds: float,
) -> Picture:
    hardware = hardware_for(iso)
    if firmware not in hardware.firmware:
        raise HostError(f"machines of {hardware.arch} have no {firmware} here")
    try:
        menu = read_menu(iso, firmware)
    except MediumError as error:
        raise MediumError("isobuilder did not make this menu, and cannot tell when it is there") from error
    if menu.serial_port is None:
        raise MediumError("the menu is on no serial console, by which it would be known that it is there")
    kind = choose_accelerator()
    progress.note(f"taking a picture of the menu ({firmware}, {kind})")
    machine = Machine(firmware, "cdrom", serial_port=menu.serial_port, hardware=hardware)
    with scratch_errors(), tempfile.TemporaryDirectory(prefix="isobuilder-pictures-") as folder:
        path = Path(folder) / "menu.png"
        with VirtualMachine(machine, iso, accelerator=kind, console_log=Path(folder) / "console.log") as vm:
            if not vm.expect([re.compile(re.escape(menu.shows))], seconds):
                raise BootError(f"the menu was not seen within {seconds:.0f} s")
            vm.rest(DRAWING_SECONDS)
            vm.screenshot(path)
        return Picture(firmware, path.read_bytes(), kind)
