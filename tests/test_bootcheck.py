"""The boot check reads the menu that is on the medium, and tells a boot that gets lost from one that arrives.

The media here are small: isolinux and our menu, no kernel. Boots of a whole medium are in test_boot.
"""

import subprocess
from pathlib import Path
from typing import Literal

import pytest

from isobuilder.boot.check import Verdict, boot_check
from isobuilder.boot.menu import parse_grub, parse_isolinux, read_menu
from isobuilder.errors import MediumError, UsageError
from isobuilder.iso.reader import read_file
from isobuilder.progress import Silent
from tests.test_menus import menus

SYSLINUX = Path("/usr/lib/syslinux/modules/bios")


def make_iso(folder: Path, files: dict[str, bytes]) -> Path:
    """An ISO of xorriso's with these files, started by isolinux when it is among them."""
    tree, iso = folder / "tree", folder / "medium.iso"
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    boot = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot"]
    boot += ["-boot-load-size", "4", "-boot-info-table"]
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "SMALL"]
    command += boot if "isolinux/isolinux.bin" in files else []
    subprocess.run([*command, "-o", iso, tree], check=True, capture_output=True)
    return iso


def small_medium(folder: Path, *, console: str | None = "ttyS0,115200") -> Path:
    bios, uefi = menus(install={"console": console} if console else {}, menu={"default": "rescue"})
    modules = {name: (SYSLINUX / name).read_bytes() for name in ("ldlinux.c32", "libcom32.c32", "libutil.c32")}
    files = {f"isolinux/{name}": data for name, data in modules.items()}
    files["isolinux/vesamenu.c32"] = (SYSLINUX / "vesamenu.c32").read_bytes()
    files["isolinux/isolinux.bin"] = Path("/usr/lib/ISOLINUX/isolinux.bin").read_bytes()
    return make_iso(folder, files | {"isolinux/isolinux.cfg": bios.encode(), "EFI/BOOT/grub.cfg": uefi.encode()})


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_medium(tmp_path_factory.mktemp("small"))


def check(
    iso: Path,
    entry: str,
    output: Path,
    *,
    firmware: Literal["bios", "uefi"] = "bios",
    marker: str | None = None,
    timeout: float = 120,
) -> Verdict:
    return boot_check(
        iso,
        entry=entry,
        firmware=firmware,
        medium="cdrom",
        marker=marker,
        timeout=timeout,
        output=output,
        progress=Silent(),
        choose_accelerator=lambda: "tcg",
    )


def test_the_local_entry_starts_the_disk(medium: Path, tmp_path: Path) -> None:
    verdict = check(medium, "local", tmp_path / "out")
    assert verdict.passed, verdict.missing
    assert not verdict.missing
    assert "the local disk has started" in verdict.seen[-1]
    assert verdict.accelerator == "tcg"
    for picture in (verdict.menu_picture, verdict.screen_picture):
        assert picture
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert b"isobuilder: the local disk has started" in verdict.console_log.read_bytes()


def test_a_boot_that_gets_lost_fails_at_once_with_the_consoles_words(medium: Path, tmp_path: Path) -> None:
    verdict = check(medium, "rack-node", tmp_path / "out")
    assert not verdict.passed
    (missing,) = verdict.missing
    assert (
        missing == "the kernel's command line: the console shows 'Loading /images/pxeboot/vmlinuz... failed:' instead"
    )
    assert verdict.seconds < 60


def test_a_boot_that_hangs_fails_in_time(tmp_path: Path) -> None:
    bios, _ = menus(install={"console": "ttyS0,115200"})
    # Nothing on it boots.
    iso = make_iso(tmp_path, {"isolinux/isolinux.cfg": bios.encode()})
    verdict = check(iso, "minimal", tmp_path / "out", timeout=3)
    assert not verdict.passed
    assert verdict.missing == ("the menu: not seen within 3 s",)
    assert not verdict.menu_picture.exists()


