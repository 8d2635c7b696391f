"""The boot loaders of the practice mirror: isolinux, shim and GRUB as the host has them, and a boot.iso of GRUB's."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.practice.host import run

_ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
_MBR = Path("/usr/lib/ISOLINUX/isohdpfx.bin")
_DISK_MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
EXTLINUX = Path("/usr/bin/extlinux")
_SYSLINUX = Path("/usr/lib/syslinux/modules/bios")
_FONT = Path("/usr/share/grub/unicode.pf2")
# Signed by Microsoft (shim) and by Debian, under the names that CentOS has them by. GRUB is the one for media.
_SIGNED_EFI = {
    "BOOTX64.EFI": Path("/usr/lib/shim/shimx64.efi.signed"),
    "grubx64.efi": Path("/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"),
    "mmx64.efi": Path("/usr/lib/shim/mmx64.efi.signed"),
}
# Where an installed system has its loaders for UEFI, and under which names: as CentOS, with a folder of its own.
ESP_FOLDER = "/boot/efi/EFI/practice"
_INSTALLED_EFI = {
    "shimx64.efi": _SIGNED_EFI["BOOTX64.EFI"],
    # Debian's GRUB for disks would read /EFI/debian/grub.cfg; the one for media reads what lies beside it.
    "grubx64.efi": _SIGNED_EFI["grubx64.efi"],
    "mmx64.efi": _SIGNED_EFI["mmx64.efi"],
}
# Where the practice system, and CentOS, have GRUB's parts for BIOS.
_GRUB_PC = "usr/lib/grub/i386-pc"
GRUB_MBR_FILE = f"/{_GRUB_PC}/boot_hybrid.img"


def add_isolinux(os_tree: Path) -> None:
    """Put isolinux into a mirror's tree, with the modules that CentOS 8 and 9 have there."""
    folder = os_tree / "isolinux"
    folder.mkdir()
    shutil.copyfile(_ISOLINUX, folder / _ISOLINUX.name)
    for name in ("ldlinux.c32", "libcom32.c32", "libutil.c32", "vesamenu.c32"):
        shutil.copyfile(_SYSLINUX / name, folder / name)


def add_shim_and_grub(os_tree: Path, signed: Mapping[str, Path] = _SIGNED_EFI) -> None:
    """Put the loaders for UEFI into a mirror's tree, which start with Secure Boot as well: names to Debian's files.

    This GRUB has all it needs built in. It looks for /boot/grub on a disk that has /.disk/info, which only Debian's
    media have, and then reads grub.cfg beside itself: /EFI/BOOT/grub.cfg on the device that it was started from.
    """
    folder = os_tree / "EFI/BOOT"
    (folder / "fonts").mkdir(parents=True)
    for name, file in signed.items():
        shutil.copyfile(file, folder / name)
    shutil.copyfile(_FONT, folder / "fonts" / _FONT.name)


def make_boot_iso(tree: Path, iso: Path, scratch: Path, epoch: int) -> None:
    """Write an ISO with GRUB for BIOS, out of the system in `tree`; `scratch` is an empty folder to work in.

    It is made as lorax 40 makes images/boot.iso of CentOS Stream 10 (share/templates.d/99-generic/x86.tmpl of its
    branch rhel10), but holds only what starts a BIOS: neither kernel nor installer, and an empty EFI system partition.
    """
    content, esp = scratch / "content", scratch / "efiboot.img"
    shutil.copytree(tree / _GRUB_PC, content / "boot/grub2/i386-pc", ignore=shutil.ignore_patterns("*.img"))
    (content / "images").mkdir()
    image = content / "images/eltorito.img"
    run(
        [
            *("grub-mkimage", "-O", "i386-pc-eltorito", "-d", tree / _GRUB_PC, "-o", image, "-p", "/boot/grub2"),
            *("iso9660", "biosdisk"),
        ]
    )
    (content / "boot/grub2/grub.cfg").write_text("# The menu of a medium goes here.\n", encoding="ascii")
    run(["mkfs.msdos", "-C", "-n", "ANACONDA", "-i", "0", esp, "1440"])
    run(
        [
            *("xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-R", "-J", "-V", "Practice-10-x86_64"),
            *("--grub2-mbr", f"{tree}{GRUB_MBR_FILE}", "-partition_offset", "16", "-appended_part_as_gpt"),
            *("-append_partition", "2", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", esp),
            *("-iso_mbr_part_type", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "-c", "boot.cat", "--boot-catalog-hide"),
            *("-b", "images/eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"),
            *("--grub2-boot-info", "-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::"),
            *("-no-emul-boot", content),
        ],
        env={"SOURCE_DATE_EPOCH": str(epoch)},
    )


def packaged_boot_code() -> dict[str, bytes]:
    """What CentOS's trees do not publish and its package syslinux has: code for MBRs, and a module; by file name."""
    return {path.name: path.read_bytes() for path in (_MBR, _DISK_MBR, _SYSLINUX / "chain.c32")}


def installed_efi() -> dict[str, bytes]:
    """The loaders of an installed system for UEFI, by file name."""
    return {name: path.read_bytes() for name, path in _INSTALLED_EFI.items()}
