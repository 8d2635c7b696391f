"""The menu as each loader reads it: isolinux, GRUB on BIOS and on UEFI, and the old GRUB that release 6 has for UEFI.

Which of them a medium has follows from what its release says of the loaders. Nothing is written; texts and pictures
go to who composes the medium.
"""

import re
from dataclasses import dataclass

import jinja2

from isobuilder.blueprint import Blueprint
from isobuilder.bootmenu.entries import Entry, Menu, Submenu
from isobuilder.bootmenu.kernelline import on_firmware_console, serial_port
from isobuilder.definition import Definition
from isobuilder.releases import CHAIN, Boot
from isobuilder.resources import data_folder

ISOLINUX_MENU = "isolinux/isolinux.cfg"
ISOLINUX_SPLASH = "isolinux/splash.png"
GRUB_BIOS_MENU = "boot/grub2/grub.cfg"
GRUB_EFI_MENU = "EFI/BOOT/grub.cfg"
LEGACY_MENU = "EFI/BOOT/BOOTX64.conf"
# Longer waits overflow isolinux's counter of tenths of a second.
ISOLINUX_LONGEST_WAIT = 3599
# A terminal of 24 lines holds so many lines of the menu, above help, countdown and hint; more of them scroll.
ISOLINUX_ROWS = 14
# A line of GRUB's menu on a terminal of 80 columns.
GRUB_COLUMNS = 70
# GRUB's menu is drawn by the firmware: as text, and on the serial line too.
FIRMWARE_CONSOLE = "terminal_output console"
# Pictures of GRUB's theme, where its theme.txt looks for them: an icon by the class of an entry.
THEME_PICTURES = {
    "background.png": "background.png",
    "select_c.png": "select_c.png",
    "icons/heading.png": "heading.png",
}


@dataclass(frozen=True)
class _GrubPlace:
    """What differs between GRUB on BIOS and on UEFI: where its menu is, how it starts kernels, and the local disk."""

    menu: str
    linux: str
    initrd: str
    local_loaders: tuple[str, ...]

    @property
    def theme(self) -> str:
        """The folder of its theme."""
        return self.menu.rpartition("/")[0] + "/theme"


def menu_files(menu: Menu, blueprint: Blueprint) -> dict[str, bytes]:
    """Everything that the menus of a medium are, by path on the medium."""
    boot = blueprint.facts.boot
    files: dict[str, bytes] = {}
    if boot.bios and boot.bios.loader == "isolinux":
        files[ISOLINUX_MENU] = _isolinux(menu, blueprint.definition, boot).encode()
        files[ISOLINUX_SPLASH] = _picture("splash.png")
    elif boot.bios:
        files |= _grub(_GrubPlace(GRUB_BIOS_MENU, "linux", "initrd", ()), menu, blueprint)
    efi = boot.efi
    if efi.loader == "grub":
        place = _GrubPlace(GRUB_EFI_MENU, efi.linux, efi.initrd, efi.local_loaders)
        files |= _grub(place, menu, blueprint)
    else:
        files[LEGACY_MENU] = _legacy(menu, blueprint.definition, boot).encode()
    return files


def _isolinux(menu: Menu, definition: Definition, boot: Boot) -> str:
    chain = CHAIN if CHAIN in boot.packaged else None
    spaced = _rows(menu, spaced=True) + bool(chain) <= ISOLINUX_ROWS
    rows = _rows(menu, spaced=spaced) + bool(chain)
    return _render(
        "isolinux.cfg.j2",
        menu=menu,
        boot=boot,
        tenths=min(definition.menu.timeout, ISOLINUX_LONGEST_WAIT) * 10,
        port=serial_port(definition),
        rows=min(rows, ISOLINUX_ROWS),
        spaced=spaced,
        chain=chain,
        splash=ISOLINUX_SPLASH,
    )


def _rows(menu: Menu, *, spaced: bool) -> int:
    """How many rows isolinux needs; `spaced` is with an empty one above each heading but the first."""
    rows = sum(len(section.entries) + bool(section.heading) for section in menu.sections)
    gaps = len(menu.sections) - 1 + bool(menu.serial)
    # A list behind a line has no way to the local disk, but one back.
    return rows + bool(menu.serial) + (gaps if spaced else 0)


def _grub(place: _GrubPlace, menu: Menu, blueprint: Blueprint) -> dict[str, bytes]:
    definition, boot = blueprint.definition, blueprint.facts.boot
    text = _render(
        "grub.cfg.j2",
        menu=menu,
        place=place,
        boot=boot,
        font=next((path for path in boot.efi.files if path.endswith(".pf2")), None),
        # 0 would boot at once.
        seconds=definition.menu.timeout or -1,
        port=serial_port(definition),
        firmware_console=FIRMWARE_CONSOLE if on_firmware_console(definition) else None,
        volume_id=blueprint.volume_id,
    )
    theme = _render("theme.txt.j2", menu=menu)
    pictures = {f"{place.theme}/{path}": _picture(name) for path, name in THEME_PICTURES.items()}
    return {place.menu: text.encode(), f"{place.theme}/theme.txt": theme.encode(), **pictures}


def _legacy(menu: Menu, definition: Definition, boot: Boot) -> str:
    return _render(
        "grub-legacy.conf.j2",
        menu=menu,
        default=[entry.id for entry in menu.entries].index(menu.default),
        boot=boot,
        seconds=definition.menu.timeout,
    )


def _picture(name: str) -> bytes:
    return data_folder("menus").joinpath(name).read_bytes()


def _isolinux_label(line: Entry | Submenu) -> str:
    """A title as `menu label` wants it: a caret marks the hotkey, and two of them are one."""
    if not line.hotkey:
        return line.title.replace("^", "^^")
    title = line.title.lower()
    initial = re.search(rf"\b{line.hotkey}", title, re.ASCII)
    place = initial.start() if initial else title.index(line.hotkey)
    return f"{line.title[:place]}^{line.title[place:]}"


def _grub_line(entry: Entry) -> str:
    """A title with what its entry does to the disks, since GRUB shows no help."""
    line = f"{entry.title} ({entry.effect})" if entry.effect else entry.title
    return (
        line
        if len(line) <= GRUB_COLUMNS
        else f"{entry.title[: GRUB_COLUMNS - len(entry.effect) - 6]}... ({entry.effect})"
    )


def _grub_quoted(text: str) -> str:
    """`text` as one word of GRUB's script, which knows a shell's single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def _theme_quoted(text: str) -> str:
    """`text` as a string of GRUB's theme files, where a backslash takes the character behind it as it is."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _render(name: str, **values: object) -> str:
    folder = data_folder("menus")
    environment = jinja2.Environment(  # noqa: S701 - boot menus are no HTML
        loader=jinja2.FunctionLoader(lambda template: folder.joinpath(template).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["isolinux_label"] = _isolinux_label
    environment.filters["grub_line"] = _grub_line
    environment.filters["grub_quoted"] = _grub_quoted
    environment.filters["theme_quoted"] = _theme_quoted
    return environment.get_template(name).render(values)
