"""What a medium offers when it starts: sections of entries, and what each says about the disks.

Knows no loader; `render` writes what is decided here for each of them.
"""

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from isobuilder.blueprint import Blueprint
from isobuilder.bootmenu.kernelline import KernelLines, serial_words
from isobuilder.definition import Definition
from isobuilder.errors import DefinitionError
from isobuilder.kickstart.rendering import Kickstart
from isobuilder.schema import did_you_mean

HEADINGS = {
    "several": "Install a cloud of several machines",
    "one": "Install a cloud on one machine",
    "other": "Other",
}
# What comes after the id of an entry in that of its twin on the serial console.
SERIAL_SUFFIX = "-serial"
# In GRUB's menu these keys edit an entry and open a command line.
GRUB_KEYS = frozenset("ec")
# The help of an entry has this room: columns of a text screen within isolinux's margins, and lines.
HELP_COLUMNS = 76
HELP_LINES = 3

_CHECK_HELP = """\
Reads the whole medium and stops if it is damaged. Then the installer
starts with no role: it asks everything, and writes to no disk before."""
_RESCUE_HELP = """\
Starts a small system from this medium, to repair one that is installed.
It writes to no disk by itself."""
_LOCAL_HELP = "Leaves this medium and starts what is installed; nothing is written."
_ASKING_HELP = """\
Installs from this medium; no network is needed.
The installer asks which disk to use, and writes to none before."""
_OWN_STORAGE_HELP = """\
Installs from this medium; no network is needed. The kickstart of this
role chooses the disks, and MAY ERASE THEM WITHOUT ASKING."""
_BACK_HELP = """\
Goes back to the entries that use the screen. With those below, kernel,
installer and rescue talk on {port}, and nothing is drawn on the screen."""


@dataclass(frozen=True)
class Entry:
    """One line of the menu.

    `help` is some lines about what it does to the disks, and `effect` the same in a few words ("" for nothing).
    `kernel_line` is all that the kernel is told (None: the local disk boots). `hotkey` is a letter or digit of the
    title, lower case, that no other entry of its list has.
    """

    id: str
    title: str
    help: str
    effect: str
    kernel_line: str | None
    hotkey: str | None = None


