"""The partition tables of a disk, as they stand in an image: the master boot record and the GPT, read as values.

`systemarea.py` makes them; this reads anybody's. Facts: UEFI specification 2.10, 5.2 and 5.3.
"""

import struct
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from isobuilder.iso.units import SECTOR

EFI_PARTITION: Final = 0xEF
PROTECTIVE: Final = 0xEE
ESP_TYPE: Final = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")

_CODE: Final = 440
_ADDRESS: Final = 432
_MBR_ENTRY: Final = struct.Struct("<B3sB3sII")
_GPT_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_GPT_ENTRY: Final = struct.Struct("<16s16sQQQ72s")
_GPT_CHECKSUM: Final = slice(16, 20)
# 128 entries of 128 bytes are usual, xorriso has 248.
_MOST_TABLE: Final = 1 << 20

Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class MbrPartition:
    """An entry of the master boot record that is in use: sectors of 512 bytes; `number` is 1 to 4."""

    number: int
    is_active: bool
    kind: int
    start: int
    sectors: int


@dataclass(frozen=True)
class Mbr:
    """The first sector: its code, the address that hybrid boot records keep behind it, and its partitions."""

    code: bytes
    address: int
    has_signature: bool
    partitions: tuple[MbrPartition, ...]

    @property
    def is_protective(self) -> bool:
        return any(partition.kind == PROTECTIVE for partition in self.partitions)


@dataclass(frozen=True)
class GptPartition:
    """An entry of the GPT that is in use, from sector `first` to `last`; `number` counts from 1."""

    number: int
    kind: uuid.UUID
    own: uuid.UUID
    first: int
    last: int
    name: str


@dataclass(frozen=True)
class Gpt:
    """One of the two: what it says of itself, in sectors, and what is wrong with it, in words."""

    here: int
    other: int
    first_usable: int
    last_usable: int
    disk: uuid.UUID
    partitions: tuple[GptPartition, ...]
    problems: tuple[str, ...]


def parse_mbr(sector: bytes) -> Mbr:
    """Read the first 512 bytes of a disk."""
    entries = [_MBR_ENTRY.unpack_from(sector, 446 + number * _MBR_ENTRY.size) for number in range(4)]
    partitions = tuple(
        MbrPartition(number, bool(active & 0x80), kind, start, sectors)
        for number, (active, _, kind, _, start, sectors) in enumerate(entries, 1)
        if start or sectors
    )
    (address,) = struct.unpack_from("<Q", sector, _ADDRESS)
    return Mbr(sector[:_CODE], address, sector[510:512] == b"\x55\xaa", partitions)


def has_gpt(read: Read, sector: int) -> bool:
    """Whether a GPT's header, damaged or not, stands in that sector."""
    return read(sector * SECTOR, 8) == b"EFI PART"


def read_gpt(read: Read, sector: int) -> Gpt:
    """The GPT whose header is in that sector. ValueError when there is none, or one that makes no sense.

    `read` gives a number of bytes from a place on, and raises what it likes when it cannot.
    """
    header = read(sector * SECTOR, SECTOR)
    found = _GPT_HEADER.unpack_from(header)
    magic, revision, size, checksum, _, here, other, first, last, disk, table_at, count, entry_size, table_sum = found
    if magic != b"EFI PART":
        raise ValueError("there is no header")
    if not _GPT_HEADER.size <= size <= SECTOR:
        raise ValueError(f"its header says that it has {size} bytes")
    if entry_size < _GPT_ENTRY.size or entry_size % 8 or not 0 < count * entry_size <= _MOST_TABLE:
        raise ValueError(f"its header says that there are {count} entries of {entry_size} bytes")
    problems = []
    if revision >> 16 != 1:
        problems.append(f"its revision is {revision:08x}")
    blanked = bytearray(header[:size])
    blanked[_GPT_CHECKSUM] = bytes(4)
    if zlib.crc32(blanked) != checksum:
        problems.append("the checksum of its header is wrong")
    table = read(table_at * SECTOR, count * entry_size)
    if zlib.crc32(table) != table_sum:
        problems.append("the checksum of its entries is wrong")
    if here != sector:
        problems.append(f"its header says that it is in sector {here}, not {sector}")
    return Gpt(here, other, first, last, uuid.UUID(bytes_le=disk), _gpt_partitions(table, entry_size), tuple(problems))


def _gpt_partitions(table: bytes, entry_size: int) -> tuple[GptPartition, ...]:
    partitions = []
    for number, place in enumerate(range(0, len(table), entry_size), 1):
        kind, own, first, last, _, name = _GPT_ENTRY.unpack_from(table, place)
        if any(kind):
            text = name.decode("utf-16-le", errors="replace").partition("\0")[0]
            partitions.append(
                GptPartition(number, uuid.UUID(bytes_le=kind), uuid.UUID(bytes_le=own), first, last, text)
            )
    return tuple(partitions)
