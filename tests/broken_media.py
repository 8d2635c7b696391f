"""Media that are broken on purpose, for tests of `isobuilder verify`: patched in the image, or changed in the tree."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from isobuilder.verify.firmware import Firmware, check_firmware
from isobuilder.verify.medium import open_medium
from tests.stock_media import Change, StockMedium

BLOCK, SECTOR = 2048, 512
Media = dict[str, StockMedium]
Found = list[tuple[str, str]]
T = TypeVar("T")


def check(iso: Path, arch: str = "x86_64") -> Firmware:
    with open_medium(iso) as medium:
        return check_firmware(medium, arch)


def found(iso: Path, arch: str = "x86_64") -> Found:
    return [(finding.kind.id, finding.place) for finding in check(iso, arch).findings]


class Bytes:
    """An image to be patched: where its structures are, by their own formats, and what is to be written there."""

    def __init__(self, iso: Path) -> None:
        self.data = bytearray(iso.read_bytes())
        self.catalog = self.word(17 * BLOCK + 71) * BLOCK
        self.bios = self.word(self.catalog + 32 + 8) * BLOCK
        self.efi = self.word(self.catalog + 96 + 8) * BLOCK
        self.sectors = len(self.data) // SECTOR

    def word(self, place: int) -> int:
        found: int = struct.unpack_from("<I", self.data, place)[0]
        return found

    def put(self, place: int, data: bytes | bytearray) -> None:
        self.data[place : place + len(data)] = data

    def flip(self, place: int) -> None:
        self.data[place] ^= 0x5A

    def sum_gpt(self, sector: int = 1) -> None:
        """Make the checksums of a GPT right again, that of its entries first."""
        at = sector * SECTOR
        table, count, size = struct.unpack_from("<QII", self.data, at + 72)
        struct.pack_into(
            "<I", self.data, at + 88, zlib.crc32(self.data[table * SECTOR : table * SECTOR + count * size])
        )
        struct.pack_into("<I", self.data, at + 16, 0)
        struct.pack_into("<I", self.data, at + 16, zlib.crc32(self.data[at : at + 92]))


def cut(path: str, size: int) -> Change:
    return lambda tree: unlinked(tree / path, (tree / path).read_bytes()[:size])


def unlinked(path: Path, data: bytes) -> None:
    """Write a file anew without touching what it is a hard link of."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def without(path: str) -> Change:
    return lambda tree: (tree / path).unlink()


def written(path: str, data: bytes) -> Change:
    return lambda tree: unlinked(tree / path, data)


def edited(path: str, place: int, data: bytes) -> Change:
    def change(tree: Path) -> None:
        old = bytearray((tree / path).read_bytes())
        old[place : place + len(data)] = data
        unlinked(tree / path, bytes(old))

    return change


def both(*changes: Callable[[T], object]) -> Callable[[T], None]:
    """One after the other."""

    def change(what: T) -> None:
        for each in changes:
            each(what)

    return change
