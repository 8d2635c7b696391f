"""The boot check reads the menu that is on the medium, and tells a boot that gets lost from one that arrives.

The media here are small: isolinux and our menu, no kernel. Boots of a whole medium are in test_boot.
"""

import re
import tempfile
from pathlib import Path
from typing import Literal

import pytest

from isobuilder.boot.check import FATAL, Verdict, boot_check
from isobuilder.boot.firmware import Firmware
from isobuilder.boot.hardware import hardware_for
from isobuilder.boot.menu import parse_grub, parse_isolinux, read_menu
from isobuilder.boot.vm import VirtualMachine
from isobuilder.errors import BootError, HostError, MediumError, UsageError
from isobuilder.progress import Silent
from tests.example_menus import menus
from tests.test_iso_reader import make_iso

DISCINFO = {".discinfo": b"1.000000\nCenter 9\nx86_64\nALL\n"}
SYSLINUX = Path("/usr/lib/syslinux/modules/bios")


def small_medium(folder: Path, *, console: str | None = "ttyS0,115200") -> Path:
    bios, uefi = menus(install={"console": console} if console else {}, menu={"default": "rescue"})
    modules = {name: (SYSLINUX / name).read_bytes() for name in ("ldlinux.c32", "libcom32.c32", "libutil.c32")}
    files = {f"isolinux/{name}": data for name, data in modules.items()}
    files["isolinux/vesamenu.c32"] = (SYSLINUX / "vesamenu.c32").read_bytes()
    files["isolinux/isolinux.bin"] = Path("/usr/lib/ISOLINUX/isolinux.bin").read_bytes()
    return make_iso(
        folder, files | DISCINFO | {"isolinux/isolinux.cfg": bios.encode(), "EFI/BOOT/grub.cfg": uefi.encode()}
    )


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_medium(tmp_path_factory.mktemp("small"))


def check(
    iso: Path,
    entry: str,
    output: Path,
    *,
    firmware: Firmware = "bios",
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
        choose_accelerator=lambda _hardware, _progress: "tcg",
    )


def test_the_local_entry_starts_the_disk(medium: Path, tmp_path: Path) -> None:
    verdict = check(medium, "local", tmp_path / "out")
    assert verdict.passed, verdict.missing
    assert not verdict.missing
    assert "the local disk has started" in verdict.seen[-1]
    assert verdict.accelerator == "tcg"
    names = ["local-bios-cdrom-menu.png", "local-bios-cdrom-screen.png"]
    for picture, name in zip((verdict.menu_picture, verdict.screen_picture), names, strict=True):
        assert picture == tmp_path / "out" / name
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert verdict.console_log == tmp_path / "out" / "local-bios-cdrom-console.log"
    assert any(f"the menu is in {verdict.menu_picture}" in line for line in verdict.seen)
    assert b"isobuilder: the local disk has started" in verdict.console_log.read_bytes()


def test_a_boot_that_gets_lost_fails_at_once_with_the_consoles_words(medium: Path, tmp_path: Path) -> None:
    verdict = check(medium, "rack-node", tmp_path / "out")
    assert not verdict.passed
    (missing,) = verdict.missing
    assert (
        missing == "the kernel's command line: the console shows 'Loading /images/pxeboot/vmlinuz... failed:' instead"
    )
    assert verdict.seconds < 60


def test_a_boot_that_hangs_fails_in_time_and_shows_no_menu_of_an_earlier_one(tmp_path: Path) -> None:
    bios, _ = menus(install={"console": "ttyS0,115200"})
    # Nothing on it boots.
    iso = make_iso(tmp_path, DISCINFO | {"isolinux/isolinux.cfg": bios.encode()})
    out = tmp_path / "out"
    out.mkdir()
    ours = [f"minimal-bios-cdrom-{part}" for part in ("menu.png", "screen.png", "console.log")]
    others = ["minimal-uefi-cdrom-menu.png", "menu.png"]
    for name in [*ours, *others]:
        (out / name).write_text("earlier")
    verdict = check(iso, "minimal", out, timeout=3)
    assert not verdict.passed
    assert verdict.missing == ("the menu: not seen within 3 s",)
    assert verdict.menu_picture is None
    assert {path.name for path in out.iterdir()} == {*ours[1:], *others}
    assert {name for name in others if (out / name).read_text() != "earlier"} == set()
    assert "earlier" not in verdict.console_log.read_text(encoding="utf-8", errors="replace")


def test_a_machine_that_does_not_show_its_screen_is_told(
    medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_self: VirtualMachine, _path: Path) -> None:
        raise BootError("the machine does not answer screendump")

    monkeypatch.setattr(VirtualMachine, "screenshot", silent)
    verdict = check(medium, "local", tmp_path / "out")
    assert verdict.missing == ("the machine does not answer screendump",)
    assert verdict.menu_picture is None
    assert verdict.screen_picture is None


