"""The menu of GRUB 0.97, which release 6 starts on UEFI machines: a setting or a command a line.

Facts: stage2/builtins.c and stage2/stage2.c of GRUB 0.97.
"""

import re
from dataclasses import dataclass, field, replace

from isobuilder.bootmenu.reading.model import (
    MOST_ENTRIES,
    Action,
    Boot,
    Default,
    Device,
    Devices,
    Entry,
    Menu,
    Named,
    Place,
    Use,
)


@dataclass
class _Title:
    title: str
    place: Place
    boots: list[Boot] = field(default_factory=list)
    named: list[Named] = field(default_factory=list)
    device: Device | None = None
    action: Action = "other"


def read_legacy(device: Device, path: str, devices: Devices) -> Menu:
    """The menu at `path` of `device`. Files are looked for on the medium, unless they are in the EFI image only."""
    reader = _Reader(devices)
    shown = devices.shown(device, path)
    for number, line in enumerate((devices.text(device, path) or "").split("\n"), start=1):
        reader.line(*_keyword(line), Place(shown, number))
    entries = tuple(
        Entry(entry.title, entry.title, entry.place, entry.action, (), tuple(entry.boots), tuple(entry.named))
        for entry in reader.titles
    )
    seconds = re.match(r"[0-9]{1,9}", reader.settings.get("timeout", ("", None))[0])
    return Menu(
        path=shown,
        loader="grub-legacy",
        platform="uefi",
        entries=entries,
        default=_default(reader.settings, entries),
        wait=int(seconds[0]) if seconds else None,
        named=tuple(reader.named),
    )


class _Reader:
    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self.settings: dict[str, tuple[str, Place]] = {}
        self.named: list[Named] = []
        self.titles: list[_Title] = []

    def line(self, keyword: str, rest: str, place: Place) -> None:
        """One more line."""
        if keyword == "title":
            if len(self.titles) < MOST_ENTRIES:
                self.titles.append(_Title(rest, place))
        elif keyword in {"splashimage", "gfxmenu"} and rest:
            self.named.append(self._file("picture", rest, place, None))
        elif not self.titles:
            self.settings[keyword] = (rest, place)
        elif rest:
            self._command(self.titles[-1], keyword, rest, place)

    def _command(self, title: _Title, keyword: str, rest: str, place: Place) -> None:
        if keyword in {"root", "rootnoverify"}:
            title.device = None if rest.startswith("(cd") else "elsewhere"
        elif keyword == "kernel":
            words = [word for word in rest.split() if not word.startswith("--")] or [rest]
            kernel = self._file("kernel", words[0], place, title.device)
            title.boots.append(Boot("kernel", kernel, (), " ".join(words[1:]), place))
            title.action = "linux"
        elif keyword in {"initrd", "module"} and title.boots:
            last = title.boots[-1]
            initrds = tuple(self._file("initrd", word, place, title.device) for word in rest.split())
            title.boots[-1] = replace(last, initrds=(*last.initrds, *initrds))
        elif keyword in {"chainloader", "configfile"}:
            use: Use = "menu" if keyword == "configfile" else "chain"
            is_local = title.device == "elsewhere" and use == "chain"
            title.action = "local" if is_local else "submenu" if use == "menu" else "program"
            if "/" in rest:
                title.named.append(self._file(use, rest, place, title.device))

    def _file(self, use: Use, rest: str, place: Place, on: Device | None) -> Named:
        written = rest.split(maxsplit=1)[0]
        found = re.fullmatch(r"(?:\(([^)]*)\))?/*(.*)", written)
        device, path = (found[1] or "", found[2]) if found else ("", written)
        where: Device = on or "medium"
        if device and not device.startswith("cd"):
            where = "elsewhere"
        elif where == "medium" and not self._devices.exists("medium", path) and self._devices.exists("esp", path):
            where = "esp"
        return Named(use, where, path, written, place)


def _keyword(line: str) -> tuple[str, str]:
    """The command of a line and its words; a blank or an equals sign stands between them."""
    found = re.match(r"\s*([A-Za-z]\w*)[ \t=]*(.*)", line)
    return (found[1].lower(), found[2].strip()) if found else ("", "")


def _default(settings: dict[str, tuple[str, Place]], entries: tuple[Entry, ...]) -> Default:
    written, place = settings.get("default", ("", None))
    if written == "saved":
        return Default(None, written, place, known=False)
    number = int(written) if re.fullmatch(r"[0-9]{1,6}", written) else 0
    entry = entries[number] if number < len(entries) else None
    return Default(entry, written or None, place)
