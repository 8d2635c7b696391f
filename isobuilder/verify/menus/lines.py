"""How a menu is written: its grammar, names that are there twice, and lines longer than somebody reads."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from isobuilder.bootmenu.kernelline import COMMAND_LINE_LIMIT, LOADER_WORDS
from isobuilder.bootmenu.reading.isolinux import LONGEST_LABEL
from isobuilder.bootmenu.reading.model import Boot, Entry, Menu
from isobuilder.verify.finding import Kind
from isobuilder.verify.menus.found import Found
from isobuilder.verify.menus.gathering import Gathered

SYNTAX = Kind(
    "menu-syntax",
    "error",
    "a loader does not understand a line of its menu, and drops it or what follows",
    "Correct the line; grub-script-check tells of a grub.cfg what GRUB would.",
)
TOO_LONG = Kind(
    "menu-kernel-line-long",
    "error",
    "a kernel line is longer than the kernel or the loader takes, so that its end is lost",
    "Shorten the kernel arguments.",
)
TWICE = Kind(
    "menu-entry-twice",
    "warning",
    "two entries have one name, so that one of them cannot be started by it",
    "Give each entry a name of its own.",
)
MARKED_TWICE = Kind(
    "menu-default-twice", "warning", "two entries are marked as the default", "Mark one entry as the default."
)
LONG_LABEL = Kind(
    "menu-label-long", "warning", "a label is longer than isolinux keeps", "Give the entry a shorter label."
)
KINDS = (SYNTAX, TOO_LONG, TWICE, MARKED_TWICE, LONG_LABEL)

_SHOWN: Final = 60


def check_lines(found: Found, limits: Mapping[str, int], gathered: Gathered) -> None:
    """One menu; `limits` are the most characters of a kernel line, by the path of the kernel."""
    menu = found.menu
    for problem in menu.problems:
        gathered.add(SYNTAX, problem.place, problem.text)
    for entry in menu.entries:
        for boot in entry.boots:
            _check_length(menu, boot, limits, gathered)
        if menu.loader == "isolinux" and len(entry.id) > LONGEST_LABEL:
            gathered.add(LONG_LABEL, entry.place, f"{len(entry.id)} characters: {entry.id[:_SHOWN]}...")
    _check_names(menu, gathered)


def _check_length(menu: Menu, boot: Boot, limits: Mapping[str, int], gathered: Gathered) -> None:
    path = boot.kernel.path
    limit = limits.get(path, limits.get(f"/{path}", COMMAND_LINE_LIMIT))
    if menu.loader == "isolinux":
        limit = min(limit, COMMAND_LINE_LIMIT)
    # isolinux puts BOOT_IMAGE= and initrd= before the words, GRUB the first of these.
    length = len(boot.arguments) + LOADER_WORDS + len(path) + len(",".join(initrd.path for initrd in boot.initrds))
    if length > limit:
        gathered.add(TOO_LONG, boot.place, f"{length} characters with the loader's own, and {limit} is the most")


def _check_names(menu: Menu, gathered: Gathered) -> None:
    # isolinux looks a label up among those of all lists.
    whole = menu.loader == "isolinux"
    entries = [entry for entry in menu.entries if not entry.conditional and not (whole and entry.action == "submenu")]
    seen = Counter(_name(entry, whole=whole) for entry in entries)
    for entry in entries:
        if seen[_name(entry, whole=whole)] > 1:
            gathered.add(TWICE, entry.place, f"more than one is called {entry.id!r}")
    marked = Counter(entry.steps for entry in menu.entries if entry.marked)
    for entry in menu.entries:
        if entry.marked and marked[entry.steps] > 1:
            gathered.add(MARKED_TWICE, entry.place, "more than one has the mark, and the last of them counts")


def _name(entry: Entry, *, whole: bool) -> tuple[tuple[str, ...], str]:
    return (() if whole else entry.steps), entry.id
