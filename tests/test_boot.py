"""The demo medium boots: on BIOS and UEFI, as a CD and as a USB stick, to the role that was chosen."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from isobuilder.boot.check import Verdict, boot_check
from isobuilder.progress import Silent

pytestmark = [pytest.mark.vm, pytest.mark.practice]

# A boot takes 15 to 40 seconds on an idle machine without KVM; this is for a busy one.
SECONDS = 300
# The last words of the practice installer, when the medium was as it should be.
DONE = r"practice: done"


Firmware = Literal["bios", "uefi"]
Medium = Literal["cdrom", "usb"]


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


def sha256_on(iso: Path, path: str, folder: Path) -> str:
    """The digest of a file on the medium, taken out by xorriso."""
    command = ["xorriso", "-osirrox", "on", "-indev", str(iso), "-extract", path, str(folder / "file")]
    subprocess.run(command, check=True, capture_output=True)
    return hashlib.sha256((folder / "file").read_bytes()).hexdigest()


@pytest.mark.parametrize(("entry", "firmware", "medium"), [("minimal", "bios", "cdrom"), ("rack-node", "uefi", "usb")])
def test_a_role_boots_with_its_own_kickstart_and_a_whole_repository(
    demo_iso: Path,
    tmp_path: Path,
    entry: str,
    firmware: Firmware,
    medium: Medium,
) -> None:
    verdict, said = boot(demo_iso, entry, firmware, medium, tmp_path)
    assert f"kickstart /ks/{entry}.cfg sha256 {sha256_on(demo_iso, f'/ks/{entry}.cfg', tmp_path)}" in said
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
