"""What QEMU is told about drives: images, and the scratch disks that lie beside a medium.

It makes images where it is told to, writes scratch disks to the folder that it is given, and nothing else.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from isobuilder.errors import HostError


@dataclass(frozen=True)
class RawDisk:
    """A disk with these bytes at its start."""

    data: bytes


@dataclass(frozen=True)
class FatDisk:
    """A disk with one FAT partition that holds `files`: paths like EFI/centos/shimx64.efi, none that climbs."""

    files: dict[str, bytes]


@dataclass(frozen=True)
class KeptDisk:
    """An image in QEMU's format qcow2 at `path`, which is written to and stays; the guest reads the `serial` number."""

    path: Path
    serial: str


Disk = RawDisk | FatDisk | KeptDisk


@dataclass(frozen=True)
class Stick:
    """A USB stick beside the disk, which nothing is started from: FAT with a `label` that holds `files`."""

    label: str
    files: dict[str, bytes] = field(repr=False)


# What a virtio disk has room for.
SERIAL_LENGTH = 20


def make_disk(path: Path, gib: int, base: Path | None = None) -> None:
    """Make an empty disk that takes room as it is written, or one that starts as `base` and leaves that as it is.

    Raises HostError when that cannot be.
    """
    backing = ["-b", str(base.absolute()), "-F", "qcow2"] if base else []
    command = ["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(path), f"{gib}G"]
    made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode:
        raise HostError(f"{path}: the disk cannot be made", details=made.stderr.strip().splitlines())


def image_arguments(name: str, path: Path, *, read_only: bool = False, form: str = "raw") -> list[str]:
    """The file `path`, in QEMU's format `form`, as a block node `name`, for a device to use."""
    file = {"driver": "file", "filename": str(path.absolute()), "read-only": read_only}
    return ["-blockdev", json.dumps({"driver": form, "node-name": name, "read-only": read_only, "file": file})]


def disk_arguments(disk: Disk | None, scratch: Path) -> list[str]:
    """A disk that is second to be started, written to the folder `scratch`; nothing for None.

    Raises ValueError for a file whose path leads out of the disk, HostError when it cannot be written.
    """
    if disk is None:
        return []
    if isinstance(disk, KeptDisk):
        kept = {"driver": "virtio-blk-pci", "drive": "disk", "bootindex": 1, "serial": disk.serial}
        return [*image_arguments("disk", disk.path, form="qcow2"), "-device", json.dumps(kept)]
    device = ["-device", "virtio-blk-pci,drive=disk,bootindex=1"]
    if isinstance(disk, RawDisk):
        (scratch / "disk").write_bytes(disk.data)
        return [*image_arguments("disk", scratch / "disk"), *device]
    return [*_fat("disk", scratch, disk.files), *device]


def stick_arguments(stick: Stick | None, scratch: Path) -> list[str]:
    """A stick in a port of its own, its files written to the folder `scratch`; nothing for None. Raises as a disk."""
    if stick is None:
        return []
    device = {"driver": "usb-storage", "bus": "sticks.0", "drive": "stick", "removable": True}
    node = _fat("stick", scratch, stick.files, label=stick.label)
    return [*node, "-device", "qemu-xhci,id=sticks", "-device", json.dumps(device)]


def _fat(name: str, scratch: Path, files: Mapping[str, bytes], **more: str) -> list[str]:
    """`files`, written to a folder of `scratch`, as a block node `name` with one FAT partition."""
    folder = (scratch / name).resolve()
    _fill(folder, files)
    node = {"driver": "vvfat", "node-name": name, "dir": str(folder), "fat-type": 16, "read-only": True, **more}
    return ["-blockdev", json.dumps(node)]


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` below `folder`. ValueError for a path that leads out of it, HostError when it cannot be done."""
    for name, data in files.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise ValueError(f"{name!r} leads out of the disk")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise HostError(f"the scratch disk cannot be made: {name[:200]}: {error.strerror}") from error
