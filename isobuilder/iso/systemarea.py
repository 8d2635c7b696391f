"""The first 32 KiB of a medium and its last sectors: what makes the same image a CD and a disk.

A CD is started by El Torito, which lies in the file system (`layout.py`). A USB stick with the same bytes is started
by the master boot record (BIOS) or by the partition that holds the EFI image (UEFI). This module makes those tables as
values; it knows no file system and reads no file.
"""

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from isobuilder.errors import MediumError
from isobuilder.iso.units import BLOCK, SECTOR
from isobuilder.tree import BootRecords, GrubBios, Isolinux, UefiOnly

CODE_SIZE = 432
ALIGNMENT = 1 << 20
BACKUP_SIZE = 33 * SECTOR
# In blocks: where the first partition starts. Partitioning tools want all others on multiples of that.
GRAIN = 16

# Where the code finds the address of what it starts, and what boot_hybrid.img has there before it is told.
_ADDRESS = slice(CODE_SIZE, CODE_SIZE + 8)
_GRUB_UNSET = struct.pack("<Q", 1)
_MBR_ENTRY = struct.Struct("<B3sB3sII")
_PER_BLOCK = BLOCK // SECTOR  # sectors
_HEADS, _TRACK = 64, 32
_GPT_ENTRIES, _GPT_ENTRY_SIZE = 128, 128
_FIRST_USABLE = 2 + _GPT_ENTRIES * _GPT_ENTRY_SIZE // SECTOR
_ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_DATA_TYPE = uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")


@dataclass(frozen=True)
class Places:
    """Where things lie, in blocks of 2048 bytes: the BIOS image (0: none), the partition of the EFI image, the end.

    `blocks` is the whole medium and a multiple of 512 (1 MiB), so that it ends on a cylinder of 64 heads, 32 sectors.
    """

    bios: int
    efi: int
    efi_blocks: int
    blocks: int


@dataclass(frozen=True)
class _Partition:
    kind: uuid.UUID
    name: str
    first: int
    last: int


def check_code(boot: BootRecords) -> None:
    """Refuse boot code that does not fit in front of the address that it reads, or is none of its loader's."""
    if isinstance(boot, Isolinux) and not 0 < len(boot.mbr) <= CODE_SIZE:
        raise MediumError(
            f"the code of the master boot record has {len(boot.mbr)} bytes; it must have 1 to {CODE_SIZE}",
            hint="It is the start of isohdpfx.bin, from the same syslinux as the BIOS boot image.",
        )
    if isinstance(boot, GrubBios) and (len(boot.mbr) != SECTOR or boot.mbr[_ADDRESS] != _GRUB_UNSET):
        raise MediumError(
            f"the code of the master boot record ({len(boot.mbr)} bytes) is not the boot_hybrid.img of a GRUB",
            hint="It has 512 bytes, and comes from the same GRUB as the BIOS boot image.",
        )


def system_area(boot: BootRecords, places: Places, identity: str) -> tuple[bytes, bytes]:
    """The bytes at the very start of the medium (MBR, GPT) and its last `BACKUP_SIZE` bytes (the backup GPT).

    With isolinux the MBR is that of CentOS's own media up to 9: the code, behind it the address of the BIOS image,
    partition 1 active, over the whole image and of type 0, and partition 2 of type 0xEF over the EFI image. UEFI
    firmware that keeps to the specification heeds a GPT only behind a protective MBR, which this is not: it starts a
    stick from partition 2 of the MBR (EDK2 from the El Torito entry, which it finds on sticks too). A medium for UEFI
    alone has that partition alone, and no code.

    With GRUB it is that of CentOS 10: the code, the address of the BIOS image's second block, where GRUB goes on, and
    the one partition that protects a GPT, so that the GPT is what counts.

    The GPT is the same on all, for firmware that looks at it behind another MBR too. Stock media up to 9 give its
    entries the type of plain data and let the first cover the table and the second. Here the EFI image has the type of
    an EFI system partition, and what is in front of it and behind it is covered by entries of plain data: no two
    overlap, and a partitioning tool sees no free space. Each of the three ways alone starts OVMF.

    Ids are derived from `identity`, so that the same tree has the same.
    """
    sectors = places.blocks * _PER_BLOCK
    table = _gpt_entries(_partitions(places), identity)
    primary = _gpt_header(table, identity, sectors, here=1, other=sectors - 1, entries=2)
    backup = _gpt_header(table, identity, sectors, here=sectors - 1, other=1, entries=sectors - 33)
    return _mbr(boot, places, identity) + primary + table, table + backup


