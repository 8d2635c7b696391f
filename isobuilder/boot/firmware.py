"""The firmware of a machine in QEMU: which there is, where distributions have it, and how QEMU is told."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from isobuilder.boot.drives import image_arguments
from isobuilder.errors import HostError

# The last is UEFI with Secure Boot switched on and Microsoft's keys enrolled, as machines are sold.
Firmware = Literal["bios", "uefi", "uefi-secure"]

# Files with UEFI's code, and with its variables as they are before the first start; the first pair that is there is
# taken. QEMU has a BIOS of its own.
Places = Mapping[Firmware, Sequence[tuple[Path, Path]]]


@dataclass(frozen=True)
class Firmwares:
    """What firmware a kind of machine can have; `hint` is how to install it, `guard` what Secure Boot takes of QEMU."""

    places: Places
    hint: str
    guard: tuple[str, ...] = ()

    def __contains__(self, firmware: Firmware) -> bool:
        return firmware in self.places

    def pair(self, firmware: Firmware) -> tuple[Path, Path] | None:
        """The files with the code and the variables of `firmware` that this host has, if it has any."""
        return next((pair for pair in self.places[firmware] if all(path.exists() for path in pair)), None)


_DEBIAN = Path("/usr/share/OVMF")
_FEDORA = Path("/usr/share/edk2/ovmf")
_ARCH = Path("/usr/share/edk2/x64")
_DEBIAN_ARM = Path("/usr/share/AAVMF")
# Fedora, CentOS; and Arch.
_EDK2_ARM = Path("/usr/share/edk2/aarch64")
# Such firmware guards its variables by system management mode, and does not start without it. QEMU's OVMF says so of
# SMM_REQUIRE: without sleep (S3), and with flash memory that only system management mode writes to.
_GUARDED = (
    *("-machine", "smm=on", "-global", "ICH9-LPC.disable_s3=1"),
    *("-global", "driver=cfi.pflash01,property=secure,value=on"),
)

OVMF = Firmwares(
    MappingProxyType(
        {
            "bios": (),
            "uefi": (
                (_DEBIAN / "OVMF_CODE_4M.fd", _DEBIAN / "OVMF_VARS_4M.fd"),
                (_DEBIAN / "OVMF_CODE.fd", _DEBIAN / "OVMF_VARS.fd"),
                (_FEDORA / "OVMF_CODE.fd", _FEDORA / "OVMF_VARS.fd"),
                (_ARCH / "OVMF_CODE.4m.fd", _ARCH / "OVMF_VARS.4m.fd"),
            ),
            # Not Arch: its variables have no keys, and without keys such firmware starts anything.
            "uefi-secure": (
                (_DEBIAN / "OVMF_CODE_4M.secboot.fd", _DEBIAN / "OVMF_VARS_4M.ms.fd"),
                (_DEBIAN / "OVMF_CODE.secboot.fd", _DEBIAN / "OVMF_VARS.ms.fd"),
                (_FEDORA / "OVMF_CODE.secboot.fd", _FEDORA / "OVMF_VARS.secboot.fd"),
            ),
        }
    ),
    hint="On Debian and Ubuntu: apt install ovmf. On Fedora and CentOS: dnf install edk2-ovmf",
    guard=_GUARDED,
)
# For Secure Boot there is none that was seen to refuse anything.
AAVMF = Firmwares(
    MappingProxyType(
        {
            "uefi": (
                (_DEBIAN_ARM / "AAVMF_CODE.fd", _DEBIAN_ARM / "AAVMF_VARS.fd"),
                (_EDK2_ARM / "QEMU_EFI-pflash.raw", _EDK2_ARM / "vars-template-pflash.raw"),
                (_EDK2_ARM / "QEMU_CODE.fd", _EDK2_ARM / "QEMU_VARS.fd"),
            )
        }
    ),
    hint="On Debian and Ubuntu: apt install qemu-efi-aarch64. On Fedora and CentOS: dnf install edk2-aarch64",
)

_MISSING: Mapping[Firmware, str] = MappingProxyType(
    {
        "uefi": "there is no UEFI firmware for QEMU on this machine",
        "uefi-secure": "there is no UEFI firmware for QEMU with Secure Boot and Microsoft's keys on this machine",
    }
)

# What people call them.
NAMES: Mapping[Firmware, str] = MappingProxyType({"bios": "a BIOS", "uefi": "UEFI", "uefi-secure": "Secure Boot"})


def firmware_arguments(firmware: Firmware, scratch: Path, firmwares: Firmwares) -> list[str]:
    """QEMU's arguments for `firmware`, which is one of `firmwares`.

    The variables are copied to the folder `scratch`, where those of an earlier start are kept.
    Raises HostError when this host has no such firmware.
    """
    if firmware == "bios":
        return []
    if pair := firmwares.pair(firmware):
        code, variables = pair
        if not (scratch / "variables").exists():
            shutil.copyfile(variables, scratch / "variables")
        guarded = firmwares.guard if firmware == "uefi-secure" else ()
        return [
            *image_arguments("code", code, read_only=True),
            *image_arguments("variables", scratch / "variables"),
            *("-machine", "pflash0=code,pflash1=variables"),
            *guarded,
        ]
    raise HostError(
        _MISSING[firmware],
        details=[f"{code}, {variables}: not both there" for code, variables in firmwares.places[firmware]],
        hint=firmwares.hint,
    )
