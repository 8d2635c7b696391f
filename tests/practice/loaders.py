"""The boot loaders of the practice mirror: isolinux as the host has it, and a GRUB for UEFI made like CentOS's."""

import shutil
from pathlib import Path

from tests.practice.host import run

_ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
_MBR = Path("/usr/lib/ISOLINUX/isohdpfx.bin")
_SYSLINUX = Path("/usr/lib/syslinux/modules/bios")
_FONT = Path("/usr/share/grub/unicode.pf2")

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


def add_grub(os_tree: Path) -> None:
    """Put GRUB for UEFI into a mirror's tree.

    Like CentOS's gcdx64.efi it has all it needs built in, and reads /EFI/BOOT/grub.cfg on the device that it was
    started from.
    """
    folder = os_tree / "EFI/BOOT"
    (folder / "fonts").mkdir(parents=True)
    run(["grub-mkimage", "-O", "x86_64-efi", "-p", "/EFI/BOOT", "-o", folder / "BOOTX64.EFI", *_GRUB_MODULES])
    shutil.copyfile(_FONT, folder / "fonts" / _FONT.name)


def mbr_code() -> bytes:
    """The code for a master boot record that starts isolinux from a disk."""
    return _MBR.read_bytes()
