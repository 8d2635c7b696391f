"""The menus say the same for every loader, show titles as they were written, and never lie about disks."""

import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from isobuilder.boot.menu import MenuLine, parse_grub, parse_isolinux
from isobuilder.bootmenu.entries import HELP_COLUMNS, HELP_LINES, Entry, make_menu, pick_hotkeys
from isobuilder.bootmenu.kernelline import escape_label, serial_port
from isobuilder.bootmenu.render import GRUB_COLUMNS, menu_files
from isobuilder.errors import DefinitionError, HostError, MediumError
from isobuilder.resources import data_folder
from tests.example_menus import CLOUD, KINDS, ROLES, blueprint, menu, menu_texts, menus, role

GOLDEN = Path(__file__).parent / "golden" / "menus"
ODD_TITLES = (
    "It's a $HOME",
    'Say "hello" to `id` and \\back\\slash',
    "{{ seven }} times 100%",
    "Ends with a quote'",
    "A ^ caret, ^two",
    "; { } > submenu # comment",
)
ODD = [role(f"odd-{number}", title) for number, title in enumerate(ODD_TITLES)]
SERIAL = {
    "install": {"console": "ttyS1,57600"},
    "menu": {"title": 'The "campus" cloud', "default": "frontend", "timeout": 0},
}
DISK = "model X, 100GB to 2TB"


def entries(*roles: Any, **tables: Any) -> tuple[Entry, ...]:
    return menu(*roles, **tables).entries


@pytest.mark.parametrize(("name", "tables"), [("screen", {}), ("serial", SERIAL)])
@pytest.mark.parametrize("kind", KINDS)
def test_menus_are_as_they_were_approved(
    kind: str, name: str, tables: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    texts = menu_texts(*CLOUD, kind=kind, **tables)
    folder = GOLDEN / f"{kind}-{name}"
    for path, text in texts.items():
        golden = folder / path.replace("/", "-")
        if request.config.getoption("--regenerate"):
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text(text)
        assert text == golden.read_text()
    assert {path.name for path in folder.iterdir()} == {path.replace("/", "-") for path in texts}


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        ("isolinux-legacy", {"isolinux/isolinux.cfg", "EFI/BOOT/BOOTX64.conf"}),
        ("isolinux-grub", {"isolinux/isolinux.cfg", "EFI/BOOT/grub.cfg", "EFI/BOOT/theme/theme.txt"}),
        (
            "grub-grub",
            {
                *("boot/grub2/grub.cfg", "boot/grub2/theme/theme.txt"),
                *("EFI/BOOT/grub.cfg", "EFI/BOOT/theme/theme.txt"),
            },
        ),
        ("aarch64", {"EFI/BOOT/grub.cfg", "EFI/BOOT/theme/theme.txt"}),
    ],
)
def test_a_medium_has_the_menus_of_its_releases_loaders(kind: str, paths: set[str]) -> None:
    assert set(menu_texts(kind=kind)) == paths


def test_what_a_theme_names_is_on_the_medium() -> None:
    made = blueprint("grub-grub")
    files = menu_files(make_menu(ROLES, made), made)
    for folder in ("boot/grub2", "EFI/BOOT"):
        assert f"set theme=/{folder}/theme/theme.txt" in files[f"{folder}/grub.cfg"].decode()
        named = re.findall(r'"([\w*]+\.png)"', files[f"{folder}/theme/theme.txt"].decode())
        assert len(named) == 2
        assert {f"{folder}/theme/{name.replace('*', 'c')}" for name in named} < set(files)


def test_a_group_has_a_heading_where_there_are_several() -> None:
    assert [(s.heading, [e.id for e in s.entries]) for s in menu(*CLOUD).sections] == [
        ("Install a cloud of several machines", ["nc", "frontend"]),
        ("Install a cloud on one machine", ["ciab"]),
        ("Other", ["minimal", "rack-node", "check", "rescue", "local"]),
    ]
    assert [(s.heading, [e.id for e in s.entries]) for s in menu().sections] == [
        (None, ["minimal", "rack-node", "check", "rescue", "local"])
    ]
    assert "heading" not in "".join(menu_texts().values())


