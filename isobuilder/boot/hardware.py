"""Kinds of machines in QEMU, as data: one row for each architecture that media are made for.

Says what there is, and which kind a medium is for; nothing is started here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from isobuilder.boot import guestcode
from isobuilder.boot.drives import image_arguments
from isobuilder.boot.firmware import AAVMF, OVMF, Firmwares
from isobuilder.errors import MediumError
from isobuilder.iso.reader import read_file

Accelerator = Literal["kvm", "tcg"]
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
    `qemu`, where a drive is the node "medium"; `package`
    is Debian's name of what has it.
    `serial` and a number is what the kernel calls a serial port. `efi_machine` and `speaker` are the type of an EFI
    program, and the code of one that writes what stands behind it to the serial port.
    """

    arch: str
    qemu: str
    package: str
    machine: str
    processors: Mapping[Accelerator, str]
    devices: tuple[str, ...]
    drives: Mapping[Medium, tuple[str, ...]]
    firmware: Firmwares
    serial: str
    console: str
    efi_machine: int
    speaker: bytes
    probe: Probe


def _x86_probe(image: Path) -> list[str]:
    return [
        *("-device", f"isa-debug-exit,iobase={guestcode.DEBUG_EXIT_PORT},iosize=1"),
        *(*image_arguments("disk", image, read_only=True), "-device", "virtio-blk-pci,drive=disk,bootindex=0"),
    ]


X86_64 = Hardware(
    arch="x86_64",
    qemu="qemu-system-x86_64",
    package="qemu-system-x86",
    machine="q35",
    processors={"kvm": "max", "tcg": "max"},
    devices=("-vga", "std"),
    drives={
        "cdrom": ("-device", "ide-cd,bus=ide.0,drive=medium,bootindex=0"),
        "usb": ("-device", "qemu-xhci", "-device", "usb-storage,drive=medium,bootindex=0"),
    },
    firmware=OVMF,
    serial="ttyS",
    console="ttyS0,115200",
    efi_machine=0x8664,
    speaker=guestcode.SAY_X86_64,
    probe=Probe(guestcode.probe_disk(), _x86_probe, guestcode.PROBE_STATUS, b""),
)
AARCH64 = Hardware(
    arch="aarch64",
    qemu="qemu-system-aarch64",
    package="qemu-system-arm",
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
    firmware=AAVMF,
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
