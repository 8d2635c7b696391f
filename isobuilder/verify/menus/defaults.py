"""The entry that starts by itself: whether there is one, and whether it could erase a disk unasked."""

from isobuilder.bootmenu.reading.kernelwords import kernel_words
from isobuilder.bootmenu.reading.model import Entry, Menu, Place
from isobuilder.kickstart.disks import WritesUnasked, writes_unasked
from isobuilder.verify.finding import Kind
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.menus.found import Found
from isobuilder.verify.menus.gathering import Gathered
from isobuilder.verify.menus.sources import kickstart_paths

EMPTY = Kind("menu-empty", "error", "a menu has no entry", "Write entries into the menu.")
NO_DEFAULT = Kind(
    "menu-default-missing",
    "error",
    "the entry that a menu marks does not exist, or starts nothing",
    "Name an entry that the menu has.",
)
ERASES = Kind(
    "menu-default-erases",
    "error",
    "a machine that starts from the medium and is left alone may lose its disks",
    "Mark an entry that asks first, or the local disk, or let the menu wait for somebody.",
)
UNSEEN = Kind(
    "menu-default-unseen",
    "warning",
    "a machine that is left alone installs by a kickstart that is not on the medium",
    "Mark an entry that asks first, or the local disk, or let the menu wait for somebody.",
)
KINDS = (EMPTY, NO_DEFAULT, ERASES, UNSEEN)

_KICKSTART_LIMIT = 4 << 20


def check_default(found: Found, medium: Medium, gathered: Gathered) -> None:
    """The default of one menu."""
    menu = found.menu
    default = menu.default
    if not menu.entries:
        gathered.add(EMPTY, menu.path, "there is no entry in it")
        return
    if default.entry is None:
        _check_missing(menu, gathered)
        return
    place = default.place or default.entry.place
    if default.entry.action == "other" and not default.entry.boots and menu.wait is not None:
        gathered.add(NO_DEFAULT, place, f"the default, {default.entry.title!r}, starts nothing")
    if menu.wait is not None and default.entry.action == "linux":
        _check_kickstarts(default.entry, menu, place, medium, gathered)


def _check_missing(menu: Menu, gathered: Gathered) -> None:
    default = menu.default
    # Where lines were not understood, the entry may be there.
    if default.known and not menu.problems and default.written is not None and default.place:
        gathered.add(NO_DEFAULT, default.place, f"there is no entry {default.written!r}")
    elif menu.loader == "isolinux" and default.written is None:
        gathered.add(NO_DEFAULT, menu.path, "it has neither default nor ui, and so shows a prompt only")


def _check_kickstarts(entry: Entry, menu: Menu, place: Place, medium: Medium, gathered: Gathered) -> None:
    when = f"after {menu.wait:g} seconds" if menu.wait else "at once"
    for boot in entry.boots:
        if any(word.name == "rescue" for word in kernel_words(boot.arguments)):
            continue
        for location, value in kickstart_paths(boot, medium):
            if location.kind not in {"labelled", "optical"}:
                gathered.add(UNSEEN, place, f"{entry.title!r} starts {when}, with the kickstart {value}")
                continue
            try:
                text = medium.read(location.path or "ks.cfg", limit=_KICKSTART_LIMIT).decode("utf-8", errors="replace")
            except Unreadable:
                # That it is missing is said of the entry.
                continue
            found = writes_unasked(text)
            if found is not None:
                gathered.add(ERASES, place, _erases(entry, when, location.path or "ks.cfg", found))


def _erases(entry: Entry, when: str, path: str, found: WritesUnasked) -> str:
    return f"{entry.title!r} starts {when}, and line {found.line} of {path} is {found.text!r}"
