"""EFI programs: PE images (Microsoft PE Format; UEFI 2.10, 2.1.1), read as far as their headers go.

What firmware would not load at all is a ValueError; nothing in a file is trusted.
"""

import struct
from dataclasses import dataclass
from typing import Final

EFI_APPLICATION: Final = 10
MACHINES: Final = {0x8664: "x86_64", 0xAA64: "aarch64", 0x14C: "i386"}

_HEADER_END: Final = {0x10B: 96, 0x20B: 112}
_CERTIFICATES: Final = 4
_SECTION_SIZE: Final = 40
_MOST_SECTIONS: Final = 96


@dataclass(frozen=True)
class Section:
    """Where a section's bytes lie in the file."""

    name: str
    place: int
    size: int


@dataclass(frozen=True)
class Pe:
    """The headers of an image: places and sizes are bytes in the file.

    `certificates` are (place, size) of the certificate table, (0, 0) without one; `directory_at` is where that stands
    among the data directories, None when there is no such entry.
    """

    machine: int
    subsystem: int
    headers_size: int
    sections: tuple[Section, ...]
    checksum_at: int
    directory_at: int | None
    certificates: tuple[int, int]

    @property
    def arch(self) -> str:
        return MACHINES.get(self.machine, f"machine {self.machine:04x}")


def pe_machine(data: bytes) -> int | None:
    """The machine that a PE image is for, by its first bytes alone; None when it is none."""
    if data[:2] != b"MZ" or len(data) < 0x40:
        return None
    (start,) = struct.unpack_from("<I", data, 0x3C)
    if data[start : start + 4] != b"PE\0\0" or len(data) < start + 6:
        return None
    machine: int = struct.unpack_from("<H", data, start + 4)[0]
    return machine


def parse_pe(data: bytes) -> Pe:
    """Read the headers. ValueError says why these bytes are no whole PE image."""
    machine = pe_machine(data)
    if machine is None:
        raise ValueError("it is no PE image: MZ and PE do not stand where they should")
    try:
        found = _headers(data, machine)
    except struct.error as error:
        raise ValueError("it ends within its headers") from error
    if found.headers_size > len(data):
        raise ValueError(f"its headers would have {found.headers_size} bytes, and it has {len(data)}")
    for section in found.sections:
        # Some linkers give a section of zeros a size, and no place.
        if section.place and section.place + section.size > len(data):
            raise ValueError(
                f"its section {section.name} ends at byte {section.place + section.size}, and it has {len(data)}"
            )
    place, size = found.certificates
    if size and place + size > len(data):
        raise ValueError(f"its signatures end at byte {place + size}, and it has {len(data)}")
    return found


def _headers(data: bytes, machine: int) -> Pe:
    (start,) = struct.unpack_from("<I", data, 0x3C)
    count, optional_size = struct.unpack_from("<H12xH", data, start + 6)
    optional = start + 24
    (magic,) = struct.unpack_from("<H", data, optional)
    if magic not in _HEADER_END:
        raise ValueError(f"its optional header begins with {magic:04x}")
    if not 0 < count <= _MOST_SECTIONS:
        raise ValueError(f"it would have {count} sections")
    headers_size, _, subsystem = struct.unpack_from("<IIH", data, optional + 60)
    directories = optional + _HEADER_END[magic]
    (directory_count,) = struct.unpack_from("<I", data, directories - 4)
    directory_at = directories + 8 * _CERTIFICATES if directory_count > _CERTIFICATES else None
    place, size = struct.unpack_from("<II", data, directory_at) if directory_at is not None else (0, 0)
    sections = []
    for number in range(count):
        at = optional + optional_size + number * _SECTION_SIZE
        name, raw_size, raw_at = struct.unpack_from("<8s8xII", data, at)
        sections.append(Section(name.rstrip(b"\0").decode("latin-1"), raw_at, raw_size))
    return Pe(
        machine,
        subsystem,
        headers_size,
        tuple(sections),
        optional + 64,
        directory_at,
        (place, size) if size else (0, 0),
    )