def _mbr(boot: BootRecords, places: Places, identity: str) -> bytes:
    match boot:
        case Isolinux():
            code, address, partitions = boot.mbr, places.bios * _PER_BLOCK, _whole(places) + _efi(places)
        case GrubBios():
            code, address, partitions = boot.mbr[:CODE_SIZE], (places.bios + 1) * _PER_BLOCK, _protective(places)
        case UefiOnly():
            code, address, partitions = b"", 0, _efi(places)
    disk_id = _id(identity, "disk").bytes[:4]
    head = code.ljust(CODE_SIZE, b"\0") + struct.pack("<Q4sH", address, disk_id, 0)
    return head + partitions.ljust(4 * _MBR_ENTRY.size, b"\0") + b"\x55\xaa"


def _whole(places: Places) -> bytes:
    sectors = places.blocks * _PER_BLOCK
    cylinder = min(sectors // (_HEADS * _TRACK), 1024) - 1
    end = bytes([_HEADS - 1, _TRACK | cylinder >> 2 & 0xC0, cylinder & 0xFF])
    return _MBR_ENTRY.pack(0x80, b"\0\1\0", 0, end, 0, min(sectors, 0xFFFFFFFF))


def _efi(places: Places) -> bytes:
    beyond = b"\xfe\xff\xff"
    return _MBR_ENTRY.pack(0, beyond, 0xEF, beyond, places.efi * _PER_BLOCK, places.efi_blocks * _PER_BLOCK)


def _protective(places: Places) -> bytes:
    """The one partition that UEFI demands in front of a GPT (specification 2.10, section 5.2.3)."""
    sectors = places.blocks * _PER_BLOCK
    return _MBR_ENTRY.pack(0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))


def _partitions(places: Places) -> Sequence[_Partition]:
    grain = GRAIN * _PER_BLOCK
    start = places.efi * _PER_BLOCK
    end = start + places.efi_blocks * _PER_BLOCK
    last = (places.blocks * _PER_BLOCK - BACKUP_SIZE // SECTOR) // grain * grain - 1
    return (
        _Partition(_DATA_TYPE, "Medium", grain, start - 1),
        _Partition(_ESP_TYPE, "EFI boot", start, end - 1),
        _Partition(_DATA_TYPE, "Medium, continued", end, last),
    )


def _gpt_entries(partitions: Sequence[_Partition], identity: str) -> bytes:
    entries = b"".join(
        struct.pack(
            "<16s16sQQQ72s",
            partition.kind.bytes_le,
            _id(identity, f"partition {number}").bytes_le,
            partition.first,
            partition.last,
            0,
            partition.name.encode("utf-16-le"),
        )
        for number, partition in enumerate(partitions, 1)
    )
    return entries.ljust(_GPT_ENTRIES * _GPT_ENTRY_SIZE, b"\0")


def _gpt_header(table: bytes, identity: str, sectors: int, *, here: int, other: int, entries: int) -> bytes:
    def header(checksum: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART",
            0x10000,
            92,
            checksum,
            0,
            here,
            other,
            _FIRST_USABLE,
            sectors - BACKUP_SIZE // SECTOR - 1,
            _id(identity, "disk").bytes_le,
            entries,
            _GPT_ENTRIES,
            _GPT_ENTRY_SIZE,
            zlib.crc32(table),
        )

    return header(zlib.crc32(header(0))).ljust(SECTOR, b"\0")


def _id(identity: str, role: str) -> uuid.UUID:
    """A stable id that says nothing but that it was derived: version 5, in a name space of our own."""
    return uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, "isobuilder"), f"{identity}/{role}")
