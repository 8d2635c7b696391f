"""What firmware reads first is checked byte by byte: El Torito, both kinds of partition tables, the EFI image's FAT.

Each case breaks a good medium in one way, and exactly that is found, in its place.
"""

import contextlib
import random
import struct
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from isobuilder.errors import MediumError
from tests.broken_media import BLOCK, SECTOR, Bytes, Found, Media, both, check, found
from tests.isotree import BOOT_HYBRID

Patch = Callable[[Bytes], object]


@dataclass(frozen=True)
class Case:
    """One way to break an image of a kind, and the findings that follow, by id and place."""

    name: str
    kind: str
    patch: Patch
    expected: Found


def put(where: Callable[[Bytes], int], data: bytes) -> Patch:
    return lambda image: image.put(where(image), data)


def gpt_entry(number: int, place: int, data: bytes, *, backup: bool = True) -> Patch:
    """Change an entry in the GPT, or in both, and keep the checksums right."""

    def patch(image: Bytes) -> None:
        for sector in (1, image.sectors - 1) if backup else (1,):
            table = struct.unpack_from("<Q", image.data, sector * SECTOR + 72)[0] * SECTOR
            image.put(table + (number - 1) * 128 + place, data)
            image.sum_gpt(sector)

    return patch


BIOS_1 = "El Torito, entry 1 (BIOS)"
UEFI_2 = "El Torito, entry 2 (UEFI)"
MBR = "the master boot record"
EFI = "images/efiboot.img"
CATALOG_9 = "the boot catalog"

