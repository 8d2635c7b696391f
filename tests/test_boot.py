"""The demo medium boots: on BIOS and UEFI, as a CD and as a USB stick, to the role that was chosen."""

import hashlib
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from isobuilder.boot.check import Verdict, boot_check
from isobuilder.boot.firmware import Firmware
from isobuilder.boot.hardware import Medium
from isobuilder.progress import Silent

pytestmark = [pytest.mark.vm, pytest.mark.practice]

# A boot takes 15 to 40 seconds on an idle machine without KVM; this is for a busy one.
SECONDS = 300
# The last words of the practice installer, when the medium was as it should be.
DONE = r"practice: done"


def check(
    iso: Path, entry: str, firmware: Firmware, medium: Medium, output: Path, marker: str | None = None
) -> Verdict:
    return boot_check(
        iso,
        entry=entry,
        firmware=firmware,
        medium=medium,
        marker=marker,
        timeout=SECONDS,
        output=output,
        progress=Silent(),
        choose_accelerator=lambda _hardware, _progress: "tcg",
    )


def boot(iso: Path, entry: str, firmware: Firmware, medium: Medium, output: Path) -> tuple[Verdict, str]:
    """The verdict, and what the practice installer said."""
    verdict = check(iso, entry, firmware, medium, output, DONE)
    said = verdict.console_log.read_text(encoding="utf-8", errors="replace")
    assert verdict.passed, (*verdict.missing, said[-2000:])
    return verdict, "\n".join(re.findall(r"practice: (.*?)\r?$", said, re.MULTILINE))


def file_on(iso: Path, path: str, folder: Path) -> bytes:
    """A file on the medium, taken out by xorriso."""
    command = ["xorriso", "-osirrox", "on", "-indev", str(iso), "-extract", path, str(folder / "file")]
    subprocess.run(command, check=True, capture_output=True)
    return (folder / "file").read_bytes()


def change_a_byte(iso: Path, data: bytes) -> None:
    """Change the byte in the middle of `data` wherever an image holds it: as a file, and in the EFI image."""
    image = bytearray(iso.read_bytes())
    place = image.find(data)
    assert place >= 0
    while place >= 0:
        image[place + len(data) // 2] ^= 1
        place = image.find(data, place + len(data))
    iso.write_bytes(image)


@pytest.mark.parametrize(("entry", "firmware", "medium"), [("minimal", "bios", "cdrom"), ("rack-node", "uefi", "usb")])
def test_a_role_boots_with_its_own_kickstart_and_a_whole_repository(
    demo_iso: Path,
    tmp_path: Path,
    entry: str,
    firmware: Firmware,
    medium: Medium,
) -> None:
    verdict, said = boot(demo_iso, entry, firmware, medium, tmp_path)
    digest = hashlib.sha256(file_on(demo_iso, f"/ks/{entry}.cfg", tmp_path)).hexdigest()
    assert f"kickstart /ks/{entry}.cfg sha256 {digest}" in said
    assert re.search(r"repository [1-9][0-9]* packages, all there", said)
    assert f"firmware {firmware.upper()}" in said
    assert ("/dev/sr0" in said) == (medium == "cdrom")
    assert verdict.menu_picture
    assert verdict.menu_picture.read_bytes().startswith(b"\x89PNG")


def test_the_rescue_system_boots_from_a_stick_on_bios(demo_iso: Path, tmp_path: Path) -> None:
    _, said = boot(demo_iso, "rescue", "bios", "usb", tmp_path)
    assert "rescue" in said.splitlines()
    assert "kickstart" not in said
    assert "firmware BIOS" in said


def test_the_medium_passes_its_own_check_on_uefi(demo_iso: Path, tmp_path: Path) -> None:
    _, said = boot(demo_iso, "check", "uefi", "cdrom", tmp_path)
    assert "media check passed" in said
    assert "kickstart none" in said


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_the_local_entry_starts_what_is_on_the_disk(demo_iso: Path, tmp_path: Path, firmware: Firmware) -> None:
    verdict = check(demo_iso, "local", firmware, "cdrom", tmp_path)
    assert verdict.passed, verdict.missing


def test_a_role_starts_with_secure_boot_in_the_menu_as_it_was_drawn(demo_iso: Path, tmp_path: Path) -> None:
    verdict, said = boot(demo_iso, "frontend", "uefi-secure", "usb", tmp_path)
    assert "firmware UEFI" in said
    assert "anaconda stand-in started" in said
    console = verdict.console_log.read_text(encoding="utf-8", errors="replace")
    assert "secureboot: Secure boot enabled" in console
    assert "Kernel is locked down from EFI Secure Boot" in console
    assert verdict.menu_picture
    # The size of our theme's screen. Without a font that GRUB may take it is text, on the firmware's 1280 by 800.
    assert struct.unpack(">II", verdict.menu_picture.read_bytes()[16:24]) == (1024, 768)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/EFI/BOOT/grubx64.efi", "Security Violation"),
        ("/images/pxeboot/vmlinuz", "bad shim signature"),
    ],
)
def test_secure_boot_starts_nothing_that_was_changed(demo_iso: Path, tmp_path: Path, path: str, words: str) -> None:
    changed = tmp_path / "changed.iso"
    shutil.copyfile(demo_iso, changed)
    change_a_byte(changed, file_on(demo_iso, path, tmp_path))
    verdict = check(changed, "rack-node", "uefi-secure", "cdrom", tmp_path)
    assert not verdict.passed
    assert any(words in line for line in verdict.missing), verdict.missing
    assert "Linux version" not in verdict.console_log.read_text(encoding="utf-8", errors="replace")


def test_a_damaged_medium_does_not_pass_its_own_check(demo_iso: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.iso"
    shutil.copyfile(demo_iso, damaged)
    with damaged.open("r+b") as file:
        file.seek(demo_iso.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    verdict = check(damaged, "check", "bios", "cdrom", tmp_path)
    assert not verdict.passed
    assert any("FAIL" in line for line in verdict.missing), verdict.missing
