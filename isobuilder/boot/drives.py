"""What QEMU is told about drives: images, and the scratch disks that lie beside a medium.

It writes scratch disks to the folder that it is given, and nothing else.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
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


Disk = RawDisk | FatDisk


def image_arguments(name: str, path: Path, *, read_only: bool = False) -> list[str]:
    """The file `path` as a block node `name`, for a device to use."""
    file = {"driver": "file", "filename": str(path.absolute()), "read-only": read_only}
    return ["-blockdev", json.dumps({"driver": "raw", "node-name": name, "read-only": read_only, "file": file})]


def disk_arguments(disk: Disk | None, scratch: Path) -> list[str]:
    """A disk that is second to be started, written to the folder `scratch`; nothing for None.

    Raises ValueError for a file whose path leads out of the disk, HostError when it cannot be written.
    """
    if disk is None:
        return []
    device = ["-device", "virtio-blk-pci,drive=disk,bootindex=1"]
    if isinstance(disk, RawDisk):
        (scratch / "disk").write_bytes(disk.data)
        return [*image_arguments("disk", scratch / "disk"), *device]
    _fill((scratch / "disk").resolve(), disk.files)
    node = {"driver": "vvfat", "node-name": "disk", "dir": str(scratch / "disk"), "fat-type": 16, "read-only": True}
    return ["-blockdev", json.dumps(node), *device]


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
