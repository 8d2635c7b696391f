"""What keeps firmware from a menu is found, each in its place; what starts machines is no finding.

Good media are those of `tests.stock_media`; every finding is made by breaking one of them in just that way.
"""

import random
import shutil
import struct
import subprocess
import uuid
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from isobuilder.verify import firmware
from isobuilder.verify.firmware import Firmware, check_firmware
from isobuilder.verify.medium import open_medium
from isobuilder.verify.syslinux import missing_modules
from tests.isotree import BOOT_HYBRID, grub_image, noise
from tests.stock_media import STOCK_7, STOCK_9, StockMedium, esp_files, esp_image, master, master_as_before

BLOCK, SECTOR = 2048, 512
Media = dict[str, StockMedium]
Found = list[tuple[str, str]]


def check(iso: Path) -> Firmware:
    with open_medium(iso) as medium:
        return check_firmware(medium)


def found(iso: Path) -> Found:
    return [(finding.kind.id, finding.place) for finding in check(iso).findings]


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

    def put(self, place: int, data: bytes) -> None:
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


Patch = Callable[[Bytes], None]


@dataclass(frozen=True)
class Case:
    """One way to break an image of a kind, and the findings that follow, by id and place."""

    name: str
    kind: str
    patch: Patch
    expected: Found


def put(where: Callable[[Bytes], int], data: bytes) -> Patch:
    return lambda image: image.put(where(image), data)


