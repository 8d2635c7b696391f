"""The report of a build: what only a build knows, the pictures of its menus, and that no bit of the ISO is other."""

import shutil
import struct
from pathlib import Path

import pytest

from isobuilder.errors import HostError
from isobuilder.lock import required_lock
from isobuilder.progress import Progress, Silent
from isobuilder.seeing.picture import Picture
from isobuilder.seeing.pictures import take_pictures
from tests.conftest import Demo, isobuilder
from tests.test_seeing_report import Page

pytestmark = pytest.mark.practice

NAME = "practice-cloud-practice-x86_64"


def page(folder: Path) -> str:
    return Page((folder / f"{NAME}.report.html").read_text()).text


@pytest.fixture
def again(demo: Demo, tmp_path: Path) -> Path:
    """The demo's folder with all that its build left there."""
    for path in demo.folder.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    shutil.copytree(demo.folder / "eucalyptus", tmp_path / "eucalyptus")
    return tmp_path


def test_it_says_who_signed_what_from_where_and_how_long_it_took(demo: Demo) -> None:
    text = page(demo.folder)
    lock = required_lock(demo.lock)
    on_medium = [package for package in lock.packages if package.roles]
    for repository in {package.repository for package in on_medium}:
        assert f" {repository} " in text
    [fingerprint] = next(one.fingerprints for one in lock.repositories if one.id == "baseos")
    signed = sum(package.repository != "isobuilder" for package in on_medium)
    assert f"{fingerprint} rsa, sha512 {signed} " in text
    assert f"built in, known by its digest {len(on_medium) - signed} " in text
    for work in ("Lock, checked or made", "Signatures", "Writing", "Proof of the image", "Report"):
        assert f" {work} " in text
    assert "Checksums were made as the image was written." in text
    assert "Differences from the previous build" not in text
    assert str(demo.folder) not in text


def test_another_build_tells_what_changed_and_without_a_report_the_old_one_goes(again: Path, demo: Demo) -> None:
    definition = again / "media.toml"
    text = definition.read_text()
    definition.write_text(text.replace("[menu]\n", "[menu]\ntimeout = 7\n"))
    assert "timeout = 7" in definition.read_text()
    assert isobuilder("lock", "--update", "--cache-dir", str(demo.cache), cwd=again).returncode == 0
    done = isobuilder("build", "--force", "--cache-dir", str(demo.cache), cwd=again)
    assert done.returncode == 0, done.stderr
    said = page(again)
    assert f"Compared with the {NAME}.iso that was there before: " in said
    assert "Boot from the local disk, after 60 s \N{MIDDLE DOT}" not in said
    assert "menu changed Boot from the local disk, after 60 s Boot from the local disk, after 7 s" in said
    definition.write_text(text)
    shutil.copy(demo.lock, again)
    (again / f"{NAME}.iso").unlink()
    done = isobuilder("build", "--force", "--no-report", "--cache-dir", str(demo.cache), cwd=again)
    assert done.returncode == 0, done.stderr
    assert (again / f"{NAME}.iso").read_bytes() == demo.iso.read_bytes()
    assert not (again / f"{NAME}.report.html").exists()


@pytest.mark.vm
def test_a_picture_of_the_menu_is_taken_where_there_is_qemu(demo_iso: Path) -> None:
    found = take_pictures(demo_iso, ["bios"], Silent())
    picture = found["bios"]
    assert isinstance(picture, Picture), picture
    assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
    # isolinux's menu is drawn over its own picture.
    assert struct.unpack(">II", picture.png[16:24]) == (640, 480)
    assert len(picture.png) > 8000


def test_a_machine_without_qemu_or_patience_has_reasons(demo_iso: Path) -> None:
    def none(_hardware: object, _progress: Progress) -> "str":
        raise HostError("qemu-system-x86_64: no such program")

    found = take_pictures(demo_iso, ["bios", "uefi"], Silent(), choose_accelerator=none)  # type: ignore[arg-type]
    assert set(found.values()) == {"qemu-system-x86_64: no such program"}
    found = take_pictures(demo_iso, ["bios"], Silent(), seconds=0.0)
    assert found == {"bios": "the menu was not seen within 0 s"}


@pytest.mark.vm
def test_pictures_need_no_network(again: Path, demo: Demo) -> None:
    words = ("build", "--offline", "--force", "--cache-dir", str(demo.cache))
    done = isobuilder(*words, cwd=again, ISOBUILDER_PICTURES="1")
    assert done.returncode == 0, done.stderr
    assert (again / f"{NAME}.report.html").read_text().count("data:image/png") >= 2