@dataclass(frozen=True)
class Section:
    """Entries under a heading; None for a list that needs none."""

    heading: str | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Submenu:
    """A list behind one line of the menu. `back` leads to the menu again, and is the first and marked line of it."""

    id: str
    title: str
    hotkey: str | None
    back: Entry
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Menu:
    """What the medium offers; `default` is the id of the entry that starts by itself, `serial` the way to its twins."""

    title: str
    default: str
    sections: tuple[Section, ...]
    serial: Submenu | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries that boot something: first those of the screen, then their twins."""
        serial = self.serial.sections if self.serial else ()
        return tuple(entry for section in (*self.sections, *serial) for entry in section.entries)


def make_menu(roles: Sequence[Kickstart], blueprint: Blueprint) -> Menu:
    """The roles that want an entry, by group and in their order, and at the end of the rest check, rescue and local.

    The check does as a stock medium's "Test this media & install" without a kickstart: the installer that follows a
    good check asks everything. With a console, every entry that starts a kernel has a twin that talks there. Raises
    DefinitionError when the default entry does not exist or two have one id, or an argument of the release has a
    placeholder that nobody fills; MediumError when a kernel line is longer than a kernel can take.
    """
    definition, release = blueprint.definition, blueprint.release
    lines = KernelLines(blueprint)
    shown = [role for role in roles if role.menu]
    sections = _sections(shown, definition, lines)
    serial = _serial_menu(shown, definition, lines) if definition.install.console else None
    titles = [entry.title for section in sections for entry in section.entries]
    keys = iter(pick_hotkeys([*titles, serial.title] if serial else titles))
    menu = Menu(
        title=definition.menu.title or f"{definition.name} - {release.title}",
        default=definition.menu.default,
        sections=tuple(_with_hotkeys(sections, keys)),
        serial=replace(serial, hotkey=next(keys)) if serial else None,
    )
    _check_ids(menu)
    _check_default(roles, definition)
    return menu


def _check_default(roles: Sequence[Kickstart], definition: Definition) -> None:
    """A machine whose medium stays in must not install itself again and again."""
    again = definition.install.reinstall
    if any(role.role == definition.menu.default and role.chooses_disks and (again or not role.disk) for role in roles):
        raise DefinitionError(
            f"menu.default: {definition.menu.default!r} could erase the machine at every start",
            hint='Leave default = "local", and choose the role once in the menu.',
        )


def pick_hotkeys(titles: Sequence[str]) -> tuple[str | None, ...]:
    """A letter or digit for each title, or None when all of its own are taken.

    The first is tried of words of three letters or more, those before others that no other title has; then any of the
    title. A title with a caret gets none: isolinux can show a caret only by making it the hotkey.
    """
    words = [re.findall(r"[a-z0-9]{3,}", title.lower(), re.ASCII) for title in titles]
    common = Counter(word for own in words for word in set(own))
    taken = set(GRUB_KEYS)
    picked: list[str | None] = []
    for title, own in zip(titles, words, strict=True):
        initials = [word[0] for word in sorted(own, key=lambda word: common[word] > 1)]
        others = re.findall(r"[a-z0-9]", title.lower(), re.ASCII)
        free = (letter for letter in [*initials, *others] if letter not in taken)
        hotkey = None if "^" in title else next(free, None)
        taken.update(hotkey or "")
        picked.append(hotkey)
    return tuple(picked)


def _sections(
    roles: Sequence[Kickstart], definition: Definition, lines: KernelLines, more: tuple[str, ...] = ()
) -> list[Section]:
    """The entries by group, without hotkeys; `more` are words for every kernel line."""
    tools = [
        Entry(
            "check",
            "Test this medium, then install by hand",
            _CHECK_HELP,
            "asks for the disk",
            lines.build("stage2", "check", more=more),
        ),
        Entry("rescue", "Rescue an installed system", _RESCUE_HELP, "", lines.build("stage2", "rescue", more=more)),
        Entry("local", "Boot from the local disk", _LOCAL_HELP, "", None),
    ]
    groups = {
        group: [_role_entry(role, definition, lines, more) for role in roles if role.group == group]
        for group in HEADINGS
    }
    groups["other"] += tools
    several = sum(bool(entries) for entries in groups.values()) > 1
    return [
        Section(HEADINGS[group] if several else None, tuple(entries)) for group, entries in groups.items() if entries
    ]


def _role_entry(role: Kickstart, definition: Definition, lines: KernelLines, more: tuple[str, ...]) -> Entry:
    text, effect = _asking_or_not(role, reinstall=definition.install.reinstall)
    line = lines.build("stage2", "kickstart", "no_copy", path=f"/{role.path}", more=more)
    return Entry(role.role, role.title, text, effect, line)


def _asking_or_not(role: Kickstart, *, reinstall: bool) -> tuple[str, str]:
    """What a role does to the disks, as help and in a few words."""
    if role.disk:
        used = "empty, or installed by this medium before and then ERASED" if reinstall else "empty"
        sentence = (
            f"Does not ask for the disk: takes the one that matches and is {used}; else stops and writes nothing. "
            f"The disk: {role.disk}."
        )
        help_lines = textwrap.wrap(sentence, HELP_COLUMNS, max_lines=HELP_LINES, placeholder=" ...")
        return "\n".join(help_lines), "MAY ERASE a disk unasked" if reinstall else "takes an empty disk"
    if role.chooses_disks:
        return _OWN_STORAGE_HELP, "MAY ERASE disks unasked"
    return _ASKING_HELP, "asks for the disk"


def _serial_menu(roles: Sequence[Kickstart], definition: Definition, lines: KernelLines) -> Submenu:
    console = definition.install.console or ""
    port = console.partition(",")[0]
    back = Entry("menu.back", "Back to the screen", _BACK_HELP.format(port=port), "", None)
    sections = [
        replace(
            section,
            entries=tuple(
                replace(entry, id=entry.id + SERIAL_SUFFIX) for entry in section.entries if entry.kernel_line
            ),
        )
        for section in _sections(roles, definition, lines, serial_words(console))
    ]
    keys = iter(pick_hotkeys([back.title, *(entry.title for section in sections for entry in section.entries)]))
    return Submenu(
        id="menu.serial",
        title=f"Use the serial console ({port})",
        hotkey=None,
        back=replace(back, hotkey=next(keys)),
        sections=tuple(_with_hotkeys(sections, keys)),
    )


def _with_hotkeys(sections: Sequence[Section], keys: Iterator[str | None]) -> Iterator[Section]:
    for section in sections:
        yield replace(section, entries=tuple(replace(entry, hotkey=next(keys)) for entry in section.entries))


def _check_ids(menu: Menu) -> None:
    ids = [entry.id for entry in menu.entries]
    if twice := sorted(name for name, number in Counter(ids).items() if number > 1):
        raise DefinitionError(
            f"role.{twice[0]}: the twin of another entry on the serial console has this id",
            hint=f"Give the role a name that does not end in {SERIAL_SUFFIX}.",
        )
    known = [entry.id for section in menu.sections for entry in section.entries]
    if menu.default not in known:
        raise DefinitionError(
            f"menu.default: {menu.default!r} is no entry of the menu{did_you_mean(menu.default, known)}"
        )