def test_a_machine_that_switches_itself_off_before_the_last_picture_has_passed(
    medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = VirtualMachine.screenshot

    def too_late(vm: VirtualMachine, path: Path) -> None:
        if path.name.endswith("-screen.png"):
            vm._control.execute("quit")
            vm._control.execute("query-status")
        take(vm, path)

    monkeypatch.setattr(VirtualMachine, "screenshot", too_late)
    verdict = check(medium, "local", tmp_path)
    assert verdict.passed, verdict.missing
    assert verdict.screen_picture is None
    assert verdict.menu_picture


def test_what_cannot_be_replaced_is_told_before_the_machine_starts(medium: Path, tmp_path: Path) -> None:
    (tmp_path / "local-bios-cdrom-menu.png").mkdir()
    with pytest.raises(HostError, match=r"local-bios-cdrom-menu\.png: cannot be replaced"):
        check(medium, "local", tmp_path)


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
    with pytest.raises(UsageError, match=r"no\.iso: No such file"):
        read_menu(tmp_path / "no.iso", "bios")
    (tmp_path / "zeros").write_bytes(bytes(1 << 20))
    with pytest.raises(MediumError, match="no ISO 9660 image"):
        read_menu(tmp_path / "zeros", "bios")
    other = make_iso(tmp_path, {"isolinux/isolinux.cfg": b"default linux\nlabel linux\n", "a": b""})
    with pytest.raises(MediumError, match="no menu that isobuilder made"):
        read_menu(other, "bios")
    with pytest.raises(MediumError, match=r"EFI/BOOT/grub\.cfg cannot be read from it: there is no EFI"):
        read_menu(other, "uefi")


@pytest.mark.parametrize(
    "place",
    ["/../../x", "/..", "/EFI/../../x", "/./x", "/EFI/./x", "//x", "/EFI//x", "/x/", "/", "x", "'/a;b'", "/" * 9],
)
def test_a_loader_that_lies_elsewhere_than_below_the_top_of_a_disk_is_refused(place: str) -> None:
    entry = f"menuentry 'Local' --id local {{\n\tsearch --file /x\n\t\tchainloader {place}\n}}\nset default=local\n"
    with pytest.raises(MediumError, match=r"EFI/BOOT/grub\.cfg: .* is no path of a loader"):
        parse_grub(entry)


def test_a_hostile_menu_writes_nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    _, uefi = menus(install={"console": "ttyS0,115200"})
    hostile = re.sub(r"chainloader \S+", "chainloader /../../../escaped", uefi)
    iso = make_iso(tmp_path, DISCINFO | {"EFI/BOOT/grub.cfg": hostile.encode()})
    with pytest.raises(MediumError, match="no path of a loader"):
        check(iso, "local", tmp_path / "out", firmware="uefi", timeout=1)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("name", ["../x", "a/b", "A", "-x"])
def test_an_entry_whose_id_is_none_of_ours_is_refused(name: str) -> None:
    with pytest.raises(MediumError, match=r"isolinux/isolinux\.cfg: .* is no id of an entry"):
        parse_isolinux(f"label {name}\n  menu label x\n  menu default\n")


@pytest.mark.parametrize("text", ["", "1.0\nCenter 9\n", "1.0\nCenter 9\nriscv64\nALL\n", "\xff" * 2000])
def test_a_medium_of_no_architecture_that_we_know_is_refused(tmp_path: Path, text: str) -> None:
    iso = make_iso(tmp_path, {".discinfo": text.encode()})
    with pytest.raises(MediumError, match=r"\.discinfo names the architecture '.*', and not x86_64 or aarch64"):
        hardware_for(iso)


def test_a_medium_that_says_nothing_of_its_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediumError, match=r"there is no \.discinfo"):
        hardware_for(make_iso(tmp_path, {"a": b""}))


def test_no_machine_of_an_architecture_without_a_bios_has_one(tmp_path: Path) -> None:
    _, uefi = menus(install={"console": "ttyS0,115200"})
    discinfo = DISCINFO[".discinfo"].replace(b"x86_64", b"aarch64")
    iso = make_iso(tmp_path, {".discinfo": discinfo, "EFI/BOOT/grub.cfg": uefi.encode()})
    with pytest.raises(UsageError, match=r"for aarch64, and a BIOS cannot be had"):
        check(iso, "minimal", tmp_path / "out", firmware="bios")
    with pytest.raises(UsageError, match="says nothing on a serial console") as caught:
        check(iso, "minimal", tmp_path / "out", firmware="uefi")
    assert 'console = "ttyAMA0"' in caught.value.hint


def test_a_menu_of_absurd_size_is_refused(tmp_path: Path) -> None:
    iso = make_iso(tmp_path, {"isolinux/isolinux.cfg": bytes(2 << 20)})
    with pytest.raises(MediumError, match="1048576 is the most"):
        read_menu(iso, "bios")


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


def test_the_local_entry_is_not_for_secure_boot(medium: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--secure-boot: the entry local") as caught:
        check(medium, "local", tmp_path, firmware="uefi-secure")
    assert "signed by nobody" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "fatal"),
    [
        ("error: file `/images/pxeboot/vmlinuz' not found.", True),
        ("error: file `/boot/' not found.", False),
        ("error: no such device: CAMPUS-CLOUD.", True),
        ("error: no such device: /.disk/mini-info.", False),
        ("error: bad shim signature.", True),
        ("Verification failed: (0x1A) Security Violation", True),
        ('BdsDxe: failed to load Boot0001 "UEFI QEMU" from PciRoot(0x0)/Pci(0x1F,0x2): Access Denied', True),
        ('BdsDxe: failed to load Boot0001 "UEFI QEMU" from PciRoot(0x0)/Pci(0x1F,0x2): Not Found', False),
    ],
)
def test_words_after_which_nothing_good_comes(said: str, *, fatal: bool) -> None:
    assert any(re.search(pattern, said) for pattern in FATAL) == fatal
