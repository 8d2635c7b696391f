"""A medium for aarch64 is built by the command line and boots, as a CD and as a USB stick: Debian's shim and kernel,
GRUB of Debian's parts, and the practice installer. There is no such machine here: QEMU translates one.
"""

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from isobuilder.boot.check import Verdict, boot_check
from isobuilder.boot.hardware import Medium
from isobuilder.progress import Silent
from tests.aarch64.debian import ensure_system
from tests.aarch64.mirror import make_mirror, write_definition
from tests.conftest import isobuilder
from tests.practice.mirror import cache_folder
from tests.practice.server import serve

pytestmark = [pytest.mark.vm, pytest.mark.practice]

# A boot takes 20 seconds on an idle machine; this is for a busy one.
SECONDS = 300


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The mirror's folder, and where it is served."""
    folder = tmp_path_factory.mktemp("arm-mirror")
    scratch = tmp_path_factory.mktemp("arm-work")
    make_mirror(ensure_system(cache_folder(os.environ).with_name("isobuilder-arm64")), folder, scratch)
    with serve(folder) as url:
        yield folder, url


@pytest.fixture(scope="module")
def iso(mirror: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arm")
    write_definition(folder, mirror[1], mirror[0])
    done = isobuilder("build", "--cache-dir", str(folder / "cache"), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "arm-practice-aarch64.iso"


def check(iso: Path, entry: str, medium: Medium, output: Path) -> tuple[Verdict, str]:
    """The verdict, and what the console said."""
    verdict = boot_check(
        iso,
        entry=entry,
        firmware="uefi",
        medium=medium,
        marker="practice: done",
        timeout=SECONDS,
        output=output,
        progress=Silent(),
        choose_accelerator=lambda _hardware, _progress: "tcg",
    )
    said = verdict.console_log.read_text(encoding="utf-8", errors="replace")
    assert verdict.passed, (*verdict.missing, said[-2000:])
    return verdict, said


@pytest.mark.parametrize(("entry", "medium", "device"), [("rack-node", "cdrom", "sr0"), ("minimal", "usb", "sda")])
def test_a_role_boots_with_its_own_kickstart(
    iso: Path, tmp_path: Path, entry: str, medium: Medium, device: str
) -> None:
    verdict, said = check(iso, entry, medium, tmp_path)
    # The check has compared every word of the entry's line with what the kernel was told.
    assert any(f"chose {entry}-serial" in line for line in verdict.seen)
    assert re.search(rf"practice: medium ARM-PRACTICE on /dev/{device}\b", said)
    kickstart = subprocess.run(["bsdtar", "-xOf", iso, f"ks/{entry}.cfg"], check=True, capture_output=True).stdout
    assert f"practice: kickstart /ks/{entry}.cfg sha256 {hashlib.sha256(kickstart).hexdigest()}" in said
    assert "practice: discinfo arch aarch64" in said
    # What every role gets, with the group's one package; and the one that rack-node asks for.
    assert "practice: repository 5 packages, all there" in said
    assert verdict.menu_picture
    assert verdict.menu_picture.read_bytes().startswith(b"\x89PNG")


def test_the_local_entry_starts_the_loader_on_the_disk(iso: Path, tmp_path: Path) -> None:
    check(iso, "local", "cdrom", tmp_path)


def test_the_medium_has_nothing_for_a_bios(iso: Path) -> None:
    command = ["xorriso", "-indev", str(iso), "-report_el_torito", "plain", "-report_system_area", "plain"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert re.findall(r"^El Torito boot img : +1  (\w+) ", report, re.MULTILINE) == ["UEFI"]
    assert "El Torito boot img :   2" not in report
    subprocess.run(["checkisomd5", str(iso)], check=True, capture_output=True)
