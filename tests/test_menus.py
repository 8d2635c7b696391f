"""The menus say the same on BIOS and UEFI, show titles as they were written, and never lie about disks."""

import re
import shlex
import struct
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from isobuilder.boot.menu import parse_grub, parse_isolinux
from isobuilder.definition import Definition
from isobuilder.errors import DefinitionError, HostError, MediumError
from isobuilder.kickstart import Kickstart
from isobuilder.menus import (
    SPLASH_PATH,
    Entry,
    escape_label,
    menu_entries,
    pick_hotkeys,
    render_grub,
    render_isolinux,
    serial_port,
    splash,
)
from isobuilder.readback import PackageRequest
from isobuilder.releases import Release, load_release
from isobuilder.resources import data_folder
from tests import draw_splash

GOLDEN = Path(__file__).parent / "golden" / "menus"
VOLUME_ID = "CAMPUS-9"
ODD_TITLES = (
    "It's a $HOME",
    'Say "hello" to `id` and \\back\\slash',
    "{{ seven }} times 100%",
    "Ends with a quote'",
    "A ^ caret, ^two",
    "; { } > submenu # comment",
)


def definition(**tables: Any) -> Definition:
    return Definition.model_validate({"version": 1, "name": "campus", "release": "9-stream"} | tables)


def role(name: str, title: str, *, menu: bool = True, chooses_disks: bool = False) -> Kickstart:
    request = PackageRequest(packages=(), groups=(), environment=None, excluded_packages=(), excluded_groups=())
    return Kickstart(
        role=name,
        title=title,
        group="other",
        menu=menu,
        path=f"ks/{name}.cfg",
        text="",
        request=request,
        chooses_disks=chooses_disks,
    )


ROLES = (
    role("minimal", "Install a minimal system"),
    role("image", "Machine image", menu=False),
    role("rack-node", "Install a rack node", chooses_disks=True),
)


def entries(*roles: Kickstart, **tables: Any) -> tuple[Entry, ...]:
    made = definition(**tables)
    return menu_entries(roles or ROLES, made, load_release(made), VOLUME_ID)


def menus(*roles: Kickstart, **tables: Any) -> tuple[str, str]:
    """isolinux.cfg and grub.cfg."""
    made = definition(**tables)
    release = load_release(made)
    shown = menu_entries(roles or ROLES, made, release, VOLUME_ID)
    return render_isolinux(shown, made, release), render_grub(shown, made, release, VOLUME_ID)


def with_arguments(release: Release, **arguments: str) -> Release:
    changed = release.kernel_arguments.model_copy(update=arguments)
    return release.model_copy(update={"kernel_arguments": changed})


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("screen", {}),
        (
            "serial",
            {
                "install": {"console": "ttyS1,57600"},
                "menu": {"title": "Campus cloud", "default": "rack-node", "timeout": 0},
            },
        ),
    ],
)
def test_menus_are_as_they_were_approved(name: str, tables: dict[str, Any], request: pytest.FixtureRequest) -> None:
    for kind, text in zip(("isolinux", "grub"), menus(**tables), strict=True):
        golden = GOLDEN / f"{name}.{kind}.cfg"
        if request.config.getoption("--regenerate"):
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text(text)
        assert text == golden.read_text()


def test_roles_with_an_entry_come_first_and_in_order() -> None:
    assert [entry.id for entry in entries()] == ["minimal", "rack-node", "check", "rescue", "local"]


def test_a_kernel_line_holds_what_the_release_and_the_definition_say() -> None:
    lines = {entry.id: entry.kernel_line for entry in entries(install={"console": "ttyS0,115200"})}
    consoles = "console=tty0 console=ttyS0,115200"
    assert lines == {
        "minimal": f"inst.stage2=hd:LABEL=CAMPUS-9 inst.ks=hd:LABEL=CAMPUS-9:/ks/minimal.cfg {consoles}",
        "rack-node": f"inst.stage2=hd:LABEL=CAMPUS-9 inst.ks=hd:LABEL=CAMPUS-9:/ks/rack-node.cfg {consoles}",
        "check": f"inst.stage2=hd:LABEL=CAMPUS-9 rd.live.check {consoles}",
        "rescue": f"inst.stage2=hd:LABEL=CAMPUS-9 inst.rescue {consoles}",
        "local": None,
    }