def test_a_kernel_line_holds_what_the_release_and_the_definition_say() -> None:
    lines = {entry.id: entry.kernel_line for entry in entries(install={"console": "ttyS0,115200"})}
    stage2, ks = "inst.stage2=hd:LABEL=CAMPUS-CENTER", "inst.ks=hd:LABEL=CAMPUS-CENTER:/ks"
    screen = {
        "minimal": f"{stage2} {ks}/minimal.cfg",
        "rack-node": f"{stage2} {ks}/rack-node.cfg",
        "check": f"{stage2} rd.live.check",
        "rescue": f"{stage2} inst.rescue",
    }
    serial = {f"{name}-serial": f"{line} console=tty0 console=ttyS0,115200" for name, line in screen.items()}
    assert lines == {**screen, "local": None, **serial}


def test_a_release_that_finds_its_second_stage_is_not_told_of_it() -> None:
    lines = {entry.id: entry.kernel_line for entry in entries(kind="isolinux-legacy")}
    assert lines["minimal"] == "ks=hd:LABEL=CAMPUS-CENTER:/ks/minimal.cfg"
    assert lines["rescue"] == "rescue"


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_console_nothing_is_serial(kind: str) -> None:
    for text in menu_texts(kind=kind).values():
        assert "serial" not in text
        assert "console=" not in text


def shown(lines: tuple[MenuLine, ...]) -> list[tuple[str, str, str | None]]:
    """Id, title without what GRUB adds about disks, and kernel line."""
    return [(line.id, re.sub(r" \([A-Za-z ,]+\)$", "", line.title), line.kernel_line) for line in lines]


def test_all_menus_have_the_same_entries_and_kernel_lines() -> None:
    tables: dict[str, Any] = {"install": {"console": "ttyS0"}, "menu": {"default": "odd-2"}}
    old, new = (menu_texts(*CLOUD, *ODD, kind=kind, **tables) for kind in ("isolinux-grub", "grub-grub"))
    isolinux = parse_isolinux(old["isolinux/isolinux.cfg"])
    for grub in (parse_grub(old["EFI/BOOT/grub.cfg"]), parse_grub(new["boot/grub2/grub.cfg"])):
        assert shown(grub.lines) == shown(isolinux.lines)
        assert grub.default == isolinux.default == "odd-2"
        assert grub.serial_port == isolinux.serial_port == 0
    assert [line[1] for line in shown(isolinux.lines) if re.match(r"odd-\d$", line[0])] == list(ODD_TITLES)


def test_the_old_grub_has_the_same_entries_and_a_safe_default() -> None:
    made = menu(*CLOUD, kind="isolinux-legacy", install={"console": "ttyS0"})
    text = menu_texts(*CLOUD, kind="isolinux-legacy", install={"console": "ttyS0"})["EFI/BOOT/BOOTX64.conf"]
    blocks = re.split(r"^title ", text, flags=re.MULTILINE)
    kernels = [re.findall(r"^\tkernel /images/pxeboot/vmlinuz (.+)$", block, re.MULTILINE) for block in blocks[1:]]
    assert kernels == [[entry.kernel_line] if entry.kernel_line else [] for entry in made.entries]
    default = re.search(r"^default=(\d+)$", text, re.MULTILINE)
    assert default
    assert "chainloader /EFI/redhat/grub.efi" in blocks[1 + int(default[1])]


@pytest.mark.parametrize(
    ("steps", "entry"), [((1,), "nc"), ((10,), "local"), ((11, 2), "nc-serial"), ((11, 10), "rescue-serial")]
)
def test_steps_count_what_grub_marks(steps: tuple[int, ...], entry: str) -> None:
    grub = parse_grub(menus(*CLOUD, install={"console": "ttyS0"})[1])
    assert grub.find(entry).steps == steps


