"""The medium before it is an image: what lies where, as values. Nothing is copied here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inline:
    """A file that we made: its bytes."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Cached:
    """A file that was fetched: where its bytes lie, and what they must be when they are read."""

    path: Path
    sha256: str
    size: int


Content = Inline | Cached


@dataclass(frozen=True)
class BootRecords:
    """What firmware starts from: paths in the tree, and the master boot record's code.

    `bios` is the El Torito image for BIOS, which gets a boot info table; `efi` the FAT image that UEFI starts from;
    `catalog` where the boot catalog becomes a file; `mbr` at most 432 bytes of code for a disk (isohdpfx.bin).
    """

    bios: str
    efi: str
    catalog: str
    mbr: bytes


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
