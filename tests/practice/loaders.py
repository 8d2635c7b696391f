"""The boot loaders of the practice mirror: isolinux as the host has it, and GRUB made like CentOS's."""

import shutil
from pathlib import Path

from tests.practice.host import run

_ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
_MBR = Path("/usr/lib/ISOLINUX/isohdpfx.bin")
_SYSLINUX = Path("/usr/lib/syslinux/modules/bios")
_GRUB = Path("/usr/lib/grub")
_FONT = Path("/usr/share/grub/unicode.pf2")
# Where the practice system, and CentOS, have GRUB's parts for BIOS.
_GRUB_PC = "usr/lib/grub/i386-pc"
GRUB_MBR_FILE = f"/{_GRUB_PC}/boot_hybrid.img"

_GRUB_MODULES = (
    *("fat", "iso9660", "part_gpt", "part_msdos"),
    *("boot", "chain", "configfile", "halt", "linux", "normal", "reboot", "sleep"),
    *("echo", "loopback", "ls", "minicmd", "regexp", "test", "true"),
    *("search", "search_fs_file", "search_fs_uuid", "search_label"),
    *("all_video", "font", "gfxmenu", "gfxterm", "png", "serial", "terminal"),
)


def add_isolinux(os_tree: Path) -> None:
    """Put isolinux into a mirror's tree, with the modules that CentOS 8 and 9 have there."""
    folder = os_tree / "isolinux"
    folder.mkdir()
    shutil.copyfile(_ISOLINUX, folder / _ISOLINUX.name)
    for name in ("ldlinux.c32", "libcom32.c32", "libutil.c32", "vesamenu.c32"):
        shutil.copyfile(_SYSLINUX / name, folder / name)


def add_grub(os_tree: Path, image: str = "BOOTX64.EFI", *, platform: str = "x86_64-efi", grub: Path = _GRUB) -> None:
    """Put GRUB for UEFI into a mirror's tree as `image`; `grub` is the folder of the modules for each platform.

    Like CentOS's gcdx64.efi it has all it needs built in, and reads /EFI/BOOT/grub.cfg on the device that it was
    started from.
    """
    folder = os_tree / "EFI/BOOT"
    (folder / "fonts").mkdir(parents=True)
    options = ("-O", platform, "-d", grub / platform, "-p", "/EFI/BOOT", "-o", folder / image)
    run(["grub-mkimage", *options, *_GRUB_MODULES])
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
    """What CentOS's trees do not publish and its package syslinux has: code for an MBR, and a module; by file name."""
    return {path.name: path.read_bytes() for path in (_MBR, _SYSLINUX / "chain.c32")}
