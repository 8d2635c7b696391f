"""Real loaders take the menus, and find the local disk beside a medium that is a disk itself.

The media here are small: a loader and our menus, no kernel. Those with isolinux as a CD are in test_boot_check.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from isobuilder.boot import guestcode
from isobuilder.boot.check import LOCAL_STARTED, boot_check
from isobuilder.boot.drives import RawDisk
from isobuilder.boot.vm import Machine, VirtualMachine
from isobuilder.bootmenu.entries import make_menu
from isobuilder.bootmenu.render import menu_files
from isobuilder.progress import Silent
from tests.example_menus import CLOUD, VOLUME_ID, blueprint

pytestmark = pytest.mark.vm

SYSLINUX = Path("/usr/lib/syslinux/modules/bios")
ISOLINUX = Path("/usr/lib/ISOLINUX")
GRUB = Path("/usr/lib/grub/i386-pc")
FONT = Path("/usr/share/grub/unicode.pf2")
SECONDS = 120


def tree(folder: Path, kind: str) -> Path:
    """A folder with the menus of a medium with a serial console."""
    made = blueprint(kind, install={"console": "ttyS0,115200"})
    (folder / ".discinfo").write_text("1.000000\nCenter 9\nx86_64\nALL\n")
    for path, data in menu_files(make_menu(CLOUD, made), made).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def xorriso(iso: Path, folder: Path, image: str, *more: str | Path) -> Path:
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-V", VOLUME_ID, "-R", "-o", str(iso), "-b", image]
    command += ["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", *map(str, more), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return iso


@pytest.fixture(scope="module")
def isolinux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tree(tmp_path_factory.mktemp("isolinux"), "chain-grub")
    shutil.copyfile(ISOLINUX / "isolinux.bin", folder / "isolinux/isolinux.bin")
    for name in ("ldlinux.c32", "libcom32.c32", "libutil.c32", "vesamenu.c32", "chain.c32"):
        shutil.copyfile(SYSLINUX / name, folder / "isolinux" / name)
    iso = folder.with_suffix(".iso")
    return xorriso(iso, folder, "isolinux/isolinux.bin", "-isohybrid-mbr", ISOLINUX / "isohdpfx.bin")


@pytest.fixture(scope="module")
def grub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GRUB for BIOS as release 10 has it: two modules inside, all others beside its menu."""
    folder = tree(tmp_path_factory.mktemp("grub"), "grub-grub")
    for place in ("images", "EFI/BOOT/fonts"):
        (folder / place).mkdir()
    make = ["grub-mkimage", "-O", "i386-pc-eltorito", "-p", "/boot/grub2", "-o", f"{folder}/images/eltorito.img"]
    subprocess.run([*make, "iso9660", "biosdisk"], check=True)
    shutil.copytree(GRUB, folder / "boot/grub2/i386-pc")
    shutil.copyfile(FONT, folder / "EFI/BOOT/fonts/unicode.pf2")
    more = ("--grub2-boot-info", "--grub2-mbr", GRUB / "boot_hybrid.img")
    return xorriso(folder.with_suffix(".iso"), folder, "images/eltorito.img", *more)


@pytest.mark.parametrize("medium", ["cdrom", "usb"])
def test_grub_on_bios_starts_the_disk_that_is_not_the_medium(
    grub: Path, medium: Literal["cdrom", "usb"], tmp_path: Path
) -> None:
    verdict = boot_check(
        grub,
        entry="local",
        firmware="bios",
        medium=medium,
        marker=None,
        timeout=SECONDS,
        output=tmp_path,
        progress=Silent(),
        choose_accelerator=lambda _hardware, _progress: "tcg",
    )
    assert verdict.passed, verdict.missing


def test_the_serial_twin_is_what_grub_on_bios_starts(grub: Path, tmp_path: Path) -> None:
    verdict = boot_check(
        grub,
        entry="frontend",
        firmware="bios",
        medium="cdrom",
        marker=None,
        timeout=SECONDS,
        output=tmp_path,
        progress=Silent(),
        choose_accelerator=lambda _hardware, _progress: "tcg",
    )
    assert any("chose frontend-serial" in line for line in verdict.seen)
    # There is no kernel; the entry's own words come before it is missed.
    said = verdict.console_log.read_text(encoding="utf-8", errors="replace")
    assert re.search(r"Back to the screen[\s\S]*Install the front end\s+Installs from this medium", said)
    assert any("images/pxeboot/vmlinuz' not found" in line for line in verdict.missing)


def test_isolinux_starts_the_disk_from_a_stick(isolinux: Path, tmp_path: Path) -> None:
    disk = RawDisk(guestcode.speaking_disk(LOCAL_STARTED))
    log = tmp_path / "console.log"
    machine = Machine("bios", "usb")
    with VirtualMachine(machine, isolinux, accelerator="tcg", console_log=log, disk=disk) as vm:
        assert vm.expect([re.compile("Boot from the local disk, if")], SECONDS)
        vm.rest(1)
        # The entry behind the default.
        vm.keys("down", "ret")
        heard = vm.expect([re.compile(re.escape(LOCAL_STARTED))], SECONDS)
        assert heard