def test_an_unknown_entry_is_refused_before_anything_starts(medium: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no 'racknode'; did you mean 'rack-node'\?"):
        check(medium, "racknode", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_marker_that_is_no_expression_is_refused(medium: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--marker: .* is no regular expression"):
        check(medium, "minimal", tmp_path / "out", marker="(")


@pytest.mark.parametrize("entry", ["minimal", "local"])
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_medium_without_a_console_cannot_be_followed(
    tmp_path: Path, entry: str, firmware: Literal["bios", "uefi"]
) -> None:
    iso = small_medium(tmp_path, console=None)
    with pytest.raises(UsageError, match="says nothing on a serial console") as caught:
        check(iso, entry, tmp_path / "out", firmware=firmware)
    assert 'console = "ttyS0,115200"' in caught.value.hint


def test_what_is_no_medium_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_menu(tmp_path / "no.iso", "bios")
    (tmp_path / "zeros").write_bytes(bytes(1 << 20))
    with pytest.raises(MediumError, match="no ISO 9660 image"):
        read_menu(tmp_path / "zeros", "bios")
    other = make_iso(tmp_path, {"isolinux/isolinux.cfg": b"default linux\nlabel linux\n", "a": b""})
    with pytest.raises(MediumError, match="no menu that isobuilder made"):
        read_menu(other, "bios")
    with pytest.raises(MediumError, match=r"EFI/BOOT/grub\.cfg cannot be read from it: there is no EFI"):
        read_menu(other, "uefi")


def test_a_menu_of_absurd_size_is_refused(tmp_path: Path) -> None:
    iso = make_iso(tmp_path, {"isolinux/isolinux.cfg": bytes(2 << 20)})
    with pytest.raises(MediumError, match="1048576 is the most"):
        read_menu(iso, "bios")


def test_files_are_found_among_many(tmp_path: Path) -> None:
    # Some twenty sectors of directory records.
    files = {f"many/file{number:04}.txt": str(number).encode() for number in range(700)}
    iso = make_iso(tmp_path, files | {"many/empty": b""})
    assert read_file(iso, "many/file0000.txt", limit=10) == b"0"
    assert read_file(iso, "many/file0699.txt", limit=3) == b"699"
    assert read_file(iso, "many/empty", limit=0) == b""
    for path, finding in (
        ("many/file0700.txt", "no FILE0700.TXT"),
        ("many", "a folder where a file should"),
        ("many/empty/x", "a file stands where a folder should"),
        ("many/file0699.txt/", "a file stands where a folder should"),
    ):
        with pytest.raises(MediumError, match=finding):
            read_file(iso, path, limit=100)


def test_a_damaged_image_is_no_bug_of_ours(medium: Path, tmp_path: Path) -> None:
    whole = medium.read_bytes()
    iso = tmp_path / "damaged.iso"
    root = int.from_bytes(whole[32768 + 158 : 32768 + 162], "little") * 2048
    damaged = [whole[:size] for size in (0, 40_000, root, root + 2000)]
    for place in (*range(32768 + 156, 32768 + 190), *range(root, root + 200, 3)):
        changed = (bytes([value]) for value in (0, 1, 33, 255))
        damaged += [whole[:place] + byte + whole[place + 1 : root + 8192] for byte in changed]
    for image in damaged:
        iso.write_bytes(image)
        try:
            data = read_file(iso, "isolinux/isolinux.cfg", limit=1 << 20)
        except MediumError:
            continue
        assert len(data) <= 1 << 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        "append initrd=x y\nmenu default\nmenu label x\nserial\n",
        "label\nlabel a b\nmenu\nmenu label\nserial one\n",
        "menuentry 'no end --id x {\n\tlinux /x y\n\tchainloader /../x\nset default=\n",
    ],
)
def test_odd_lines_are_passed_over(text: str) -> None:
    for menu in (parse_isolinux(text), parse_grub(text)):
        assert not menu.lines
        assert not menu.default
        assert menu.serial_port is None
