"""El Torito's boot catalog, as it stands on a medium: the entries that firmware may start.

Facts: "El Torito" Bootable CD-ROM Format Specification 1.0, 2.0 to 2.5, and UEFI 2.10, 13.3.2.1. Nothing is trusted:
what is not as it should be is told as `problems`, and the rest is read all the same.
"""

import struct
from dataclasses import dataclass
from typing import Final

BOOT_SYSTEM: Final = b"EL TORITO SPECIFICATION".ljust(32, b"\0")
BIOS: Final = 0x00
UEFI: Final = 0xEF
BOOTABLE: Final = 0x88

_SIZE: Final = 32
_NOT_BOOTABLE: Final = 0x00
_MORE_SECTIONS: Final = 0x90
_LAST_SECTION: Final = 0x91
_EXTENSION: Final = 0x44
_KEY: Final = b"\x55\xaa"


@dataclass(frozen=True)
class BootEntry:
    """One entry: `number` counts from 1, `sectors` of 512 bytes are loaded from block `block` (of 2048) on.

    `platform` is the one of its section, or of the validation entry; `media` 0 means that nothing is emulated.
    """

    number: int
    platform: int
    indicator: int
    media: int
    segment: int
    sectors: int
    block: int

    @property
    def is_bootable(self) -> bool:
        return self.indicator == BOOTABLE


@dataclass(frozen=True)
class Catalog:
    """The entries in their order, and what is wrong with the catalog's structure, in words."""

    entries: tuple[BootEntry, ...]
    problems: tuple[str, ...]


def parse_catalog(data: bytes) -> Catalog:
    """Read a catalog out of its first block."""
    records = [data[place : place + _SIZE] for place in range(0, len(data) - _SIZE + 1, _SIZE)]
    problems = list(_validation_problems(records[0]))
    entries = [_entry(records[1], 1, records[0][1])]
    place = 2
    more = bool(place < len(records) and any(records[place]))
    while more and place < len(records) and any(records[place]):
        header = records[place]
        kind, platform, count = struct.unpack_from("<BBH", header)
        if kind not in {_MORE_SECTIONS, _LAST_SECTION}:
            problems.append(f"a section header (90 or 91) should stand at its byte {place * _SIZE}, not {kind:02x}")
            return Catalog(tuple(entries), tuple(problems))
        place += 1
        for _ in range(count):
            while place < len(records) and records[place][0] == _EXTENSION:
                place += 1
            if place >= len(records) or records[place][0] not in {BOOTABLE, _NOT_BOOTABLE} or not any(records[place]):
                problems.append(f"the section for platform {platform:02x} has fewer entries than the {count} it says")
                break
            entries.append(_entry(records[place], len(entries) + 1, platform))
            place += 1
        while place < len(records) and records[place][0] == _EXTENSION:
            place += 1
        more = kind == _MORE_SECTIONS
        if not count:
            problems.append(f"the section for platform {platform:02x} says that it has no entry")
    problems += _end_problems(records[place:], more=more)
    return Catalog(tuple(entries), tuple(problems))


def _validation_problems(record: bytes) -> list[str]:
    problems = []
    if record[0] != 1:
        problems.append(f"its validation entry begins with {record[0]:02x}, not 01")
    if record[30:32] != _KEY:
        problems.append(f"its validation entry ends with {record[30:32].hex()}, not 55aa")
    if sum(struct.unpack("<16H", record)) & 0xFFFF:
        problems.append("the checksum of its validation entry is wrong")
    return problems


def _entry(record: bytes, number: int, platform: int) -> BootEntry:
    indicator, media, segment, _, sectors, block = struct.unpack_from("<BBHHHI", record)
    return BootEntry(number, platform, indicator, media & 0x0F, segment, sectors, block)


def _end_problems(rest: list[bytes], *, more: bool) -> list[str]:
    if more and not any(rest[0] if rest else b""):
        return ["a section says that another one follows, and none does"]
    if not more and rest and rest[0][0] in {BOOTABLE, _MORE_SECTIONS, _LAST_SECTION} and any(rest[0][1:]):
        return [
            "an entry follows behind the one that is the last by its section's header; firmware does not look there"
        ]
    return []
