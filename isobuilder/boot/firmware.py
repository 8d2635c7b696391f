"""The firmware of a machine in QEMU: which there is, where distributions have it, and how QEMU is told."""

import shutil
from collections.abc import Mapping, Sequence
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

_DEBIAN = Path("/usr/share/OVMF")
_FEDORA = Path("/usr/share/edk2/ovmf")
_ARCH = Path("/usr/share/edk2/x64")
OVMF: Places = MappingProxyType(
    {
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
)

_MISSING: Mapping[Firmware, str] = MappingProxyType(
    {
        "uefi": "there is no UEFI firmware for QEMU on this machine",
        "uefi-secure": "there is no UEFI firmware for QEMU with Secure Boot and Microsoft's keys on this machine",
    }
)

# Such firmware guards its variables by system management mode, and does not start without it. QEMU's OVMF says so of
# SMM_REQUIRE: without sleep (S3), and with flash memory that only system management mode writes to.
_GUARDED = (
    *("-machine", "smm=on", "-global", "ICH9-LPC.disable_s3=1"),
    *("-global", "driver=cfi.pflash01,property=secure,value=on"),
)


def firmware_arguments(firmware: Firmware, scratch: Path, places: Places = OVMF) -> list[str]:
    """QEMU's arguments for `firmware`, on a machine of its kind q35. The variables are copied to the folder `scratch`.

    Raises HostError when this host has no such firmware.
    """
    if firmware == "bios":
        return []
    for code, variables in places[firmware]:
        if code.exists() and variables.exists():
            shutil.copyfile(variables, scratch / "variables")
            guarded = _GUARDED if firmware == "uefi-secure" else ()
            return [
                *image_arguments("code", code, read_only=True),
                *image_arguments("variables", scratch / "variables"),
                *("-machine", "pflash0=code,pflash1=variables"),
                *guarded,
            ]
    raise HostError(
        _MISSING[firmware],
        details=[f"{code}, {variables}: not both there" for code, variables in places[firmware]],
        hint="On Debian and Ubuntu: apt install ovmf. On Fedora and CentOS: dnf install edk2-ovmf",
    )
