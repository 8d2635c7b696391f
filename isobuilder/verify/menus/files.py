"""The files that menus name: whether the loader that reads the menu finds each."""

import re
from collections.abc import Iterator
from typing import Final

from isobuilder.bootmenu.reading.model import Boot, Entry, Named, Use
from isobuilder.verify.finding import Kind
from isobuilder.verify.medium import Unreadable
from isobuilder.verify.menus.devices import IsolinuxDevices, complete_names
from isobuilder.verify.menus.found import Found
from isobuilder.verify.menus.gathering import Gathered

_PUT = "Put the file where the menu looks for it, or correct the menu."
KERNEL = Kind("menu-kernel-missing", "error", "a menu names a kernel that is not on the medium", _PUT)
INITRD = Kind("menu-initrd-missing", "error", "a menu names an initrd that is not on the medium", _PUT)
NO_INITRD = Kind(
    "menu-no-initrd",
    "error",
    "an entry starts the installer's kernel without its initrd",
    "Name the initrd in the entry, as the others do.",
)
MODULE = Kind("menu-module-missing", "error", "a menu names a module of the loader that is not on the medium", _PUT)
INCLUDED = Kind("menu-included-missing", "error", "a menu names another that is not on the medium", _PUT)
PROGRAM = Kind(
    "menu-program-missing",
    "warning",
    "an entry starts a program that is not on the medium, such as a memory test",
    "Put the program on the medium, or take the entry out of the menu.",
)
CHAINED = Kind("menu-chained-missing", "error", "an entry starts another loader that is not on the medium", _PUT)
MESSAGE = Kind(
    "menu-message-missing",
    "warning",
    "a menu names a text or a key map that is not on the medium",
    "Put the file on the medium, or take the line out of the menu.",
)
LOOK = Kind(
    "menu-picture-missing",
    "warning",
    "a menu names a background, a theme or a font that is not on the medium",
    "Put the file on the medium, or take the line out of the menu.",
)
UNSEEN = Kind(
    "menu-name-unseen",
    "error",
    "a menu names a file by a name that its loader does not see",
    "Name the file as ISO 9660 has it, in eight and three characters, or choose such a name for it.",
)
ROOT = Kind(
    "menu-root-lost",
    "error",
    "GRUB looks for the kernel in the EFI image, and it is on the medium",
    "Let the menu search for the medium before its entries: search --no-floppy --set=root -l 'LABEL'.",
)
COMMAND = Kind(
    "menu-wrong-command",
    "error",
    "an entry uses a command that GRUB does not have on this firmware",
    "Use linux and initrd for a BIOS, linuxefi and initrdefi for UEFI on x86_64.",
)
PAIR = Kind(
    "menu-mixed-commands",
    "warning",
    "an entry loads kernel and initrd by commands that do not belong together",
    "Use linux with initrd, and linuxefi with initrdefi.",
)
KINDS = (KERNEL, INITRD, NO_INITRD, MODULE, INCLUDED, PROGRAM, CHAINED, MESSAGE, LOOK, UNSEEN, ROOT, COMMAND, PAIR)

_BY_USE: Final[dict[Use, Kind]] = {
    "kernel": KERNEL,
    "initrd": INITRD,
    "module": MODULE,
    "message": MESSAGE,
    "picture": LOOK,
    "theme": LOOK,
    "font": LOOK,
    "menu": INCLUDED,
    "chain": CHAINED,
    "loader-file": CHAINED,
}
_MEMORY_TEST: Final = re.compile(r"mem(?:ory)?test|mt86|memdisk|hdt|ipxe", re.IGNORECASE)
_BELONG: Final = {"linux": "initrd", "linuxefi": "initrdefi", "linux16": "initrd16"}
_THEME_LIMIT: Final = 1 << 16
_THEME_PICTURE: Final = re.compile(
    r'^[ \t]*(?:desktop-image|[a-z_-]{0,40}pixmap_style)[ \t]*[:=][ \t]*"([^"/\n]+)"', re.MULTILINE
)


def check_files(found: Found, gathered: Gathered) -> None:
    """Everything that one menu names."""
    for named in found.menu.named:
        _check(found, named, gathered)
    for entry in found.menu.entries:
        for named in entry.named:
            _check(found, named, gathered, program=entry.action == "program" and named.use == "kernel")
        for boot in entry.boots:
            _check_boot(found, entry, boot, gathered)


def is_memory_test(boot: Boot) -> bool:
    """Whether a kernel is none of Linux, by its name: such a program needs no initrd."""
    return bool(_MEMORY_TEST.search(boot.kernel.path.rpartition("/")[2]))


