"""isolinux.cfg and what it includes, as isolinux and its menu modules read them.

Facts: com32/menu/readconfig.c and com32/elflink/ldlinux of syslinux 6.04; doc/syslinux.txt and doc/menu.txt.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from isobuilder.bootmenu.reading.model import (
    MOST_ENTRIES,
    MOST_FILES,
    Boot,
    Default,
    Devices,
    Entry,
    Menu,
    Named,
    Place,
    Problem,
    Use,
    joined,
)

# A line is read into this many bytes, with a NUL at its end; what is left of a longer one becomes a line of its own.
LONGEST_LINE: Final = 4095
# isolinux 4 keeps names of labels in 256 bytes.
LONGEST_LABEL: Final = 255
# Modules that draw a menu, and go on reading the configuration that they are given.
_MENU_MODULES: Final = frozenset({"menu.c32", "vesamenu.c32"})
# What the kernel is looked for as well, since isolinux completes names.
EXTENSIONS: Final = (".cbt", ".bss", ".com", ".c32")
_KERNEL_WORDS: Final = frozenset(
    {"kernel", "linux", "boot", "bss", "pxe", "fdimage", "comboot", "com32", "config", "localboot"}
)
_PROGRAMS: Final = re.compile(r"\.(?:c32|com|cbt|bss|bin|bs|0|img)$", re.IGNORECASE)
_NOWHERE: Final = Place("", 0)
_PICTURE: Final[Use] = "picture"
_SETTINGS: Final = frozenset({"default", "ui", "timeout", "totaltimeout", "ontimeout", "prompt", "onerror"})
_FUNCTION_KEY: Final = re.compile(r"f(?:[0-9]|1[0-2])")


@dataclass
class _Label:
    """An entry while it is read."""

    name: str
    place: Place
    # The lists that lead to it; their titles may be said later.
    lists: "tuple[_List, ...]"
    words: str
    verb: str = "kernel"
    verb_place: Place | None = None
    title: str = ""
    append: str | None = None
    append_place: Place | None = None
    initrds: list[tuple[str, Place]] = field(default_factory=list)
    marked: bool = False
    leads: bool = False
    opens: "_List | None" = None

    @property
    def steps(self) -> tuple[str, ...]:
        return tuple(inner.shown for inner in self.lists)

    @property
    def shown(self) -> str:
        """What a person sees of it."""
        return self.opens.shown if self.opens else _plain_title(self.title or self.name)


@dataclass
class _List:
    """A list of entries while it is read: the first, or one behind `menu begin`."""

    tag: str
    title: str = ""
    begun: Place | None = None

    @property
    def shown(self) -> str:
        return _plain_title(self.title or self.tag)


def read_isolinux(path: str, devices: Devices) -> Menu:
    """The menu at `path` on the medium, with the files that it includes or hands to a menu module."""
    reader = _Reader(path, devices)
    reader.read_file(path, ())
    reader.finish()
    return reader.menu()


class _Reader:
    def __init__(self, path: str, devices: Devices) -> None:
        self._path = path
        self._folder = path.rpartition("/")[0]
        self._devices = devices
        self._files: list[str] = []
        self._lists = [_List("")]
        self._label: _Label | None = None
        self._labels: list[_Label] = []
        self._named: list[Named] = []
        self._problems: list[Problem] = []
        self._append = ""
        # The words of a setting with their place, the last that was made.
        self._set: dict[str, tuple[str, Place]] = {}
        self._lines: Iterator[tuple[Place, str]] = iter(())

    def read_file(self, path: str, inside: tuple[str, ...]) -> None:
        """One file as if it stood where it is included; what is missing is named only."""
        if path in inside or len(self._files) >= MOST_FILES:
            return
        text = self._devices.text("medium", path)
        if text is None:
            return
        self._files.append(path)
        shown = self._devices.shown("medium", path)
        outer = self._lines
        self._lines = ((Place(shown, number), line) for number, line in enumerate(text.split("\n"), start=1))
        for place, line in self._lines:
            if len(line.encode()) > LONGEST_LINE:
                self._problems.append(
                    Problem(place, f"the line has {len(line.encode())} bytes, and isolinux reads {LONGEST_LINE} of one")
                )
            keyword, rest = _split(line)
            self._line(keyword.lower(), rest, place, (*inside, path))
        self._lines = outer

    def _line(self, keyword: str, rest: str, place: Place, inside: tuple[str, ...]) -> None:
        if keyword == "menu":
            self._menu_line(rest, place, inside)
        elif keyword == "text":
            self._skip_text()
        elif keyword == "label":
            self._record()
            self._label = _Label(rest, place, tuple(self._lists[1:]), rest, verb_place=place)
        elif keyword == "include":
            self._include(rest, place, inside)
        elif keyword in {"append", "initrd"} or keyword in _KERNEL_WORDS:
            self._boot_line(keyword, rest, place)
        elif keyword in {"display", "font", "kbdmap"} or _FUNCTION_KEY.fullmatch(keyword):
            first: Use = "font" if keyword == "font" else "message"
            for use, word in zip((first, _PICTURE), rest.split(), strict=False):
                self._name(use, word, place)
        elif keyword in _SETTINGS and (keyword != "timeout" or len(self._lists) == 1):
            # A list behind another may have a time of its own.
            self._set[keyword] = (rest, place)

    def _boot_line(self, keyword: str, rest: str, place: Place) -> None:
        label = self._label
        if label is None:
            self._append = rest if keyword == "append" else self._append
        elif keyword == "append":
            label.append, label.append_place = rest, place
        elif keyword == "initrd":
            label.initrds = [(path, place) for path in rest.split(",") if path]
        else:
            label.verb, label.words, label.verb_place = keyword, rest, place

    def _menu_line(self, rest: str, place: Place, inside: tuple[str, ...]) -> None:
        keyword, value = _split(rest)
        keyword = keyword.lower()
        if keyword == "separator":
            self._record()
        elif keyword == "begin":
            self._begin(_List(value, begun=place))
        elif keyword == "end":
            self._record()
            del self._lists[max(1, len(self._lists) - 1) :]
        elif keyword == "include":
            self._include(value, place, inside)
        elif keyword == "background" and value and not value.startswith("#"):
            self._name("picture", value.split(maxsplit=1)[0], place)
        elif self._label:
            self._label_line(self._label, keyword, value, place)
        elif keyword in {"label", "title"} and len(self._lists) > 1:
            self._lists[-1].title = self._lists[-1].title or value

    def _label_line(self, label: _Label, keyword: str, value: str, place: Place) -> None:
        if keyword == "label":
            label.title = value
        elif keyword == "default":
            label.marked = True
        elif keyword in {"disable", "disabled"}:
            label.leads = True
        elif keyword in {"goto", "exit", "quit", "help"}:
            label.verb = "menu"
            if keyword == "help" and value:
                self._name("message", value.split(maxsplit=1)[0], place)

    def _include(self, rest: str, place: Place, inside: tuple[str, ...]) -> None:
        path, title = _split(rest)
        if not path:
            return
        named = self._name("menu", path, place)
        if title:
            self._begin(_List(title, title, place))
        self.read_file(named.path, inside)
        if title:
            self._record()
            self._lists.pop()

    def _skip_text(self) -> None:
        for _, line in self._lines:
            if _split(line)[0].lower() == "endtext":
                return

    def _begin(self, inner: _List) -> None:
        """What follows is a list behind a line that stands here."""
        self._record()
        self._label = _Label(inner.tag, inner.begun or _NOWHERE, tuple(self._lists[1:]), "", "menu", opens=inner)
        self._record()
        self._lists.append(inner)

    def _record(self) -> None:
        """The entry that was read so far is whole."""
        if self._label and len(self._labels) < MOST_ENTRIES:
            label = self._label
            if label.append is None and self._append:
                label.append, label.append_place = self._append, label.verb_place
            self._labels.append(label)
        self._label = None

    def finish(self) -> None:
        """All is read: what is drawn, and the files that a menu module is given to read instead of its own."""
        self._record()
        drawn = self._interface()
        if not drawn:
            return
        module, *files = drawn[0].split()
        self._name("module", module, drawn[1])
        if files and _base(module) in _MENU_MODULES:
            self._labels.clear()
            for file in files:
                self.read_file(self._name("menu", file, drawn[1]).path, ())
            self._record()
        # What is read here makes the list longer.
        for label in self._labels:
            self._follow(label)

    def _follow(self, label: _Label) -> None:
        """The entries of another configuration, as a list behind `label`, which starts it."""
        files = [named.path for named in self._entry(label).named if named.use == "menu"]
        if not files:
            return
        kept = dict(self._set), self._append, self._lists
        self._append = ""
        self._lists = [_List(""), *label.lists, _List(label.name, label.title)]
        for path in files:
            if path not in self._files:
                self.read_file(path, ())
        self._record()
        self._set, self._append, self._lists = kept

    def _interface(self) -> tuple[str, Place] | None:
        """What draws the menu, and where it is said: `ui`, or a default that is a module."""
        if "ui" in self._set and self._set["ui"][0]:
            return self._set["ui"]
        written, place = self._set.get("default", ("", None))
        is_label = written in {label.name for label in self._labels}
        if place and not is_label and written and re.search(r"\.c32$", written.split()[0], re.IGNORECASE):
            return written, place
        return None

    def menu(self) -> Menu:
        drawn = self._interface()
        entries = tuple(self._entries())
        default, wait = self._default(entries, drawn=bool(drawn)), self._wait(drawn=bool(drawn))
        return Menu(
            path=self._devices.shown("medium", self._path),
            loader="isolinux",
            platform="bios",
            entries=entries,
            default=default,
            wait=wait,
            named=tuple(self._named),
            problems=tuple(self._problems),
        )

    def _entries(self) -> Iterator[Entry]:
        for label in self._labels:
            if not label.leads:
                yield self._entry(label)

    def _entry(self, label: _Label) -> Entry:
        entry = Entry(
            id=label.name,
            title=label.shown,
            place=label.place,
            action="submenu" if label.opens else "other",
            steps=label.steps,
            marked=label.marked,
        )
        path, more = _split(label.words)
        if label.verb == "localboot":
            return replace(entry, action="local")
        if label.verb == "menu" or not path:
            return entry
        append = "" if label.append in {None, "-"} else str(label.append)
        if label.verb == "config" or _base(path) in _MENU_MODULES:
            return self._other_menu(entry, label, path, append)
        if label.verb not in {"kernel", "linux"} or (label.verb == "kernel" and _PROGRAMS.search(path)):
            is_module = path.lower().endswith(".c32") or label.verb == "com32"
            named = self._file("module" if is_module else "kernel", path, label.verb_place or label.place)
            return replace(entry, action="local" if _base(path) == "chain.c32" else "program", named=(named,))
        return self._kernel(entry, label, path, " ".join(filter(None, [more, append])))

    def _other_menu(self, entry: Entry, label: _Label, path: str, append: str) -> Entry:
        """An entry that starts another configuration, by itself or in a module that draws it."""
        place = label.verb_place or label.place
        is_config = label.verb == "config"
        files = [path] if is_config else append.split()
        menus = [self._file("menu", file, place) for file in files if file != "~"]
        modules = [] if is_config else [self._file("module", path, place)]
        return replace(entry, action="submenu", named=(*menus, *modules))

    def _kernel(self, entry: Entry, label: _Label, path: str, arguments: str) -> Entry:
        place = label.verb_place or label.place
        append_place = label.append_place or place
        files = [word.removeprefix("initrd=") for word in arguments.split() if word.startswith("initrd=")]
        initrds = [self._file("initrd", file, append_place) for file in ",".join(files).split(",") if file]
        initrds += [self._file("initrd", file, where) for file, where in label.initrds]
        told = " ".join(word for word in arguments.split() if not word.startswith("initrd="))
        boot = Boot(label.verb, self._file("kernel", path, place), tuple(initrds), told, append_place)
        return replace(entry, action="program" if _base(path) == "memdisk" else "linux", boots=(boot,))

    def _default(self, entries: tuple[Entry, ...], *, drawn: bool) -> Default:
        if "ontimeout" in self._set and self._set["ontimeout"][0]:
            return self._by_name(entries, *self._set["ontimeout"])
        written, place = self._set.get("default", ("", None))
        if place and written and (not drawn or "ui" in self._set):
            return self._by_name(entries, written, place)
        shown = [entry for entry in entries if not entry.steps]
        marked = [entry for entry in shown if entry.marked]
        if drawn and shown:
            return Default((marked or shown)[-1 if marked else 0])
        return Default(None, known=False)

    def _by_name(self, entries: tuple[Entry, ...], written: str, place: Place) -> Default:
        """The entry that a command line starts: a label, or else a kernel's file with what it is told."""
        name = written.split(maxsplit=1)[0]
        found = next((entry for entry in entries if entry.id == written or entry.id.split()[:1] == [name]), None)
        if found is None:
            path = joined(self._folder, name)
            if any(self._devices.exists("medium", path + extension) for extension in ("", *EXTENSIONS)):
                return Default(None, written, place, known=False)
        return Default(found, written, place)

    def _wait(self, *, drawn: bool) -> float | None:
        if not drawn and self._number("prompt") == 0:
            # Without a prompt, nothing waits for anybody.
            return 0 if "default" in self._set else None
        times = [number / 10 for name in ("timeout", "totaltimeout") if (number := self._number(name))]
        return min(times) if times else None

    def _number(self, name: str) -> int:
        found = re.match(r"[0-9]{1,9}", self._set.get(name, ("0", None))[0])
        return int(found[0]) if found else 0

    def _file(self, use: Use, written: str, place: Place) -> Named:
        return Named(use, "medium", joined(self._folder, written), written, place)

    def _name(self, use: Use, written: str, place: Place) -> Named:
        named = self._file(use, written, place)
        self._named.append(named)
        return named


def _split(line: str) -> tuple[str, str]:
    """The first word of a line, and what follows it."""
    words = line.split(None, 1)
    return (words[0] if words else ""), (words[1].rstrip() if len(words) > 1 else "")


def _base(path: str) -> str:
    return path.rpartition("/")[2].lower()


def _plain_title(title: str) -> str:
    """A title without the caret that marks its key; two of them are one."""
    return re.sub(r"\^(.)", r"\1", title)
