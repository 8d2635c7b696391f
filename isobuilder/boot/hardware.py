"""Kinds of machines in QEMU, as data: one row for each architecture that media are made for.

Says what there is, and which kind a medium is for; nothing is started here.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from isobuilder.boot import guestcode
from isobuilder.errors import MediumError
from isobuilder.iso.reader import read_file

Accelerator = Literal["kvm", "tcg"]
Firmware = Literal["bios", "uefi"]
Medium = Literal["cdrom", "usb"]

# The third line of this file is the architecture; installers take no medium without it for their own.
DISCINFO = ".discinfo"
DISCINFO_LIMIT = 4096


@dataclass(frozen=True)
class Probe:
    """A program that counts to 100 million, and what shows that it has: QEMU's exit status, and its serial line.

    `load` gives QEMU's options for the file that `image` was written to.
    """

    image: bytes
    load: Callable[[Path], list[str]]
    status: int
    says: bytes


@dataclass(frozen=True)
class Hardware:
    """A kind of machine.

    `machine`, `processors`, `devices` (a screen, and a keyboard where the board has none) and `drives` are options of
    `qemu`, where a drive is the node "medium"; `packages`
    are Debian's names of what has `qemu` and the files of `uefi`: pairs of firmware and its variables, best first.
    `serial` and a number is what the kernel calls a serial port. `efi_machine` and `speaker` are the type of an EFI
    program, and the code of one that writes what stands behind it to the serial port.
    """

    arch: str
    qemu: str
    packages: Mapping[str, str]
    machine: str
    processors: Mapping[Accelerator, str]
    devices: tuple[str, ...]
    drives: Mapping[Medium, tuple[str, ...]]
    firmwares: tuple[Firmware, ...]
    uefi: tuple[tuple[Path, Path], ...]
    serial: str
    console: str
    efi_machine: int
    speaker: bytes
    probe: Probe


def blockdev(name: str, path: Path, *, read_only: bool = False) -> list[str]:
    """QEMU's options for the file at `path` as a node with this name."""
    file = {"driver": "file", "filename": str(path.absolute()), "read-only": read_only}
    return ["-blockdev", json.dumps({"driver": "raw", "node-name": name, "read-only": read_only, "file": file})]


def _x86_probe(image: Path) -> list[str]:
    return [
        *("-device", f"isa-debug-exit,iobase={guestcode.DEBUG_EXIT_PORT},iosize=1"),
        *(*blockdev("disk", image, read_only=True), "-device", "virtio-blk-pci,drive=disk,bootindex=0"),
    ]


def _pairs(*paths: tuple[str, str]) -> tuple[tuple[Path, Path], ...]:
    return tuple((Path(code), Path(variables)) for code, variables in paths)


X86_64 = Hardware(
    arch="x86_64",
    qemu="qemu-system-x86_64",
    packages={"qemu": "qemu-system-x86", "uefi": "ovmf"},
    machine="q35",
    processors={"kvm": "max", "tcg": "max"},
    devices=("-vga", "std"),
    drives={
        "cdrom": ("-device", "ide-cd,bus=ide.0,drive=medium,bootindex=0"),
        "usb": ("-device", "qemu-xhci", "-device", "usb-storage,drive=medium,bootindex=0"),
    },
    firmwares=("bios", "uefi"),
    # As distributions ship it: Debian, Ubuntu; Fedora, CentOS; Arch.
    uefi=_pairs(
        ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
        ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
        ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ),
    serial="ttyS",
    console="ttyS0,115200",
    efi_machine=0x8664,
    speaker=guestcode.SAY_X86_64,
    probe=Probe(guestcode.probe_disk(), _x86_probe, guestcode.PROBE_STATUS, b""),
)
AARCH64 = Hardware(
    arch="aarch64",
    qemu="qemu-system-aarch64",
    packages={"qemu": "qemu-system-arm", "uefi": "qemu-efi-aarch64"},
    # The default is an interrupt controller that many hosts with KVM do not have.
    machine="virt,gic-version=max",
    # QEMU computes the architected pointer authentication slowly, and old kernels take no larger addresses.
    processors={"kvm": "max", "tcg": "max,pauth-impdef=on,lpa2=off"},
    # Unlike a virtio-gpu this is memory, which GRUB and a kernel's first console draw in.
    devices=("-device", "ramfb", "-device", "qemu-xhci", "-device", "usb-kbd"),
    drives={
        "cdrom": ("-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=medium,bootindex=0"),
        "usb": ("-device", "usb-storage,drive=medium,bootindex=0"),
    },
    firmwares=("uefi",),
    # As distributions ship it: Debian, Ubuntu; Fedora, CentOS; Arch.
    uefi=_pairs(
        ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
        ("/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"),
        ("/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"),
    ),
    serial="ttyAMA",
    console="ttyAMA0",
    efi_machine=0xAA64,
    speaker=guestcode.SAY_AARCH64,
    probe=Probe(guestcode.PROBE_AARCH64, lambda image: ["-kernel", str(image)], 0, guestcode.PROBE_AARCH64_SAYS),
)
KINDS = {hardware.arch: hardware for hardware in (X86_64, AARCH64)}


def hardware_for(iso: Path) -> Hardware:
    """The kind of machine that the medium `iso` is for, by its .discinfo.

    Raises MediumError when it does not say, or names an architecture that is not here; else as `read_file`.
    """
    lines = read_file(iso, DISCINFO, limit=DISCINFO_LIMIT).decode("utf-8", errors="replace").splitlines()
    arch = lines[2].strip() if len(lines) > 2 else ""
    if arch not in KINDS:
        raise MediumError(
            f"{iso}: {DISCINFO} names the architecture {arch[:40]!r}, and not {' or '.join(KINDS)}",
            hint="Only media made by isobuilder can be checked.",
        )
    return KINDS[arch]
