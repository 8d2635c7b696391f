"""The medium before it is an image: what lies where, as values. Nothing is copied here."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inline:
    """A file that we made: its bytes."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def make(self) -> bytes:
        return self.data


@dataclass(frozen=True)
class Cached:
    """A file that was fetched: where its bytes lie, and what they must be when they are read."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class Late:
    """A file that is made when all that was fetched has come: `size` is known before, `make` gives so many bytes."""

    size: int
    make: Callable[[], bytes]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.make()).hexdigest()


Content = Inline | Cached | Late


@dataclass(frozen=True)
class Isolinux:
    """BIOS starts isolinux, and UEFI a FAT image that is a file, as on the x86_64 media of CentOS 6 to 9.

    `image` (isolinux.bin) and `efi` are paths in the tree; `mbr` is what starts isolinux from a disk, at most 432 bytes
    (isohdpfx.bin of the same syslinux).
    """

    image: str
    efi: str
    mbr: bytes
    catalog: str = "isolinux/boot.cat"


@dataclass(frozen=True)
class GrubBios:
    """BIOS starts GRUB, and UEFI a FAT image that is a partition and no file, as on the x86_64 media of CentOS 10.

    `image` (grub-mkimage -O i386-pc-eltorito) is a path in the tree, `efi` the FAT image itself, which comes behind all
    files; `mbr` is the 512 bytes of boot_hybrid.img, of the same GRUB.
    """

    image: str
    efi: Inline
    mbr: bytes
    catalog: str = "boot.cat"


@dataclass(frozen=True)
class UefiOnly:
    """Nothing for a BIOS: UEFI starts the FAT image `efi`, a path in the tree, as on the aarch64 media of CentOS."""

    efi: str
    catalog: str = "boot.cat"


# What firmware starts from. `catalog` is where El Torito's boot catalog becomes a file.
BootRecords = Isolinux | GrubBios | UefiOnly


@dataclass(frozen=True)
class Tree:
    """Everything that a medium holds.

    `files` maps a path on the medium ("isolinux/isolinux.bin", no leading slash) to its content. `epoch`
    (seconds since 1970, UTC) is the one time on the medium. `identity` is text that ids are derived from (disk GUIDs
    and the like): equal trees have equal ids.
    """

    volume_id: str
    epoch: int
    identity: str
    files: Mapping[str, Content]
    boot: BootRecords
