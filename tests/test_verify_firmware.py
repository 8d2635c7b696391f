"""What starts machines is no finding; what firmware and loaders miss, or find damaged, is one, in its place."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from isobuilder.verify import firmware
from isobuilder.verify.firmware import check_firmware
from isobuilder.verify.medium import open_medium
from isobuilder.verify.syslinux import missing_modules
from tests.broken_media import (
    SECTOR,
    Bytes,
    Found,
    Media,
    both,
    check,
    cut,
    edited,
    found,
    without,
    written,
)
from tests.isotree import grub_image, noise
from tests.stock_media import STOCK_7, STOCK_9, Change, esp_files, esp_image, master, master_as_before

MBR = "the master boot record"
EFI = "images/efiboot.img"


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
        told = check_firmware(medium, "x86_64")
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
        (edited(ISOLINUX_KERNEL, 30_000, b"other"), [("boot-files-differ", ISOLINUX_KERNEL)]),
        (cut("isolinux/initrd.img", 60_000), [("initrd-damaged", "isolinux/initrd.img")]),
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


def test_a_medium_for_another_machine_lacks_its_loader(stock_media: Media) -> None:
    iso = stock_media["uefi"].iso
    assert found(iso, "aarch64") == [("efi-loader-missing", f"{IN_IMAGE}/BOOTAA64.EFI"), ("kernel-machine", KERNEL)]


def test_an_unsigned_grub_behind_a_signed_shim(stock_media: Media, tmp_path: Path) -> None:
    grub = grub_image(tmp_path / "grub", "-O", "x86_64-efi", "-p", "/EFI/BOOT", "fat")
    change = both(with_esp(grubx64_efi=grub), written("EFI/BOOT/grubx64.efi", grub))
    assert found(stock_media["9"].changed(tmp_path, change, implant=False)) == [
        ("secure-boot-unsigned", f"{IN_IMAGE}/grubx64.efi")
    ]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (("-b", "isolinux/isolinux.bin", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"),
         "eltorito-no-uefi"),
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
    sources = [Path(__file__), Path(__file__).with_name("test_verify_structures.py")]
    tested = "".join(source.read_text() for source in sources)
    assert [kind for kind in ids if f'"{kind}"' not in tested] == []


@pytest.mark.practice
def test_our_own_medium_is_good(demo_iso: Path) -> None:
    assert [f"{f.kind.id} {f.place}: {f.message}" for f in check(demo_iso).findings] == []
