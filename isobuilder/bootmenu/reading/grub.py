"""grub.cfg as GRUB 2 reads it: the script is followed, as far as that can be known without a machine.

Where it depends on the machine, every way is followed. Facts: GRUB 2.06, grub-core/normal/menu.c and
commands/menuentry.c, configfile.c, search_wrap.c.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from isobuilder.bootmenu.reading.grubscript import Command, For, Function, If, Statement, While, parse_script
from isobuilder.bootmenu.reading.grubvalues import UNKNOWN, Values, tested
from isobuilder.bootmenu.reading.grubwords import Key, options_of, search_words
from isobuilder.bootmenu.reading.model import (
    MOST_ENTRIES,
    MOST_FILES,
    Action,
    Boot,
    Default,
    Device,
    Devices,
    Entry,
    Menu,
    Named,
    Place,
    Problem,
    Search,
    Use,
)

_MOST_STEPS: Final = 20_000
_MAX_DEPTH: Final = 40
_MOST_ROUNDS: Final = 32
# Options of menuentry and search that take a word behind them.
_ENTRY_OPTIONS: Final = frozenset({"--class", "--users", "--hotkey", "--id", "--source"})
_NAMING: Final[dict[str, Use]] = {
    "chainloader": "chain",
    "loadfont": "font",
    "background_image": "picture",
    "devicetree": "loader-file",
    "multiboot": "kernel",
    "multiboot2": "kernel",
}
LINUX_COMMANDS: Final = frozenset({"linux", "linuxefi", "linux16", "linux32"})
INITRD_COMMANDS: Final = frozenset({"initrd", "initrdefi", "initrd16"})
_LEAVING: Final = frozenset({"exit", "reboot", "halt", "fwsetup", "normal_exit"})


@dataclass(frozen=True)
class Platform:
    """Where GRUB runs: `cpu` as GRUB calls it (i386, x86_64, arm64)."""

    name: Literal["bios", "uefi"]
    cpu: str


@dataclass(frozen=True)
class _Line:
    """An entry or submenu as it was met. What it does is seen when all of its list is read, as GRUB does it."""

    entry: Entry
    is_submenu: bool
    block: Sequence[Statement]
    arguments: tuple[str, ...]
    where: "_Where"


@dataclass
class _List:
    """A list of entries while it is read: its lines; then `shown` are its own entries, and `entries` all behind too."""

    steps: tuple[str, ...] = ()
    lines: list[_Line] = field(default_factory=list)
    shown: list[Entry] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


@dataclass
class _Doing:
    """What the body of an entry did so far."""

    boots: list[Boot] = field(default_factory=list)
    named: list[Named] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)
    acts: set[Action] = field(default_factory=set)


@dataclass(frozen=True)
class _Where:
    """What is known of the place in the script: its file, how deep it is, and on what it depends."""

    file: str
    depth: int = 0
    # Within a branch that may not be gone, or in the condition of one.
    unsure: bool = False
    asking: bool = False

    def deeper(self, *, unsure: bool = False, asking: bool = False) -> "_Where":
        return replace(self, depth=self.depth + 1, unsure=self.unsure or unsure, asking=self.asking or asking)


def read_grub(device: Device, path: str, devices: Devices, platform: Platform) -> Menu:
    """The menu at `path` of `device`, from which GRUB itself was started on `platform`."""
    reader = _Reader(devices, platform)
    folder = path.rpartition("/")[0]
    values = Values(
        {
            "root": device,
            "prefix": f"({device})/{folder}",
            "cmdpath": f"({device})/{folder}",
            "grub_platform": "efi" if platform.name == "uefi" else "pc",
            "grub_cpu": platform.cpu,
        }
    )
    shown = devices.shown(device, path)
    shown_list = _List()
    reader.lists.append(shown_list)
    reader.run_file(device, path, values, _Where(shown))
    reader.close(shown_list, values)
    reader.draw(values)
    return Menu(
        path=shown,
        loader="grub",
        platform=platform.name,
        entries=tuple(shown_list.entries),
        default=reader.default(shown_list, values),
        wait=reader.wait(values),
        named=tuple(reader.named),
        searches=tuple(reader.searches),
        problems=tuple(reader.problems),
    )


class _Reader:
    def __init__(self, devices: Devices, platform: Platform) -> None:
        self._devices = devices
        self._platform = platform
        self._functions: dict[str, Function] = {}
        self._calling: list[str] = []
        self._files: list[tuple[Device, str]] = []
        self._following: list[tuple[Device, str]] = []
        self._steps = 0
        self._entries = 0
        self._doing: _Doing | None = None
        self._places: dict[str, Place] = {}
        self._theme: tuple[str, Place, _Where] | None = None
        self.lists: list[_List] = []
        self.named: list[Named] = []
        self.searches: list[Search] = []
        self.problems: list[Problem] = []
        self._commands: dict[str, Callable[[str, list[str], Values, Place, _Where], bool | None]] = {
            "set": self._set,
            "export": self._export,
            "unset": self._unset,
            "search": self._search,
            "search.file": self._search,
            "search.fs_label": self._search,
            "search.fs_uuid": self._search,
            "source": self._source,
            ".": self._source,
            "configfile": self._configfile,
            "normal": self._configfile,
            "extract_entries_source": self._source,
            "[": self._test,
            "test": self._test,
            **dict.fromkeys(LINUX_COMMANDS, self._linux),
            **dict.fromkeys(INITRD_COMMANDS, self._initrd),
            **dict.fromkeys(_NAMING, self._naming),
            **dict.fromkeys(_LEAVING, self._leave),
        }

    def run_file(self, device: Device, path: str, values: Values, where: _Where) -> None:
        """Follow a file, unless it is being followed already."""
        text = self._devices.text(device, path)
        if text is None or (device, path) in self._following or len(self._files) >= MOST_FILES:
            return
        self._files.append((device, path))
        self._following.append((device, path))
        script = parse_script(text)
        shown = self._devices.shown(device, path)
        self.problems += [Problem(Place(shown, line), mistake) for line, mistake in script.mistakes]
        self._run(script.statements, values, replace(where, file=shown, depth=where.depth + 1))
        self._following.pop()

    def _run(self, statements: Sequence[Statement], values: Values, where: _Where) -> bool | None:
        """Follow statements; what the last of them comes to."""
        result: bool | None = True
        for statement in statements:
            self._steps += 1
            if self._steps > _MOST_STEPS or where.depth > _MAX_DEPTH:
                return None
            match statement:
                case Command():
                    result = self._command(statement, values, where)
                case If():
                    result = self._if(statement, values, where)
                case For():
                    result = self._for(statement, values, where)
                case While():
                    tried = values.copy()
                    self._run(statement.condition, tried, where.deeper(unsure=True, asking=True))
                    self._run(statement.body, tried, where.deeper(unsure=True))
                    values.merge([values.copy(), tried])
                    result = None
                case Function():
                    self._functions[statement.name] = statement
        return result

    def _if(self, statement: If, values: Values, where: _Where) -> bool | None:
        """The branch that is gone, or each that may be, and then what they leave."""
        left: list[Values] = []
        asked, unsure = values, False
        for condition, body in statement.branches:
            truth = True
            if condition is not None:
                asked = asked.copy()
                known = self._run(condition, asked, where.deeper(asking=True, unsure=unsure))
                unsure, truth = unsure or known is None, known is not False
            if truth:
                gone = asked.copy()
                self._run(body, gone, where.deeper(unsure=unsure))
                left.append(gone)
                if condition is None or known is True:
                    break
        else:
            left.append(asked)
        values.merge(left)
        if len(left) == 1:
            values.variables = left[0].variables
        return None

    def _for(self, statement: For, values: Values, where: _Where) -> bool | None:
        words = values.expand(statement.words)
        for word in words[:_MOST_ROUNDS]:
            values.set(statement.variable, word)
            self._run(statement.body, values, where.deeper(unsure=len(words) > 1))
        return None

    def _command(self, command: Command, values: Values, where: _Where) -> bool | None:
        words = values.expand(command.words)
        if not words:
            return True
        place = Place(where.file, command.line)
        name, *rest = words
        if command.block is not None and name not in {"menuentry", "submenu"} and UNKNOWN not in name:
            self.problems.append(Problem(place, f"{name} is no command with a block in braces, as menuentry is"))
        if name in {"menuentry", "submenu"}:
            if command.block is not None and self._doing is None:
                self._entry(name, rest, command.block, place, where)
            return True
        if name in self._functions and name not in self._calling:
            called = values.copy(tuple(rest))
            self._calling.append(name)
            result = self._run(self._functions[name].body, called, where.deeper())
            self._calling.pop()
            values.variables, values.exported = called.variables, called.exported
            return result
        if name in self._commands:
            return self._commands[name](name, rest, values, place, where)
        if not rest and (found := re.fullmatch(r"([A-Za-z_]\w*)=(.*)", name, re.DOTALL)):
            self._assign(found[1], found[2], values, place, where)
            return True
        return {"true": True, "false": False}.get(name)

    def _entry(self, name: str, words: list[str], block: Sequence[Statement], place: Place, where: _Where) -> None:
        options, arguments = options_of(words, _ENTRY_OPTIONS)
        inner = self.lists[-1]
        self._entries += 1
        if not arguments or self._entries > MOST_ENTRIES:
            return
        entry = Entry(
            id=options.get("--id", arguments[0]),
            title=arguments[0].strip(),
            place=place,
            action="other",
            steps=inner.steps,
            conditional=where.unsure,
        )
        inner.lines.append(_Line(entry, name == "submenu", block, tuple(arguments), replace(where, unsure=False)))

    def close(self, inner: _List, values: Values) -> None:
        """All of a list is read: what each of its entries does, with the variables as they are then."""
        for line in inner.lines:
            if not line.is_submenu:
                entry = self._chosen(line, values)
                inner.shown.append(entry)
                inner.entries.append(entry)
                continue
            behind = _List((*inner.steps, line.entry.title))
            self.lists.append(behind)
            own = values.inside(line.arguments)
            self._run(line.block, own, line.where.deeper())
            self.close(behind, own)
            self.lists.pop()
            entry = replace(line.entry, action="submenu")
            inner.shown.append(entry)
            inner.entries += [entry, *behind.entries]

    def _chosen(self, line: _Line, values: Values) -> Entry:
        """The entry of a line with what its body does."""
        doing = self._doing = _Doing()
        self._run(line.block, values.copy(line.arguments), line.where.deeper())
        self._doing = None
        actions: tuple[Action, ...] = ("linux", "submenu", "local", "program")
        action: Action = next((action for action in actions if action in doing.acts), "other")
        return replace(
            line.entry,
            action=action,
            boots=tuple(doing.boots),
            named=tuple(doing.named),
            searches=tuple(doing.searches),
        )

    def _assign(self, name: str, value: str, values: Values, place: Place, where: _Where) -> None:
        # What is in brackets elsewhere has none here.
        values.set(name, value.strip("()") if name == "root" else value)
        self._places[name] = place
        if name == "theme":
            self._theme = (value, place, where)

    def _set(self, _: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        if words and "=" in words[0]:
            name, _, value = words[0].partition("=")
            self._assign(name, value, values, place, where)
        return True

    def _export(self, _: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        del place, where
        for word in words:
            name, equals, value = word.partition("=")
            values.exported.add(name)
            if equals:
                values.set(name, value)
        return True

    def _unset(self, _: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        del place, where
        for word in words:
            values.variables.pop(word, None)
        return True

    def _test(self, name: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        del place, where
        return tested(words[:-1] if name == "[" else words, values, self._devices)

    def _search(self, name: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        """Which device a search sets: none of the medium's, and then perhaps one of the machine's."""
        by, key, variable = search_words(name, words)
        if not by or key is None:
            return None
        found = self._found(by, key)
        guarded = where.asking or where.unsure
        searches = self.searches if self._doing is None else self._doing.searches
        searches.append(Search(by, key, found, place, guarded))
        if variable:
            # That nothing is found after a search that fails is no other mistake. An entry may look for a disk.
            device: str = found or ("elsewhere" if guarded or self._doing else "medium")
            values.set(variable, device if device != "elsewhere" else UNKNOWN)
        return True if found in {"medium", "esp"} else None

    def _found(self, by: Key, key: str) -> Device | None:
        if UNKNOWN in key:
            return "elsewhere"
        if by == "file":
            devices: tuple[Device, ...] = ("medium", "esp")
            return next((device for device in devices if self._devices.exists(device, key)), None)
        return self._devices.with_label(key) if by == "label" else self._devices.with_uuid(key)

    def _source(self, _: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        if not words:
            return None
        named = self._name("menu", words[0], values, place, where)
        self.run_file(named.device, named.path, values, where)
        return None if named.device == "elsewhere" else self._devices.exists(named.device, named.path)

    def _configfile(self, _: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        """Another menu: from a menu's top it takes the place of this one, from an entry it is a list behind it."""
        if not words:
            return None
        named = self._name("menu", words[0], values, place, where)
        if self._doing is not None:
            self._doing.acts.add("submenu")
            return None
        inner = values.inside(())
        self.run_file(named.device, named.path, inner, where)
        # Only what the other menu says of itself counts now.
        for name in ("default", "timeout"):
            if name in inner.variables:
                values.set(name, inner.variables[name])
        return None

    def _linux(self, name: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        if not words:
            return None
        kernel = self._named("kernel", words[0], values, place, where)
        boot = Boot(name, kernel, (), _kernel_line(words[1:]), place)
        if self._doing is not None:
            self._doing.acts.add("linux")
            self._doing.boots.append(boot)
        return None

    def _initrd(self, name: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        initrds = tuple(
            self._named("initrd", word, values, place, where) for word in words if not word.startswith("newc:")
        )
        if self._doing is None:
            return None
        if self._doing.boots:
            last = self._doing.boots[-1]
            self._doing.boots[-1] = replace(last, initrds=(*last.initrds, *initrds), loaded_by=name)
        else:
            self.problems.append(Problem(place, f"{name} without a kernel that was loaded before it"))
        return None

    def _naming(self, name: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        _, files = options_of(words, frozenset({"--mode", "-m"}))
        blocks = bool(files) and bool(re.fullmatch(r"(\(.*\))?[0-9]*\+[0-9]+(,.*)?", files[0]))
        # Blocks of a disk, and fonts by their names, are no files.
        if files and not blocks and ("/" in files[0] or name != "loadfont"):
            self._name(_NAMING[name], files[0], values, place, where)
        if name == "chainloader" and self._doing is not None:
            device = values.resolve(files[0])[0] if files else "elsewhere"
            self._doing.acts.add("program" if device != "elsewhere" and not blocks else "local")
        elif name.startswith("multiboot") and self._doing is not None:
            self._doing.acts.add("program")
        return None

    def _leave(self, _: str, words: list[str], values: Values, place: Place, where: _Where) -> bool | None:
        del words, values, place, where
        if self._doing is not None and not self._doing.acts:
            self._doing.acts.add("local")
        return None

    def _named(self, use: Use, written: str, values: Values, place: Place, where: _Where) -> Named:
        device, path = values.resolve(written)
        return Named(use, device, path, written, place, guarded=where.asking or where.unsure)

    def _name(self, use: Use, written: str, values: Values, place: Place, where: _Where) -> Named:
        named = self._named(use, written, values, place, where)
        (self.named if self._doing is None else self._doing.named).append(named)
        return named

    def draw(self, values: Values) -> None:
        """The menu is drawn, and its theme is looked for by what is root then."""
        if self._theme and values.variables.get("theme"):
            self._name("theme", self._theme[0], values, *self._theme[1:])

    def wait(self, values: Values) -> float | None:
        """Seconds until the default starts; without a timeout GRUB waits for somebody."""
        found = re.match(r"-?[0-9]{1,9}", values.get("timeout"))
        seconds = int(found[0]) if found else -1
        return None if seconds < 0 else seconds

    def default(self, shown: _List, values: Values) -> Default:
        """The entry that `default` names: by number, id or title, through lists with ">"."""
        written = values.variables.get("default")
        place = self._places.get("default")
        if not written:
            return Default(shown.shown[0] if shown.shown else None, None, None)
        if UNKNOWN in written:
            return Default(None, written, place, known=False)
        steps: tuple[str, ...] = ()
        level = [entry for entry in shown.shown if entry.steps == ()]
        entry: Entry | None = None
        for part in re.split(r"(?<!>)>(?!>)", written):
            entry = _picked(part.replace(">>", ">"), level)
            if entry is None:
                return Default(None, written, place)
            if entry.action == "submenu":
                steps = (*entry.steps, entry.title)
                level = [inner for inner in shown.entries if inner.steps == steps]
        return Default(entry, written, place)


def _picked(name: str, level: Sequence[Entry]) -> Entry | None:
    if found := re.match(r"\s*[0-9]+", name):
        return (
            level[int(found[0])] if len(found[0]) < len(str(MOST_ENTRIES)) + 1 and int(found[0]) < len(level) else None
        )
    return next((entry for entry in level if name.strip() in {entry.id, entry.title}), None)


def _kernel_line(words: Sequence[str]) -> str:
    """The words as the kernel gets them: one with a blank in it is quoted."""
    return " ".join(f'"{word}"' if re.search(r"\s", word) else word for word in words)