def test_without_a_console_nothing_is_serial() -> None:
    for text in menus():
        assert "serial" not in text
        assert "console=" not in text


def test_both_menus_have_the_same_entries_and_kernel_lines() -> None:
    odd = [role(f"odd-{number}", title) for number, title in enumerate(ODD_TITLES)]
    bios, uefi = menus(*ROLES, *odd, install={"console": "ttyS0"}, menu={"default": "odd-2"})
    isolinux, grub = parse_isolinux(bios), parse_grub(uefi)
    assert [(line.id, line.title, line.kernel_line) for line in isolinux.lines] == [
        (line.id, line.title, line.kernel_line) for line in grub.lines
    ]
    assert isolinux.default == grub.default == "odd-2"
    assert isolinux.serial_port == grub.serial_port == 0
    assert [line.title for line in grub.lines[2:-3]] == list(ODD_TITLES)


@pytest.mark.parametrize("tables", [{}, {"install": {"console": "ttyS0,115200"}, "menu": {"timeout": 0}}])
def test_grub_takes_its_menu(tables: dict[str, Any], tmp_path: Path) -> None:
    odd = [role(f"odd-{number}", title) for number, title in enumerate(ODD_TITLES)]
    path = tmp_path / "grub.cfg"
    path.write_text(menus(*odd, **tables)[1])
    checked = subprocess.run(["grub-script-check", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_grub_shows_titles_as_they_were_written() -> None:
    odd = [role(f"odd-{number}", title) for number, title in enumerate(ODD_TITLES)]
    lines = [line for line in menus(*odd)[1].splitlines() if line.startswith("menuentry ")]
    # GRUB's single quotes are a shell's.
    assert [shlex.split(line)[1] for line in lines][: len(odd)] == list(ODD_TITLES)


def as_isolinux_draws(label: str) -> tuple[str, str]:
    """What menumain.c's display_entry makes of a `menu label`, and the hotkey that readconfig.c finds in it."""
    _, caret, rest = label.partition("^")
    hotkey = chr(ord(rest[0]) & ~0x20) if caret and rest else ""
    shown, place = "", 0
    while place < len(label):
        if label[place] != "^":
            shown += label[place]
        elif place + 1 < len(label) and chr(ord(label[place + 1]) & ~0x20) == hotkey:
            place += 1
            shown += label[place]
        place += 1
    return shown, hotkey


def test_isolinux_shows_titles_as_they_were_written() -> None:
    odd = [role(f"odd-{number}", title) for number, title in enumerate(ODD_TITLES)]
    labels = re.findall(r"^  menu label (.+)$", menus(*odd)[0], re.MULTILINE)
    drawn = [as_isolinux_draws(label) for label in labels]
    assert [title for title, _ in drawn][: len(odd)] == list(ODD_TITLES)
    hotkeys = [(entry.hotkey or "^").upper() for entry in entries(*odd)]
    assert [hotkey for _, hotkey in drawn] == hotkeys


def test_hotkeys_are_unique_and_leave_grub_its_own() -> None:
    picked = pick_hotkeys(["Edit", "Cook an egg", "Edit", "Edit", "Edit", "a ^ caret", "!", "Try 7", "7 tries"])
    assert picked == ("d", "o", "i", "t", None, None, None, "r", "7")


@pytest.mark.parametrize(
    ("volume_id", "escaped"),
    [
        ("CAMPUS_9-x.1", "CAMPUS_9-x.1"),
        # The first is the label of the stock CentOS 7 medium.
        ("CentOS 7 x86_64", r"CentOS\x207\x20x86_64"),
        ("a/b'c\\d", r"a\x2fb\x27c\x5cd"),
        ("#+.:=@", "#+.:=@"),
    ],
)
def test_labels_are_escaped_as_udev_does(volume_id: str, escaped: str) -> None:
    assert escape_label(volume_id) == escaped


@pytest.mark.parametrize("wanted", ["minimum", "image"])
def test_a_default_that_is_no_entry_is_refused(wanted: str) -> None:
    with pytest.raises(DefinitionError, match=r"menu\.default: .* is no entry") as caught:
        entries(menu={"default": wanted})
    if wanted == "minimum":
        assert "did you mean 'minimal'?" in caught.value.message


@pytest.mark.parametrize(("seconds", "tenths", "grub"), [(0, 0, -1), (1, 10, 1), (60, 600, 60), (3600, 35990, 3600)])
def test_the_timeout_is_in_each_loaders_unit(seconds: int, tenths: int, grub: int) -> None:
    bios, uefi = menus(menu={"timeout": seconds})
    assert f"\ntimeout {tenths}\n" in bios
    assert f"\nset timeout={grub}\n" in uefi


@pytest.mark.parametrize(
    ("console", "port"),
    [(None, None), ("ttyS0", (0, 9600)), ("ttyS3,115200", (3, 115200)), ("ttyS4", None), ("hvc0", None)],
)
def test_loaders_draw_on_ports_that_they_know(console: str | None, port: tuple[int, int] | None) -> None:
    found = serial_port(definition(install={"console": console} if console else {}))
    assert (found and (found.unit, found.speed)) == port


def test_serial_comes_first_for_isolinux() -> None:
    bios, uefi = menus(install={"console": "ttyS1,57600"})
    assert bios.startswith("serial 1 57600\n")
    assert "if serial --unit=1 --speed=57600; then" in uefi


def test_the_help_warns_of_roles_that_choose_disks() -> None:
    asking, choosing = entries(role("one", "One"), role("two", "Two", chooses_disks=True))[:2]
    assert "ERASE" not in asking.help
    assert "ERASE THEM WITHOUT ASKING" in choosing.help


def test_help_fits_a_screen() -> None:
    for entry in entries():
        lines = entry.help.splitlines()
        assert 1 <= len(lines) <= 2
        assert all(len(line) <= 72 for line in lines)


def test_a_line_longer_than_the_kernel_takes_is_refused() -> None:
    made = definition()
    release = load_release(made)
    fitting = with_arguments(release, stage2="x" * 1800)
    assert menu_entries(ROLES, made, fitting, VOLUME_ID)
    with pytest.raises(MediumError, match="2047 is the most"):
        menu_entries(ROLES, made, with_arguments(release, stage2="x" * 2000), VOLUME_ID)


@pytest.mark.parametrize("template", ["inst.ks={where}", "inst.ks={", "inst.ks={0}", "inst.ks={path.nothing}"])
def test_a_placeholder_that_nobody_fills_is_refused(template: str) -> None:
    made = definition()
    with pytest.raises(DefinitionError, match=r"kernel-arguments\.kickstart"):
        menu_entries(ROLES, made, with_arguments(load_release(made), kickstart=template), VOLUME_ID)


@pytest.mark.parametrize("path", ["ks/a b;reboot.cfg\n", "ks/$HOME", "ks/{}"])
def test_what_a_menu_cannot_carry_is_refused(path: str) -> None:
    with pytest.raises(MediumError, match="cannot carry"):
        entries(replace(role("one", "One"), path=path))


def test_the_local_entry_tries_every_loader_of_the_release() -> None:
    local = parse_grub(menus()[1]).lines[-1]
    boot = load_release(definition()).arch["x86_64"].boot
    assert local.loaders == tuple(path.removeprefix("/") for path in boot.efi.local_loaders)
    assert len(local.loaders) > 1


def test_the_splash_is_the_picture_that_its_script_draws() -> None:
    data = splash()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks[data[place + 4 : place + 8]] = data[place + 8 : place + 8 + length]
        place += length + 12
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    # What vesamenu.c32 shows without scaling: 640x480, eight bits for each of three colours.
    assert (width, height, kind) == (640, 480, [8, 2, 0, 0, 0])
    rows = zlib.decompress(chunks[b"IDAT"])
    previous, pixels = bytes(3 * width), b""
    for start in range(0, len(rows), 3 * width + 1):
        assert rows[start] == 2
        row = rows[start + 1 : start + 1 + 3 * width]
        previous = bytes((here + above) & 0xFF for here, above in zip(row, previous, strict=True))
        pixels += previous
    assert pixels == draw_splash.pixels()
    assert f"menu background /{SPLASH_PATH}" in menus()[0]


def test_data_folders_are_found_inside_and_beside_the_package(tmp_path: Path) -> None:
    package = tmp_path / "isobuilder"
    package.mkdir()
    with pytest.raises(HostError, match="menus is missing"):
        data_folder("menus", package=package)
    (tmp_path / "menus").mkdir()
    assert data_folder("menus", package=package) == tmp_path / "menus"
    (package / "menus").mkdir()
    assert data_folder("menus", package=package) == package / "menus"