def validation(image: Bytes) -> int:
    return image.catalog


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
    Case("record-leads-beyond", "9", put(lambda _: 17 * BLOCK + 71, b"\xff\xff\xff\x7f"), [("eltorito-record", "block 17")]),
    Case("key-bytes", "9", put(lambda i: i.catalog + 30, b"\x55\xab"), [("eltorito-catalog", CATALOG_9)] * 2),
    Case("checksum", "9", put(lambda i: i.catalog + 4, b"maker"), [("eltorito-catalog", CATALOG_9)]),
    Case("header-id", "9", lambda i: (i.flip(i.catalog), i.put(i.catalog + 28, b"\x55"))[0], [("eltorito-catalog", CATALOG_9)] * 2),
    Case("section-id", "9", put(lambda i: i.catalog + 64, b"\x92"), [("eltorito-catalog", CATALOG_9)]),
    Case("section-goes-on", "9", put(lambda i: i.catalog + 64, b"\x90"), [("eltorito-catalog", CATALOG_9)]),
    Case("section-count", "9", put(lambda i: i.catalog + 66, b"\x02"), [("eltorito-catalog", CATALOG_9)]),
    Case("not-bootable", "9", put(lambda i: i.catalog + 32, b"\0"), [("eltorito-entry", BIOS_1)]),
    Case("uefi-not-bootable", "9", put(lambda i: i.catalog + 96, b"\0"), [("eltorito-entry", UEFI_2)]),
    Case("indicator", "9", put(lambda i: i.catalog + 32, b"\x77"), [("eltorito-entry", BIOS_1)]),
    Case("emulation", "9", put(lambda i: i.catalog + 33, b"\x02"), [("eltorito-entry", BIOS_1)]),
    Case("segment", "9", put(lambda i: i.catalog + 34, b"\0\x20"), [("eltorito-entry", BIOS_1)]),
    Case("platform-unknown", "9", put(lambda i: i.catalog + 65, b"\x02"), [("eltorito-platform", "El Torito, entry 2 (other)")]),
    Case("platform-bios", "9", put(lambda i: i.catalog + 65, b"\0"), [("eltorito-platform", "El Torito, entry 2 (BIOS)")]),
    Case("load-size", "9", put(lambda i: i.catalog + 38, b"\x01\0"), [("eltorito-load-size", BIOS_1)]),
    Case("load-size-0", "10", put(lambda i: i.catalog + 38, b"\0\0"), [("eltorito-load-size", BIOS_1)]),
    Case("efi-load-size", "9", put(lambda i: i.catalog + 102, b"\x04\0"), [("efi-image-cut", EFI)]),
    Case("bios-elsewhere", "10", put(lambda i: i.catalog + 40, b"\x20\0\0\0"), [("eltorito-image", BIOS_1)]),
    Case("bios-beyond", "9", put(lambda i: i.catalog + 40, b"\0\0\0\x7f"), [("eltorito-image", BIOS_1), ("mbr-loader-address", MBR)]),
    Case("efi-beyond", "uefi", put(lambda i: i.catalog + 40, b"\0\0\0\x7f"), [("eltorito-image", "El Torito, entry 1 (UEFI)")]),
    Case("isolinux-zeroed", "9", lambda i: i.put(i.bios, bytes(65536)), [("eltorito-image", BIOS_1), ("isolinux-damaged", "isolinux/isolinux.bin")]),
    Case("boot-info-volume", "9", put(lambda i: i.bios + 8, b"\0"), [("boot-info-table", "isolinux/isolinux.bin")]),
    Case("boot-info-place", "9", put(lambda i: i.bios + 12, b"\x01\x02\x03"), [("boot-info-table", "isolinux/isolinux.bin")]),
    Case("boot-info-length", "9", put(lambda i: i.bios + 16, b"\x01\x02"), [("boot-info-table", "isolinux/isolinux.bin")]),
    Case("boot-info-sum", "9", lambda i: i.flip(i.bios + 20), [("boot-info-table", "isolinux/isolinux.bin")]),
    Case("isolinux-byte", "9", lambda i: i.flip(i.bios + 9000), [("boot-info-table", "isolinux/isolinux.bin")]),
    Case("grub-boot-info", "10", lambda i: recomputed(i, 2548), [("grub-boot-info", "images/eltorito.img")]),
    Case("mbr-signature", "9", put(lambda _: 510, b"\0\0"), [("mbr-damaged", MBR)]),
    Case("mbr-empty", "7", put(lambda _: 0, bytes(33 * SECTOR + SECTOR)), [("mbr-missing", MBR)]),
    Case("mbr-address", "9", lambda i: i.flip(432), [("mbr-loader-address", MBR)]),
    Case("mbr-address-grub", "10", lambda i: i.flip(432), [("mbr-loader-address", MBR)]),
    Case("mbr-of-grub", "9", put(lambda _: 0, BOOT_HYBRID.read_bytes()[:432]), [("mbr-loader-address", MBR)] * 2),
    Case("mbr-active", "9", put(lambda _: 446, b"\0"), [("mbr-active", MBR)]),
    Case("mbr-efi-elsewhere", "9", lambda i: i.put(462 + 8, struct.pack("<I", i.efi // SECTOR + 4)), [("mbr-partition", f"{MBR}, partition 2")]),
    Case("mbr-efi-short", "9", put(lambda _: 462 + 12, b"\x10\0\0\0"), [("efi-image-cut", EFI)]),
    Case("mbr-efi-long", "9", put(lambda _: 462 + 12, b"\0\0\0\x10"), [("mbr-partition", f"{MBR}, partition 2")]),
    Case("mbr-beyond", "9", put(lambda _: 446 + 12, b"\0\0\0\x10"), [("mbr-partition-beyond", f"{MBR}, partition 1")]),
    Case("mbr-starts-beyond", "9", put(lambda _: 446 + 8, b"\0\0\0\x10"), [("mbr-partition", f"{MBR}, partition 1")]),
    Case("mbr-protective", "10", put(lambda _: 446 + 8, b"\x02"), [("mbr-protective", f"{MBR}, partition 1")]),
    Case("no-efi-partition", "9", lambda i: (i.put(462, bytes(16)), i.put(SECTOR, bytes(SECTOR)))[0], [("usb-no-uefi", "the partition tables")]),
    Case("gpt-gone", "10", put(lambda _: SECTOR, bytes(SECTOR)), [("gpt-primary", "the GPT")]),
    Case("gpt-header", "9", lambda i: i.flip(SECTOR + 60), [("gpt-primary", "the GPT, sector 1")]),
    Case("gpt-header-10", "10", lambda i: i.flip(SECTOR + 60), [("gpt-primary", "the GPT, sector 1")]),
    Case("gpt-entries", "9", lambda i: i.flip(2 * SECTOR + 20), [("gpt-primary", "the GPT, sector 1")]),
    Case("gpt-nonsense", "9", put(lambda _: SECTOR + 80, b"\xff\xff\xff\xff"), [("gpt-primary", "the GPT, sector 1")]),
    Case("gpt-elsewhere", "9", lambda i: (i.put(SECTOR + 24, b"\x02"), i.sum_gpt())[0], [("gpt-primary", "the GPT, sector 1")]),
    Case("backup-header", "9", lambda i: i.flip(-SECTOR + 60), [("gpt-backup", "the second GPT, sector END")]),
    Case("backup-gone", "10", lambda i: i.put(len(i.data) - SECTOR, bytes(SECTOR)), [("gpt-backup", "the second GPT, sector END")]),
    Case("disk-ids", "9", lambda i: (i.put(SECTOR + 56, uuid.UUID(int=5).bytes), i.sum_gpt())[0], [("gpt-differ", "the two GPTs")]),
    Case("entries-differ", "9", gpt_entry(2, 40, b"\xff", backup=False), [("gpt-differ", "the two GPTs")]),
    Case("usable-differ", "9", lambda i: (i.put(SECTOR + 40, b"\x41"), i.sum_gpt())[0], [("gpt-differ", "the two GPTs")]),
    Case("esp-elsewhere", "10", gpt_entry(2, 32, b"\x08\0"), [("gpt-partition", "the GPT, partition 2")]),
    Case("esp-short", "10", lambda i: gpt_entry(2, 40, struct.pack("<Q", i.efi // SECTOR + 100))(i), [("efi-image-cut", "the EFI image")]),
    Case("gpt-beyond", "9", gpt_entry(1, 32, struct.pack("<QQ", 1 << 40, 1 << 41)), [("gpt-partition", "the GPT, partition 1")]),
    Case("fat-sector", "9", put(lambda i: i.efi + 11, b"\x01\x02"), [("efi-image-unreadable", EFI)]),
    Case("fat-signature", "9", put(lambda i: i.efi + 510, b"\0\0"), [("eltorito-image", UEFI_2), ("mbr-partition", f"{MBR}, partition 2")]),
    Case("fat-copies", "9", lambda i: i.flip(second_fat(i) + 100), [("efi-image-damaged", f"{EFI}: its allocation table")]),
    Case("truncated-esp", "9", lambda i: i.put(i.efi + 19, b"\0\0\0\0"), [("efi-image-unreadable", EFI)]),
)  # fmt: skip


def second_fat(image: Bytes) -> int:
    """FAT16 as mkfs.msdos makes it: reserved sectors at 14, sectors of a table at 22."""
    reserved, per_table = struct.unpack_from("<H6xH", image.data, image.efi + 14)
    return image.efi + (reserved + per_table) * SECTOR


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


def test_good_media_raise_nothing(stock_media: Media) -> None:
    for medium in stock_media.values():
        assert [f"{f.kind.id} {f.place}: {f.message}" for f in check(medium.iso).findings] == []


def test_how_media_start_is_told(stock_media: Media) -> None:
    uefi = ("UEFI x86_64 from CD", "UEFI x86_64 from USB")
    assert check(stock_media["9"].iso).starts == (
        "BIOS from CD (isolinux 6.04)",
        "BIOS from USB (isolinux 6.04)",
        *uefi,
    )
    assert check(stock_media["10"].iso).starts == ("BIOS from CD (GRUB 2)", "BIOS from USB (GRUB 2)", *uefi)
    assert check(stock_media["uefi"].iso).starts == uefi[:1]


def test_facts_for_others(stock_media: Media) -> None:
    with open_medium(stock_media["9"].iso) as medium:
        told = check_firmware(medium)
        assert told.esp is not None
        assert told.esp.read("efi/boot/GRUB.CFG", limit=10_000) == medium.read("EFI/BOOT/grub.cfg", limit=10_000)
        assert set(told.esp.files) == set(esp_files(STOCK_9))
    assert told.command_line_limits == {"images/pxeboot/vmlinuz": 2047, "isolinux/vmlinuz": 2047}
    shim = told.signers["images/efiboot.img: EFI/BOOT/BOOTX64.EFI"]
    assert ["Microsoft" in signature.issuer for signature in shim] == [True] * len(shim) != []
    assert [s.issuer for s in told.signers["images/efiboot.img: EFI/BOOT/grubx64.efi"]] == ["CN=Debian Secure Boot CA"]


class TestMediaOfOldAreGood:
    """mkisofs and isohybrid, as media of 6, 7 and 8 were made."""

    def test_with_uefi(self, stock_media: Media, tmp_path: Path) -> None:
        assert found(master_as_before(stock_media["7"].tree, tmp_path / "8.iso", STOCK_7, "--uefi")) == []

    def test_isohybrid_of_syslinux_4_puts_the_second_gpt_a_sector_early(
        self, stock_media: Media, tmp_path: Path
    ) -> None:
        iso = master_as_before(stock_media["7"].tree, tmp_path / "7.iso", STOCK_7, "--uefi")
        image = Bytes(iso)
        last = image.sectors - 1
        # Before commit 46abb1f5 of syslinux (2014): the whole of it 512 bytes earlier, and one of its sectors usable.
        whole = image.data[(last - 32) * SECTOR :]
        image.put((last - 33) * SECTOR, whole + bytes(SECTOR))
        struct.pack_into("<Q", image.data, SECTOR + 32, last - 1)
        struct.pack_into("<QQ", image.data, (last - 1) * SECTOR + 24, last - 1, 1)
        struct.pack_into("<Q", image.data, (last - 1) * SECTOR + 72, last - 33)
        for sector in (1, last - 1):
            image.sum_gpt(sector)
        iso.write_bytes(image.data)
        assert found(iso) == []

    def test_one_for_a_mac_too(self, stock_media: Media, tmp_path: Path) -> None:
        """isohybrid --mac: an HFS+ image is the third entry, a map of Apple's partitions lies within the GPT's room."""
        tree = tmp_path / "tree"
        shutil.copytree(stock_media["7"].tree, tree)
        hfs = bytearray(noise("hfs", 1 << 20))
        hfs[1024:1026] = b"H+"
        (tree / "images/macboot.img").write_bytes(hfs)
        iso = tmp_path / "mac.iso"
        subprocess.run(
            [
                *("genisoimage", "-quiet", "-o", iso, "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat"),
                *("-boot-load-size", "4", "-boot-info-table", "-no-emul-boot"),
                *("-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot"),
                *("-eltorito-alt-boot", "-e", "images/macboot.img", "-no-emul-boot", "-R", "-J", "-V", "X", tree),
            ],
            check=True,
            capture_output=True,
        )
        subprocess.run(["isohybrid", "--uefi", "--mac", iso], check=True, capture_output=True)
        assert found(iso) == []

    def test_6_has_an_old_grub_and_no_efi_partition(self, stock_media: Media, tmp_path: Path) -> None:
        assert found(master_as_before(tree_of_6(stock_media, tmp_path), tmp_path / "6.iso", STOCK_7, "")) == []

    def test_without_a_boot_record_it_is_a_cd_alone(self, stock_media: Media, tmp_path: Path) -> None:
        iso = master_as_before(stock_media["7"].tree, tmp_path / "cd.iso", STOCK_7, None)
        assert found(iso) == [("mbr-missing", MBR)]
        assert check(iso).starts == ("BIOS from CD (isolinux 6.04)", "UEFI x86_64 from CD")

    def test_mkisofs_counts_an_efi_image_of_32_mib_wrong(self, stock_media: Media, tmp_path: Path) -> None:
        tree = tmp_path / "tree"
        shutil.copytree(stock_media["7"].tree, tree)
        esp_image(tree / "images/efiboot.img", {**esp_files(STOCK_7), "large": bytes(30 << 20)})
        iso = master_as_before(tree, tmp_path / "big.iso", STOCK_7, "--uefi")
        assert found(iso) == [("efi-image-cut", EFI)]
        assert found(master(tree, tmp_path / "good.iso", STOCK_7)) == []


def tree_of_6(stock_media: Media, folder: Path) -> Path:
    """isolinux 4 with modules that are not ELF, and GRUB 0.97, which nobody signed, with its menu beside it."""
    tree = folder / "tree6"
    shutil.copytree(stock_media["7"].tree, tree)
    for module in tree.glob("isolinux/*.c32"):
        module.unlink()
    (tree / "isolinux/vesamenu.c32").write_bytes(b"\xb8\xfe\x4c\xcd\x21" + noise("menu", 5000))
    loader = (tree / "isolinux/isolinux.bin").read_bytes()
    (tree / "isolinux/isolinux.bin").write_bytes(loader.replace(b"ISOLINUX 6.04", b"ISOLINUX 4.02"))
    shutil.rmtree(tree / "EFI")
    grub = grub_image(folder / "grub", "-O", "x86_64-efi", "-p", "/EFI/BOOT", "fat")
    files = {"EFI/BOOT/BOOTX64.efi": grub, "EFI/BOOT/BOOTX64.conf": b"default=0\n", "EFI/BOOT/splash.xpm.gz": b"x"}
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    esp_image(tree / "images/efiboot.img", files)
    return tree


Change = Callable[[Path], None]


def with_esp(**changes: bytes | None) -> Change:
    """Another EFI image: files of EFI/BOOT replaced, added, or (None) left out; "_" stands for the dot."""

    def change(tree: Path) -> None:
        files = esp_files(STOCK_9)
        for key, data in changes.items():
            name = f"EFI/BOOT/{key.replace('_', '.')}"
            files.pop(name, None)
            if data is not None:
                files[name] = data
        esp_image(tree / EFI, files)

    return change


def loader(name: str) -> bytes:
    return esp_files(STOCK_9)[f"EFI/BOOT/{name}"]


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


def both(*changes: Change) -> Change:
    def change(tree: Path) -> None:
        for each in changes:
            each(tree)

    return change


IN_IMAGE = f"{EFI}: EFI/BOOT"
KERNEL = "images/pxeboot/vmlinuz"
ISOLINUX_KERNEL = "isolinux/vmlinuz"
INITRD = "images/pxeboot/initrd.img"
STAGE2 = "images/install.img"
FLIPPED = bytes([loader("grubx64.efi")[300_000] ^ 1])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (with_esp(BOOTX64_EFI=None), [("efi-loader-missing", f"{IN_IMAGE}/BOOTX64.EFI")]),
        (with_esp(grubx64_efi=None), [("efi-next-missing", f"{IN_IMAGE}/grubx64.efi")]),
        (with_esp(grub_cfg=None), [("efi-menu-missing", f"{IN_IMAGE}/grub.cfg")]),
        (with_esp(mmx64_efi=None), [("efi-mokmanager-missing", f"{IN_IMAGE}/mmx64.efi")]),
        (lambda tree: esp_image(tree / EFI, {k: v for k, v in esp_files(STOCK_9).items() if "fonts" not in k}),
         [("efi-font-missing", f"{IN_IMAGE}/fonts/unicode.pf2")]),
        (with_esp(fbx64_efi=Path("/usr/lib/shim/fbx64.efi.signed").read_bytes()),
         [("efi-fallback", f"{IN_IMAGE}/fbx64.efi")]),
        (with_esp(grubx64_efi=loader("grubx64.efi")[:2_000_000]), [("efi-program-damaged", f"{IN_IMAGE}/grubx64.efi")]),
        (with_esp(grubx64_efi=b""), [("efi-program-damaged", f"{IN_IMAGE}/grubx64.efi")]),
        (with_esp(BOOTX64_EFI=b"\x7fELF" + bytes(2000)), [("efi-program-damaged", f"{IN_IMAGE}/BOOTX64.EFI")]),
        (with_esp(BOOTAA64_EFI=loader("BOOTX64.EFI"), grubaa64_efi=loader("grubx64.efi"), mmaa64_efi=None,
                  MokManager_efi=loader("mmx64.efi")),
         [("efi-program-machine", f"{IN_IMAGE}/BOOTAA64.EFI"), ("efi-program-machine", f"{IN_IMAGE}/grubaa64.efi")]),
        (both(with_esp(BOOTX64_EFI=Path("/usr/lib/shim/shimx64.efi").read_bytes()),
              written("EFI/BOOT/BOOTX64.EFI", Path("/usr/lib/shim/shimx64.efi").read_bytes())),
         [("secure-boot-unsigned", f"{IN_IMAGE}/BOOTX64.EFI")]),
        (with_esp(mmx64_efi=Path("/usr/lib/shim/mmx64.efi").read_bytes()),
         [("efi-loaders-differ", "EFI/BOOT/mmx64.efi")]),
        (with_esp(grubx64_efi=loader("grubx64.efi")[:300_000] + FLIPPED + loader("grubx64.efi")[300_001:]),
         [("signature-broken", f"{IN_IMAGE}/grubx64.efi"), ("efi-loaders-differ", "EFI/BOOT/grubx64.efi")]),
        (cut("EFI/BOOT/BOOTX64.EFI", 100_000),
         [("efi-loaders-differ", "EFI/BOOT/BOOTX64.EFI"), ("efi-program-damaged", "EFI/BOOT/BOOTX64.EFI")]),
        (without("isolinux/ldlinux.c32"), [("isolinux-module-missing", "isolinux/ldlinux.c32")]),
        (without("isolinux/libutil.c32"), [("isolinux-module-missing", "isolinux/libutil.c32")]),
        (without("isolinux/libcom32.c32"), [("isolinux-module-missing", "isolinux/libcom32.c32")]),
        (cut("isolinux/vesamenu.c32", 4000), [("isolinux-module-damaged", "isolinux/vesamenu.c32")]),
        (written("isolinux/vesamenu.c32", b""), [("isolinux-module-damaged", "isolinux/vesamenu.c32")]),
        (written("isolinux/vesamenu.c32", b"\xb8\xfe\x4c\xcd\x21" + bytes(100)),
         [("isolinux-module-version", "isolinux/vesamenu.c32")]),
        (cut(KERNEL, 30_000), [("kernel-damaged", KERNEL)]),
        (cut(ISOLINUX_KERNEL, 0), [("kernel-damaged", ISOLINUX_KERNEL)]),
        (written(KERNEL, bytes(40_000)), [("kernel-damaged", KERNEL)]),
        (written(KERNEL, b"<html>404</html>" * 100), [("kernel-damaged", KERNEL)]),
        (edited(KERNEL, 0x1FE, b"\0\0"), [("kernel-damaged", KERNEL)]),
        (edited(KERNEL, 0x404, b"\x64\xaa"), [("kernel-damaged", KERNEL)]),
        (written(KERNEL, bytes(0x38) + b"ARM\x64" + noise("arm", 9000)), [("kernel-machine", KERNEL)]),
        (written(INITRD, b""), [("initrd-damaged", INITRD)]),
        (written(INITRD, bytes(90_000)), [("initrd-damaged", INITRD)]),
        (written(INITRD, b"<html>404</html>"), [("initrd-damaged", INITRD)]),
        (cut(STAGE2, 60_000), [("stage2-damaged", STAGE2)]),
        (written(STAGE2, bytes(120_000)), [("stage2-damaged", STAGE2)]),
        (written(STAGE2, b""), [("stage2-damaged", STAGE2)]),
    ],
)  # fmt: skip
def test_what_is_broken_in_the_tree_is_found(
    change: Change, expected: Found, stock_media: Media, tmp_path: Path
) -> None:
    assert found(stock_media["9"].changed(tmp_path, change, implant=False)) == expected


@pytest.mark.parametrize("name", ["normal.mod", "command.lst", "fs.lst"])
def test_grub_for_bios_needs_its_modules(name: str, stock_media: Media, tmp_path: Path) -> None:
    path = f"boot/grub2/i386-pc/{name}"
    iso = stock_media["10"].changed(tmp_path, without(path), implant=False)
    assert found(iso) == [("grub-modules-missing", path)]


def test_a_medium_for_another_machine_lacks_its_loader(stock_media: Media, tmp_path: Path) -> None:
    iso = stock_media["uefi"].changed(tmp_path, written(".discinfo", b"1.0\nCentOS\naarch64\n"), implant=False)
    assert found(iso) == [("efi-loader-missing", f"{IN_IMAGE}/BOOTAA64.EFI"), ("kernel-machine", KERNEL)]


def test_an_unsigned_grub_behind_a_signed_shim(stock_media: Media, tmp_path: Path) -> None:
    grub = grub_image(tmp_path / "grub", "-O", "x86_64-efi", "-p", "/EFI/BOOT", "fat")
    change = both(with_esp(grubx64_efi=grub), written("EFI/BOOT/grubx64.efi", grub))
    assert found(stock_media["9"].changed(tmp_path, change, implant=False)) == [
        ("secure-boot-unsigned", f"{IN_IMAGE}/grubx64.efi")
    ]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (("-b", "isolinux/isolinux.bin", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"), "eltorito-no-uefi"),
        (("-e", EFI, "-no-emul-boot"), "eltorito-no-bios"),
        ((), "eltorito-missing"),
    ],
)  # fmt: skip
def test_an_entry_that_the_maker_forgot(
    options: tuple[str, ...], kind: str, stock_media: Media, tmp_path: Path
) -> None:
    iso = tmp_path / "x.iso"
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-R", "-V", "X", *options, stock_media["9"].tree],
        check=True,
        capture_output=True,
    )
    assert kind in [finding.kind.id for finding in check(iso).findings]


def test_a_boot_image_without_its_table(stock_media: Media, tmp_path: Path) -> None:
    iso = tmp_path / "x.iso"
    options = ("-b", "isolinux/isolinux.bin", "-no-emul-boot", "-boot-load-size", "4")
    efi = ("-eltorito-alt-boot", "-e", EFI, "-no-emul-boot")
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-R", "-V", "X", *options, *efi, stock_media["9"].tree],
        check=True,
        capture_output=True,
    )
    assert {kind for kind, _ in found(iso)} == {"boot-info-table", "mbr-missing"}


def test_modules_that_a_menu_names(stock_media: Media, tmp_path: Path) -> None:
    iso = stock_media["9"].changed(tmp_path, without("isolinux/libutil.c32"), implant=False)
    with open_medium(iso) as medium:
        assert missing_modules(medium, "isolinux", "vesamenu.c32") == ("libutil.c32",)
        assert missing_modules(medium, "isolinux", "libcom32.c32") == ()
        assert missing_modules(medium, "isolinux", "gfxboot.c32") == ("gfxboot.c32",)


def test_ids_are_unique_and_every_kind_is_raised_by_a_test() -> None:
    ids = [kind.id for kind in firmware.KINDS]
    assert len(ids) == len(set(ids))
    source = Path(__file__).read_text()
    assert [kind for kind in ids if f'"{kind}"' not in source] == []


@pytest.mark.practice
def test_our_own_medium_is_good(demo_iso: Path) -> None:
    assert [f"{f.kind.id} {f.place}: {f.message}" for f in check(demo_iso).findings] == []


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
        image[place : place + dice.choice((1, 4))] = bytes([value]) * dice.choice((1, 4))
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
        check(iso)
