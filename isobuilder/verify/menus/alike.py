"""Whether all menus of a medium offer the same, whatever a machine starts it by."""

import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

from isobuilder.bootmenu.reading.kernelwords import kernel_words
from isobuilder.bootmenu.reading.model import Boot, Entry, Menu
from isobuilder.verify.finding import Kind
from isobuilder.verify.medium import Medium
from isobuilder.verify.menus.files import is_memory_test
from isobuilder.verify.menus.found import Found
from isobuilder.verify.menus.gathering import Gathered
from isobuilder.verify.menus.sources import kickstart_paths

ROLE = Kind(
    "menu-kickstart-not-everywhere",
    "error",
    "a kickstart is in one loader's menu and not in another's",
    "Give every menu of the medium the same entries: BIOS and UEFI machines read different ones.",
)
PURPOSE = Kind(
    "menu-entry-not-everywhere",
    "warning",
    "an entry is in one loader's menu and not in another's",
    "Give every menu of the medium the same entries: BIOS and UEFI machines read different ones.",
)
ARGUMENTS = Kind(
    "menu-arguments-differ",
    "warning",
    "the same entry tells the kernel something else in another menu",
    "Write the kernel arguments alike in every menu, where the difference is not meant.",
)
DEFAULTS = Kind(
    "menu-defaults-differ",
    "warning",
    "the entry that starts by itself is another in another loader's menu",
    "Mark the same entry in every menu.",
)
COPIES = Kind(
    "menu-copies-differ",
    "error",
    "GRUB's menu in the EFI image and the one in the tree have other entries",
    "Copy the menu into the EFI image as well: firmware starts the loader there, from CD and from USB stick.",
)
TEXTS = Kind(
    "menu-texts-differ",
    "note",
    "GRUB's menu in the EFI image and the one in the tree are not the same file",
    "Copy the menu into the EFI image as well.",
)
KINDS = (ROLE, PURPOSE, ARGUMENTS, DEFAULTS, COPIES, TEXTS)

# What changes nothing of what is installed; stock media have some of these in one menu only (6: askmethod).
_HARMLESS: Final = re.compile(r"quiet|rhgb|askmethod|splash|ro|vga=.*")
_PURPOSES: Final = {
    "rescue": "rescue",
    "rd.live.check": "media check",
    "mediacheck": "media check",
    "nomodeset": "basic graphics",
    "text": "basic graphics",
    "xdriver=vesa": "basic graphics",
}
# What only some loaders' menus have on stock media.
_FREE: Final = frozenset({"fips=1"})


def purpose(boot: Boot, medium: Medium) -> str | None:
    """What a kernel line is for, as a person says it; None for what is not compared."""
    if is_memory_test(boot):
        return None
    for location, value in kickstart_paths(boot, medium):
        return f"kickstart {location.path or value}"
    texts = [word.text.removeprefix("inst.") for word in kernel_words(boot.arguments)]
    if _FREE & set(texts):
        return None
    return next((_PURPOSES[text] for text in texts if text in _PURPOSES), "plain install")


def check_alike(found: Sequence[Found], medium: Medium, gathered: Gathered) -> None:
    """Each two menus of different loaders; those of the EFI image and of the tree are `check_copies`' matter."""
    in_tree = {one.menu.loader for one in found if one.menu.platform == "uefi" and one.device == "medium"}
    menus = [
        one.menu
        for one in found
        if not (one.device == "esp" and one.menu.loader in in_tree) and not one.menu.problems and one.menu.entries
    ]
    for left, right in combinations(menus, 2):
        offered, other = _offered(left, medium), _offered(right, medium)
        if offered and other:
            _compare(left, right, offered, other, gathered)
            _compare(right, left, other, offered, gathered)
            _compare_arguments(left, right, offered, other, gathered)
            _compare_defaults(left, right, medium, gathered)