@pytest.mark.parametrize(
    ("steps", "entry"), [((0,), "nc"), ((6,), "rescue"), ((8, 1), "nc-serial"), ((8, 7), "rescue-serial")]
)
def test_steps_count_what_isolinux_marks(steps: tuple[int, ...], entry: str) -> None:
    isolinux = parse_isolinux(menus(*CLOUD, install={"console": "ttyS0"})[0])
    assert isolinux.find(entry).steps == steps


def test_a_way_to_the_disk_from_a_stick_is_where_its_module_is() -> None:
    with_module, without = (
        menu_texts(*CLOUD, kind=kind)["isolinux/isolinux.cfg"] for kind in ("chain-grub", "isolinux-grub")
    )
    assert "  kernel /isolinux/chain.c32\n  append hd1 swap\n" in with_module
    assert "chain.c32" not in without
    assert parse_isolinux(with_module).lines == parse_isolinux(without).lines
    assert parse_isolinux(with_module).find("local").kernel_line is None


def test_an_entry_is_followed_on_its_twin() -> None:
    for text, parse in zip(menus(install={"console": "ttyS0"}), (parse_isolinux, parse_grub), strict=True):
        assert parse(text).on_serial("minimal").id == "minimal-serial"
        assert parse(text).on_serial("local").id == "local"


def test_nothing_is_installed_by_two_presses_of_enter() -> None:
    bios, uefi = menus(*CLOUD, install={"console": "ttyS0"})
    behind = bios.partition("menu begin")[2]
    assert re.search(r"label (\S+)\n(?:(?!label).*\n)*  menu default", behind).group(1) == "menu.back"  # type: ignore[union-attr]
    # No countdown is inherited.
    assert "\n  timeout 0\n" in behind
    assert re.search(r"menuentry .* --id (\S+)", uefi.partition("submenu ")[2]).group(1) == "menu.back"  # type: ignore[union-attr]