def _check_boot(found: Found, entry: Entry, boot: Boot, gathered: Gathered) -> None:
    _check(found, boot.kernel, gathered, program=is_memory_test(boot) or entry.action == "program")
    for initrd in boot.initrds:
        _check(found, initrd, gathered)
    installer = boot.kernel.path in {
        other.kernel.path for any_entry in found.menu.entries for other in any_entry.boots if other.initrds
    } or boot.kernel.path.rpartition("/")[2].startswith("vmlinuz")
    if not boot.initrds and installer and not is_memory_test(boot):
        gathered.add(NO_INITRD, boot.place, f"{entry.title!r} loads {boot.kernel.path} and no initrd")
    if found.menu.loader == "grub":
        _check_commands(found, boot, gathered)


def _check_commands(found: Found, boot: Boot, gathered: Gathered) -> None:
    commands = {boot.command, *([boot.loaded_by] if boot.loaded_by else [])}
    lacking = {"linuxefi", "initrdefi"} if found.menu.platform == "bios" else {"linux16", "initrd16"}
    if missing := sorted(commands & lacking):
        firmware = "a BIOS" if found.menu.platform == "bios" else "UEFI"
        gathered.add(COMMAND, boot.place, f"GRUB on {firmware} has no command {' and '.join(missing)}")
    elif boot.loaded_by and _BELONG.get(boot.command, boot.loaded_by) != boot.loaded_by:
        gathered.add(PAIR, boot.place, f"{boot.command} goes with {_BELONG[boot.command]}, not with {boot.loaded_by}")


def _check(found: Found, named: Named, gathered: Gathered, *, program: bool = False) -> None:
    kind = PROGRAM if program else _BY_USE[named.use]
    if named.device == "elsewhere" or (named.guarded and kind in {LOOK, MESSAGE, INCLUDED}):
        return
    devices = found.devices
    names = complete_names(named.path) if found.menu.loader == "isolinux" else (named.path,)
    there = [name for name in names if devices.exists(named.device, name)]
    if there:
        node = devices.node(there[0]) if named.device == "medium" else None
        if node and not node.size and node.is_plain and kind in {KERNEL, INITRD, MODULE}:
            gathered.add(kind, named.place, f"{named.path} is empty")
        elif node and not node.is_plain and kind in {KERNEL, INITRD, MODULE}:
            gathered.add(kind, named.place, f"{named.path} is kept compressed (zisofs), and no loader unpacks it")
        if named.use == "theme":
            _check_theme(found, named, gathered)
        return
    if named.device == "esp" and devices.exists("medium", named.path):
        if kind in {KERNEL, INITRD}:
            gathered.add(
                ROOT, named.place, "no search sets root to the medium, and in the EFI image there is no such kernel"
            )
        else:
            gathered.add(kind, named.place, f"{named.path} is looked for in the EFI image, and it is on the medium")
        return
    if isinstance(devices, IsolinuxDevices) and devices.is_link(named.path):
        gathered.add(kind, named.place, f"{named.path} is a symbolic link, which isolinux does not follow")
        return
    if isinstance(devices, IsolinuxDevices) and (node := devices.medium.find(named.path)):
        gathered.add(UNSEEN, named.place, f"isolinux sees {named.path} by the name {node.plain} only")
        return
    nearly = devices.nearly(named)
    more = f"; there is {nearly}, and capitals count" if nearly and named.device == "medium" else ""
    where = "in the EFI image" if named.device == "esp" else "on the medium"
    gathered.add(kind, named.place, f"{named.path} is not {where}{more}")


def _check_theme(found: Found, named: Named, gathered: Gathered) -> None:
    """The pictures that GRUB's theme names; one with a star is several, of which the first that fits will do."""
    folder = named.path.rpartition("/")[0]
    for picture in _theme_pictures(found, named):
        if named.device != "medium":
            continue
        path = f"{folder}/{picture}"
        pattern = re.compile(re.escape(path).replace(r"\*", "[^/]*"))
        if not any(pattern.fullmatch(name) for name in found.devices.medium.files):
            gathered.add(LOOK, named.path, f"{path} is not on the medium")


def _theme_pictures(found: Found, named: Named) -> Iterator[str]:
    try:
        data = found.devices.data(named.device, named.path) or b""
    except Unreadable:
        return
    for match in _THEME_PICTURE.finditer(data[:_THEME_LIMIT].decode("utf-8", errors="replace")):
        yield match[1]