def check_copies(found: Sequence[Found], gathered: Gathered) -> None:
    """GRUB's menu in the EFI image, and that in the tree."""
    inside = next((one for one in found if one.device == "esp"), None)
    in_tree = next((one for one in found if one.device == "medium" and one.menu.platform == "uefi"), None)
    if not inside or not in_tree or inside.menu.loader != in_tree.menu.loader or inside.text == in_tree.text:
        return
    leads_on = any(named.use == "menu" for named in inside.menu.named)
    differences = list(_differences(inside.menu, in_tree.menu))
    if differences:
        gathered.add(COPIES, inside.menu.path, f"{differences[0]} ({in_tree.menu.path} is otherwise)")
    elif not leads_on:
        gathered.add(TEXTS, inside.menu.path, f"it differs from {in_tree.menu.path}, though not in its entries")


def _differences(inside: Menu, in_tree: Menu) -> Iterable[str]:
    """In what the entries of one differ, in the order of their weight."""
    own, other = ({(entry.steps, entry.title): entry for entry in menu.entries} for menu in (inside, in_tree))
    if missing := [title for steps, title in other if (steps, title) not in own]:
        yield f"it lacks {', '.join(map(repr, missing[:3]))}"
    if more := [title for steps, title in own if (steps, title) not in other]:
        yield f"it alone has {', '.join(map(repr, more[:3]))}"
    for key, entry in own.items():
        if key in other and _does(entry) != _does(other[key]):
            yield f"{entry.title!r} does something else"
    if list(own) != list(other):
        yield "the order is another"
    if (_started(inside), inside.wait) != (_started(in_tree), in_tree.wait):
        yield f"{_started(inside)!r} starts after {inside.wait} seconds, not {_started(in_tree)!r} after {in_tree.wait}"


def _does(entry: Entry) -> object:
    """What an entry does, whatever device its files were found on."""
    boots = [(boot.kernel.path, [initrd.path for initrd in boot.initrds], boot.arguments) for boot in entry.boots]
    return entry.action, boots, [named.path for named in entry.named]


def _started(menu: Menu) -> str | None:
    return menu.default.entry.title if menu.default.entry else None


Offered = dict[str, list[tuple[Entry, Boot]]]


def _offered(menu: Menu, medium: Medium) -> Offered:
    offered: Offered = {}
    for entry in menu.entries:
        for boot in entry.boots if entry.action == "linux" else ():
            if name := purpose(boot, medium):
                offered.setdefault(name, []).append((entry, boot))
    return offered


def _compare(menu: Menu, lacking: Menu, offered: Offered, other: Offered, gathered: Gathered) -> None:
    for name, entries in offered.items():
        if name not in other:
            entry, boot = entries[0]
            kind = ROLE if name.startswith("kickstart ") else PURPOSE
            gathered.add(kind, boot.place, f"{name} ({entry.title!r} of {menu.path}) is not in {lacking.path}")


def _compare_arguments(left: Menu, right: Menu, offered: Offered, other: Offered, gathered: Gathered) -> None:
    for name in offered.keys() & other.keys():
        own, others = (_all_words(boot for _, boot in entries[name]) for entries in (offered, other))
        if own != others:
            here, there = (", ".join(sorted(words)) or "nothing more" for words in (own - others, others - own))
            place = offered[name][0][1].place
            gathered.add(ARGUMENTS, place, f"{name}: {left.path} has {here}, and {right.path} has {there}")


def _all_words(boots: Iterable[Boot]) -> set[str]:
    """The words that matter, without inst. and with labels left out, which another check compares with the medium's."""
    words = {word.text.removeprefix("inst.") for boot in boots for word in kernel_words(boot.arguments)}
    return {re.sub(r"(LABEL=|by-label/)[^:]*", r"\1*", word) for word in words if not _HARMLESS.fullmatch(word)}


def _compare_defaults(left: Menu, right: Menu, medium: Medium, gathered: Gathered) -> None:
    own, other = (_purpose_of_default(menu, medium) for menu in (left, right))
    if own is None or other is None or own == other:
        return
    if own in _offered(right, medium) | {"local": []} and other in _offered(left, medium) | {"local": []}:
        place = left.default.place or (left.default.entry.place if left.default.entry else left.path)
        gathered.add(DEFAULTS, place, f"{left.path} starts {own}, and {right.path} starts {other}")


def _purpose_of_default(menu: Menu, medium: Medium) -> str | None:
    entry = menu.default.entry
    if entry is None:
        return None
    if entry.action == "local":
        return "local"
    return purpose(entry.boots[0], medium) if entry.action == "linux" and entry.boots else None