CASES = (
    Case("no-record", "9", put(lambda _: 17 * BLOCK, b"\xff"), [("eltorito-missing", "block 17")]),
    Case(
        "record-elsewhere",
        "9",
        lambda i: i.put(17 * BLOCK, i.data[18 * BLOCK : 19 * BLOCK] + i.data[17 * BLOCK : 18 * BLOCK]),
        [("eltorito-record", "block 18")],
    ),
    Case(
        "record-leads-beyond",
        "9",
        put(lambda _: 17 * BLOCK + 71, b"\xff\xff\xff\x7f"),
        [("eltorito-record", "block 17")],
    ),
    Case("key-bytes", "9", put(lambda i: i.catalog + 30, b"\x55\xab"), [("eltorito-catalog", CATALOG_9)] * 2),
    Case("checksum", "9", put(lambda i: i.catalog + 4, b"maker"), [("eltorito-catalog", CATALOG_9)]),
    Case(
        "header-id",
        "9",
        both(lambda i: i.flip(i.catalog), lambda i: i.put(i.catalog + 28, b"\x55")),
        [("eltorito-catalog", CATALOG_9)] * 2,
    ),
    Case("section-id", "9", put(lambda i: i.catalog + 64, b"\x92"), [("eltorito-catalog", CATALOG_9)]),
    Case("section-goes-on", "9", put(lambda i: i.catalog + 64, b"\x90"), [("eltorito-catalog", CATALOG_9)]),
    Case("section-count", "9", put(lambda i: i.catalog + 66, b"\x02"), [("eltorito-catalog", CATALOG_9)]),
    Case("not-bootable", "9", put(lambda i: i.catalog + 32, b"\0"), [("eltorito-entry", BIOS_1)]),
    Case("uefi-not-bootable", "9", put(lambda i: i.catalog + 96, b"\0"), [("eltorito-entry", UEFI_2)]),
    Case("indicator", "9", put(lambda i: i.catalog + 32, b"\x77"), [("eltorito-entry", BIOS_1)]),
    Case("emulation", "9", put(lambda i: i.catalog + 33, b"\x02"), [("eltorito-entry", BIOS_1)]),
    Case("segment", "9", put(lambda i: i.catalog + 34, b"\0\x20"), [("eltorito-entry", BIOS_1)]),
    Case(
        "platform-unknown",
        "9",
        put(lambda i: i.catalog + 65, b"\x02"),
        [("eltorito-platform", "El Torito, entry 2 (other)")],
    ),
    Case(
        "platform-bios", "9", put(lambda i: i.catalog + 65, b"\0"), [("eltorito-platform", "El Torito, entry 2 (BIOS)")]
    ),
    Case("load-size", "9", put(lambda i: i.catalog + 38, b"\x01\0"), [("eltorito-load-size", BIOS_1)]),
    Case("load-size-0", "10", put(lambda i: i.catalog + 38, b"\0\0"), [("eltorito-load-size", BIOS_1)]),
    Case("efi-load-size", "9", put(lambda i: i.catalog + 102, b"\x04\0"), [("efi-image-cut", EFI)]),
    Case("bios-elsewhere", "10", put(lambda i: i.catalog + 40, b"\x20\0\0\0"), [("eltorito-image", BIOS_1)]),
    Case("bios-beyond", "9", put(lambda i: i.catalog + 40, b"\0\0\0\x7f"), [("eltorito-image", BIOS_1)]),
    Case(
        "efi-beyond",
        "uefi",
        put(lambda i: i.catalog + 40, b"\0\0\0\x7f"),
        [("eltorito-image", "El Torito, entry 1 (UEFI)")],
    ),
    Case(
        "isolinux-zeroed",
        "9",
        lambda i: i.put(i.bios, bytes(38_000)),
        [("eltorito-image", BIOS_1), ("isolinux-damaged", "isolinux/isolinux.bin")],
    ),
    Case("boot-info-volume", "9", put(lambda i: i.bios + 8, b"\0"), [("boot-info-table", "isolinux/isolinux.bin")]),
    Case(
        "boot-info-place",
        "9",
        put(lambda i: i.bios + 12, b"\x01\x02\x03"),
        [("boot-info-table", "isolinux/isolinux.bin")],
    ),
    Case(
        "boot-info-length", "9", put(lambda i: i.bios + 16, b"\x01\x02"), [("boot-info-table", "isolinux/isolinux.bin")]
    ),
    Case("boot-info-sum", "9", lambda i: i.flip(i.bios + 20), [("boot-info-table", "isolinux/isolinux.bin")]),
    Case("isolinux-byte", "9", lambda i: i.flip(i.bios + 9000), [("boot-info-table", "isolinux/isolinux.bin")]),
    Case("grub-boot-info", "10", lambda i: recomputed(i, 2548), [("grub-boot-info", "images/eltorito.img")]),
    Case("mbr-signature", "9", put(lambda _: 510, b"\0\0"), [("mbr-damaged", MBR)]),
    Case("mbr-no-partition", "9", put(lambda _: 446, bytes(64)), [("mbr-damaged", MBR)]),
    Case("mbr-no-code", "9", put(lambda _: 0, bytes(432)), [("mbr-damaged", MBR)]),
    Case("mbr-of-apple", "7", lambda i: i.put(0, b"ER\x08\0" + bytes(34 * SECTOR - 4)), [("mbr-missing", MBR)]),
    Case("mbr-empty", "7", put(lambda _: 0, bytes(33 * SECTOR + SECTOR)), [("mbr-missing", MBR)]),
    Case("mbr-address", "9", lambda i: i.flip(432), [("mbr-loader-address", MBR)]),
    Case("mbr-address-grub", "10", lambda i: i.flip(432), [("mbr-loader-address", MBR)]),
    Case("mbr-of-grub", "9", put(lambda _: 0, BOOT_HYBRID.read_bytes()[:432]), [("mbr-loader-address", MBR)] * 2),
    Case("mbr-active", "9", put(lambda _: 446, b"\0"), [("mbr-active", MBR)]),
    Case(
        "mbr-efi-elsewhere",
        "9",
        lambda i: i.put(462 + 8, struct.pack("<I", i.efi // SECTOR + 4)),
        [("mbr-partition", f"{MBR}, partition 2")],
    ),
    Case("mbr-efi-short", "9", put(lambda _: 462 + 12, b"\x10\0\0\0"), [("efi-image-cut", EFI)]),
    Case("mbr-efi-long", "9", put(lambda _: 462 + 12, b"\0\0\0\x10"), [("mbr-partition", f"{MBR}, partition 2")]),
    Case("mbr-beyond", "9", put(lambda _: 446 + 12, b"\0\0\0\x10"), [("mbr-partition-beyond", f"{MBR}, partition 1")]),
    Case("mbr-starts-beyond", "9", put(lambda _: 446 + 8, b"\0\0\0\x10"), [("mbr-partition", f"{MBR}, partition 1")]),
    Case("mbr-protective", "10", put(lambda _: 446 + 8, b"\x02"), [("mbr-protective", f"{MBR}, partition 1")]),
    Case(
        "no-efi-partition",
        "9",
        both(lambda i: i.put(462, bytes(16)), lambda i: i.put(SECTOR, bytes(SECTOR))),
        [("usb-no-uefi", "the partition tables")],
    ),
    Case("gpt-gone", "10", put(lambda _: SECTOR, bytes(SECTOR)), [("gpt-primary", "the GPT")]),
    Case("gpt-header", "9", lambda i: i.flip(SECTOR + 60), [("gpt-primary", "the GPT, sector 1")]),
    Case("gpt-header-10", "10", lambda i: i.flip(SECTOR + 60), [("gpt-primary", "the GPT, sector 1")]),
    Case("gpt-entries", "9", lambda i: i.flip(2 * SECTOR + 20), [("gpt-primary", "the GPT, sector 1")]),
    Case("gpt-nonsense", "9", put(lambda _: SECTOR + 80, b"\xff\xff\xff\xff"), [("gpt-primary", "the GPT, sector 1")]),
    Case(
        "gpt-elsewhere",
        "9",
        both(lambda i: i.put(SECTOR + 24, b"\x02"), lambda i: i.sum_gpt()),
        [("gpt-primary", "the GPT, sector 1")],
    ),
    Case("backup-header", "9", lambda i: i.flip(-SECTOR + 60), [("gpt-backup", "the second GPT, sector END")]),
    Case(
        "backup-gone",
        "10",
        lambda i: i.put(len(i.data) - SECTOR, bytes(SECTOR)),
        [("gpt-backup", "the second GPT, sector END")],
    ),
    Case(
        "disk-ids",
        "9",
        both(lambda i: i.put(SECTOR + 56, uuid.UUID(int=5).bytes), lambda i: i.sum_gpt()),
        [("gpt-differ", "the two GPTs")],
    ),
    Case("grown", "9", lambda i: i.data.extend(bytes(1 << 20)), [("gpt-backup-place", "the second GPT")]),
    Case("entries-differ", "9", gpt_entry(2, 40, b"\xff", backup=False), [("gpt-differ", "the two GPTs")]),
    Case(
        "usable-differ",
        "9",
        both(lambda i: i.put(SECTOR + 40, b"\x41"), lambda i: i.sum_gpt()),
        [("gpt-differ", "the two GPTs")],
    ),
    Case("esp-elsewhere", "10", gpt_entry(2, 32, b"\x08\0"), [("gpt-partition", "the GPT, partition 2")]),
    Case(
        "esp-short",
        "10",
        lambda i: gpt_entry(2, 40, struct.pack("<Q", i.efi // SECTOR + 100))(i),
        [("efi-image-cut", "the EFI image")],
    ),
    Case(
        "gpt-beyond",
        "9",
        gpt_entry(1, 32, struct.pack("<QQ", 1 << 40, 1 << 41)),
        [("gpt-partition", "the GPT, partition 1")],
    ),
    Case("fat-sector", "9", put(lambda i: i.efi + 11, b"\x01\x02"), [("efi-image-unreadable", EFI)]),
    Case(
        "fat-signature",
        "9",
        put(lambda i: i.efi + 510, b"\0\0"),
        [("eltorito-image", UEFI_2), ("mbr-partition", f"{MBR}, partition 2")],
    ),
    Case(
        "fat-copies",
        "9",
        lambda i: i.flip(second_fat(i) + 100),
        [("efi-image-damaged", f"{EFI}: its allocation table")],
    ),
    Case("truncated-esp", "9", lambda i: i.put(i.efi + 19, b"\0\0\0\0"), [("efi-image-unreadable", EFI)]),
)


def second_fat(image: Bytes) -> int:
    """FAT16 as mkfs.msdos makes it: reserved sectors at 14, sectors of a table at 22."""
    reserved, per_table = struct.unpack_from("<H6xH", image.data, image.efi + 14)
    return int(image.efi + (reserved + per_table) * SECTOR)


def recomputed(image: Bytes, place: int) -> None:
    """Change GRUB's image as a maker would that tells it the wrong place: its checksum is right."""
    image.put(image.bios + place, b"\x77\x66")
    length = image.word(image.bios + 16)
    body = image.data[image.bios + 64 : image.bios + length]
    words = struct.unpack(f"<{-(-len(body) // 4)}I", body + bytes(-len(body) % 4))
    struct.pack_into("<I", image.data, image.bios + 20, sum(words) & 0xFFFFFFFF)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_broken_is_found_and_nothing_else(case: Case, stock_media: Media, tmp_path: Path) -> None:
    image = Bytes(stock_media[case.kind].iso)
    case.patch(image)
    iso = tmp_path / "broken.iso"
    iso.write_bytes(image.data)
    expected = [
        (
            kind,
            f"{place}, block {image.catalog // BLOCK}"
            if place == CATALOG_9
            else place.replace("END", str(image.sectors - 1)),
        )
        for kind, place in case.expected
    ]
    assert found(iso) == expected


def damaged(data: bytes, places: Iterable[int], seed: int) -> bytes:
    """`data` with some bytes changed at some of the places, or cut off there."""
    dice = random.Random(seed)
    chosen = list(places)
    if dice.random() < 0.2:
        return data[: dice.choice(chosen) + dice.randrange(600)]
    image = bytearray(data)
    for _ in range(dice.choice((1, 3, 20))):
        place = dice.choice(chosen) + dice.randrange(64)
        value = dice.choice((0, 0xFF, 0x7F, 0x80, dice.randrange(256)))
        changed = bytes([value]) * min(dice.choice((1, 4)), len(image) - place)
        image[place : place + len(changed)] = changed
    return bytes(image)


@pytest.mark.parametrize("kind", ["9", "10"])
def test_damage_of_any_kind_ends_in_findings(kind: str, stock_media: Media, tmp_path: Path) -> None:
    """Bytes of the structures that are read, changed at random: no error comes out of it, whatever is found."""
    image = Bytes(stock_media[kind].iso)
    root = second_fat(image)
    pe = image.data.index(b"MZ", image.efi)
    places = [0, 430, 446, SECTOR, 2 * SECTOR, 17 * BLOCK, image.catalog, image.catalog + 64, image.bios, image.efi,
              image.efi + SECTOR, root, root + 2000, root + 9000, root + 10_240, root + 18_000, pe, pe + 128, pe + 512,
              len(image.data) - SECTOR, image.data.index(b"Microsoft") - 700]  # fmt: skip
    iso = tmp_path / "damaged.iso"
    for seed in range(150):
        iso.write_bytes(damaged(bytes(image.data), places, seed))
        # Cut off within the volume descriptors it is no ISO image any more.
        with contextlib.suppress(MediumError) if iso.stat().st_size < 20 * BLOCK else contextlib.nullcontext():
            check(iso)