@pytest.mark.parametrize("tables", [{}, SERIAL])
@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("isolinux-grub", "EFI/BOOT/grub.cfg"),
        ("grub-grub", "boot/grub2/grub.cfg"),
        ("aarch64", "EFI/BOOT/grub.cfg"),
    ],
)
def test_grub_takes_its_menu(kind: str, path: str, tables: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "grub.cfg"
    script.write_text(menu_texts(*CLOUD, *ODD, kind=kind, **tables)[path])
    checked = subprocess.run(["grub-script-check", script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_grub_shows_titles_as_they_were_written() -> None:
    lines = [line for line in menus(*ODD)[1].splitlines() if line.startswith("menuentry ")]
    # GRUB's single quotes are a shell's.
    titles = [shlex.split(line)[1] for line in lines][: len(ODD)]
    assert titles == [f"{title} (asks for the disk)" for title in ODD_TITLES]


def as_isolinux_draws(label: str) -> tuple[str, str]:
    """What menumain.c's display_entry makes of a `menu label`, and the hotkey that readconfig.c finds in it."""
    _, caret, rest = label.partition("^")
    hotkey = chr(ord(rest[0]) & ~0x20) if caret and rest else ""
    drawn, place = "", 0
    while place < len(label):
        if label[place] != "^":
            drawn += label[place]
        elif place + 1 < len(label) and chr(ord(label[place + 1]) & ~0x20) == hotkey:
            place += 1
            drawn += label[place]
        place += 1
    return drawn, hotkey


def test_isolinux_shows_titles_as_they_were_written() -> None:
    labels = re.findall(r"^  menu label (.+)$", menus(*ODD)[0], re.MULTILINE)
    drawn = [as_isolinux_draws(label) for label in labels]
    assert [title for title, _ in drawn][: len(ODD)] == list(ODD_TITLES)
    hotkeys = [(entry.hotkey or "^").upper() for entry in entries(*ODD)]
    assert [hotkey for _, hotkey in drawn] == hotkeys


def test_isolinux_draws_within_a_terminal_of_24_lines() -> None:
    for roles in (ROLES, CLOUD, (*CLOUD, *ODD)):
        bios, _ = menus(*roles, install={"console": "ttyS0"})
        places = {name: int(row) for name, row in re.findall(r"^menu (\w+row|rows) (\d+)$", bios, re.MULTILINE)}
        # The frame is title and two lines above the rows and one below.
        assert places["rows"] + 4 < places["helpmsgrow"]
        assert places["helpmsgendrow"] - places["helpmsgrow"] + 1 == HELP_LINES
        assert max(places.values()) <= 24


def test_hotkeys_are_unique_and_leave_grub_its_own() -> None:
    picked = pick_hotkeys(["Edit", "Cook an egg", "Edit", "Edit", "Edit", "a ^ caret", "!", "Try 7", "7 tries"])
    assert picked == ("d", "o", "i", "t", None, None, None, "r", "7")


def test_a_hotkey_is_of_a_word_that_tells_entries_apart() -> None:
    assert pick_hotkeys(["Install a node controller", "Install the front end"]) == ("n", "t")


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


@pytest.mark.parametrize("wanted", ["minimum", "image", "minimal-serial"])
def test_a_default_that_is_no_entry_is_refused(wanted: str) -> None:
    with pytest.raises(DefinitionError, match=r"menu\.default: .* is no entry") as caught:
        entries(menu={"default": wanted}, install={"console": "ttyS0"})
    if wanted == "minimum":
        assert "did you mean 'minimal'?" in caught.value.message


def test_a_role_cannot_have_the_id_of_a_twin() -> None:
    roles = (role("one", "One"), role("one-serial", "Another"))
    assert entries(*roles)
    with pytest.raises(DefinitionError, match=r"role\.one-serial: the twin"):
        entries(*roles, install={"console": "ttyS0"})


@pytest.mark.parametrize(("seconds", "tenths", "grub"), [(0, 0, -1), (1, 10, 1), (60, 600, 60), (3600, 35990, 3600)])
def test_the_timeout_is_in_each_loaders_unit(seconds: int, tenths: int, grub: int) -> None:
    bios, uefi = menus(menu={"timeout": seconds})
    assert f"\ntimeout {tenths}\n" in bios
    assert f"\nset timeout={grub}\n" in uefi
    old = menu_texts(kind="isolinux-legacy", menu={"timeout": seconds})["EFI/BOOT/BOOTX64.conf"]
    assert re.findall(r"^timeout=(\d+)$", old, re.MULTILINE) == ([str(seconds)] if seconds else [])


@pytest.mark.parametrize(
    ("console", "port"),
    [(None, None), ("ttyS0", (0, 9600)), ("ttyS3,115200", (3, 115200)), ("ttyS4", None), ("hvc0", None)],
)
def test_loaders_draw_on_ports_that_they_know(console: str | None, port: tuple[int, int] | None) -> None:
    found = serial_port(blueprint(install={"console": console} if console else {}).definition)
    assert (found and (found.unit, found.speed)) == port


@pytest.mark.parametrize("console", ["ttyAMA0", "ttyS0,115200"])
def test_where_the_firmware_has_the_serial_line_the_menu_is_on_its_console(console: str) -> None:
    text = menu_texts(kind="aarch64", install={"console": console})["EFI/BOOT/grub.cfg"]
    assert parse_grub(text).serial_port == 0
    assert re.findall(r"^\s*(?:terminal_output|serial|set theme).*", text, re.MULTILINE) == ["terminal_output console"]
    pictures = menu_texts(kind="aarch64")["EFI/BOOT/grub.cfg"]
    assert parse_grub(pictures).serial_port is None
    assert "set theme=" in pictures


def test_serial_comes_first_for_isolinux() -> None:
    bios, uefi = menus(install={"console": "ttyS1,57600"})
    assert bios.startswith("serial 1 57600\n")
    assert "if serial --unit=1 --speed=57600; then" in uefi


def test_an_entry_says_what_it_does_to_disks() -> None:
    asking = role("asking", "Asking")
    storage = role("storage", "Storage", chooses_disks=True)
    matching = role("matching", "Matching", chooses_disks=True, disk=DISK)
    again = {"install": {"disk": {"model": "X"}, "reinstall": True}}
    one, two, three = entries(asking, storage, matching)[:3]
    four = entries(asking, storage, matching, **again)[2]
    assert "asks which disk" in one.help
    assert (one.effect, "ERASE" in one.help) == ("asks for the disk", False)
    assert "MAY ERASE THEM WITHOUT ASKING" in two.help
    assert two.effect == "MAY ERASE disks unasked"
    assert DISK in three.help
    assert "is empty; else stops and writes nothing" in " ".join(three.help.split())
    assert (three.effect, "ERASE" in three.help) == ("takes an empty disk", False)
    assert "then ERASED" in " ".join(four.help.split())
    assert four.effect == "MAY ERASE a disk unasked"
    for text in (
        menus(asking, storage, matching)[1],
        menu_texts(storage, kind="isolinux-legacy")["EFI/BOOT/BOOTX64.conf"],
    ):
        assert "Storage (MAY ERASE disks unasked)" in text


def test_a_warning_is_seen_however_long_the_title_is() -> None:
    line = parse_grub(menus(role("one", "x" * 100, chooses_disks=True))[1]).lines[0]
    assert line.title.endswith("x... (MAY ERASE disks unasked)")
    assert len(line.title) <= GRUB_COLUMNS


def test_help_fits_a_screen() -> None:
    longest = role(
        "long", "Long", chooses_disks=True, disk=f"model {'m' * 64}, serial {'s' * 64}, 100.125GiB to 2.125TiB"
    )
    for entry in entries(*CLOUD, longest, install={"disk": {"model": "X"}, "reinstall": True, "console": "ttyS0"}):
        lines = entry.help.splitlines()
        assert 1 <= len(lines) <= HELP_LINES
        assert all(len(line) <= HELP_COLUMNS for line in lines)


def test_a_line_longer_than_the_kernel_takes_is_refused() -> None:
    assert make_menu(ROLES, with_arguments(stage2="x" * 1800)).entries
    with pytest.raises(MediumError, match="2047 is the most"):
        make_menu(ROLES, with_arguments(stage2="x" * 2000))


@pytest.mark.parametrize("template", ["inst.ks={where}", "inst.ks={", "inst.ks={0}", "inst.ks={path.nothing}"])
def test_a_placeholder_that_nobody_fills_is_refused(template: str) -> None:
    with pytest.raises(DefinitionError, match=r"kernel-arguments\.kickstart"):
        make_menu(ROLES, with_arguments(kickstart=template))


def with_arguments(**arguments: str) -> Any:
    made = blueprint()
    changed = made.release.kernel_arguments.model_copy(update=arguments)
    return replace(made, release=made.release.model_copy(update={"kernel_arguments": changed}))


@pytest.mark.parametrize("path", ["ks/a b;reboot.cfg\n", "ks/$HOME", "ks/{}"])
def test_what_a_menu_cannot_carry_is_refused(path: str) -> None:
    with pytest.raises(MediumError, match="cannot carry"):
        entries(role("one", "One", path=path))


def test_the_local_entry_tries_every_loader_of_the_release() -> None:
    local = parse_grub(menus()[1]).find("local")
    assert local.loaders == ("EFI/centos/shimx64.efi", "EFI/centos/grubx64.efi")


def test_data_folders_are_found_inside_and_beside_the_package(tmp_path: Path) -> None:
    package = tmp_path / "isobuilder"
    package.mkdir()
    with pytest.raises(HostError, match="menus is missing"):
        data_folder("menus", package=package)
    (tmp_path / "menus").mkdir()
    assert data_folder("menus", package=package) == tmp_path / "menus"
    (package / "menus").mkdir()
    assert data_folder("menus", package=package) == package / "menus"
