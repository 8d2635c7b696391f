"""Answers files: INI with sections for all machines, and for one by MAC address, serial number or host name.

    [all]
    ntp = ntp.example.org
    [mac 52:54:00:12:34:56]
    hostname = front.example.org
    address = 192.168.1.10/24

A value is one line; a line that starts with # or ; is a comment. Reading reports every mistake of a file at once, with
its line. It knows no machine: `merged` is told what one is called.
"""

import re
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from . import rules
from .model import Answers
from .rules import AnswerError
from .text import did_you_mean, shown

# A rack of a thousand machines has a file of 200 KB.
SIZE_LIMIT = 1 << 20

# What section titles name, in their order of strength: a later one outdoes an earlier one.
ALL, HOST, SERIAL, MAC = "all", "host", "serial", "mac"
KINDS = (ALL, HOST, SERIAL, MAC)
_NAMES = {HOST: rules.machine_name, SERIAL: rules.serial, MAC: rules.mac}

# Those of programs, and those that web pages and word processors make of them.
_QUOTES = tuple("\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb")

Rule = Callable[[str], str]


class Mistake(NamedTuple):
    """Something wrong in an answers file, at a line from 1 (0: the whole file)."""

    line: int
    what: str

    def at(self, name: str) -> str:
        return f"{name}:{self.line}: {self.what}" if self.line else f"{name}: {self.what}"


class Section(NamedTuple):
    """A section: its kind (all, host, serial, mac), the name of its machine ("" for all), answers and their lines."""

    kind: str
    name: str
    line: int
    answers: Answers
    lines: Dict[str, int]

    @property
    def title(self) -> str:
        return (f"{self.kind} {self.name}").strip()


class AnswersFile(NamedTuple):
    """What an answers file says; with mistakes, it is not to be used."""

    sections: Tuple[Section, ...]
    mistakes: Tuple[Mistake, ...]


def parse(data: bytes, rule_of: Callable[[str], Optional[Rule]], known: Iterable[str]) -> AnswersFile:
    """Read an answers file. `rule_of` gives the rule of a key, or None; `known` are keys, for suggestions."""
    if len(data) > SIZE_LIMIT:
        return AnswersFile((), (Mistake(0, "it is larger than %s KiB; this is no answers file" % (SIZE_LIMIT >> 10)),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return AnswersFile((), (Mistake(0, "it is not text in UTF-8"),))
    reader = _Reader(rule_of, tuple(known))
    # Not splitlines: that takes more characters for the end of a line than any editor shows.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        reader.line(number, line.strip(" \t"))
    return AnswersFile(tuple(reader.sections), tuple(reader.mistakes))


class _Reader:
    def __init__(self, rule_of: Callable[[str], Optional[Rule]], known: Tuple[str, ...]) -> None:
        self.sections: List[Section] = []
        self.mistakes: List[Mistake] = []
        self._rule_of = rule_of
        self._known = known
        self._section: Optional[Section] = None
        self._titled = False

    def line(self, number: int, line: str) -> None:
        if not line or line[0] in "#;":
            return
        try:
            if line[0] == "[":
                self._open(number, line)
            else:
                self._answer(number, line)
        except AnswerError as refused:
            self.mistakes.append(Mistake(number, str(refused)))

    def _open(self, number: int, line: str) -> None:
        self._section = None
        # Even a title that is none: what follows it has one mistake, and that is its title.
        self._titled = True
        found = re.match(r"\[\s*(\S+)(?:\s+(\S[^\]]*?))?\s*\]\Z", line)
        kind, name = found.groups() if found else ("", None)
        if kind not in KINDS or (name is None) != (kind == ALL):
            raise AnswerError(
                f"{shown(line)} is not the title of a section",
                "There are [all], [mac ADDRESS], [serial NUMBER] and [host NAME].",
            )
        section = Section(kind, _NAMES[kind](name) if name else "", number, {}, {})
        earlier = next((one for one in self.sections if one.title == section.title), None)
        if earlier:
            # Its answers are looked at all the same.
            self.mistakes.append(Mistake(number, f"[{section.title}] is there already, in line {earlier.line}"))
        self.sections.append(section)
        self._section = section

    def _answer(self, number: int, line: str) -> None:
        key, sign, value = line.partition("=")
        key, value = key.strip(" \t"), value.strip(" \t")
        if not sign:
            raise AnswerError(f"{shown(line)} is neither a section nor KEY = VALUE", "A comment starts with #.")
        rule = self._rule_of(key)
        if rule is None:
            instead = f"Mend or remove it{did_you_mean(key, self._known)}"
            raise AnswerError(f"{shown(key)} is no question", instead if instead.endswith("?") else f"{instead}.")
        if self._section is None:
            if not self._titled:
                raise AnswerError(f"{key} stands before any section", "Put [all] above it.")
            return
        if key in self._section.lines:
            raise AnswerError(f"{key} is there already, in line {self._section.lines[key]}", "Give it once.")
        self._section.lines[key] = number
        try:
            self._section.answers[key] = rule(value)
        except AnswerError as refused:
            raise AnswerError(f"{key}: {refused.why}", refused.instead + _habit(value)) from None


def _habit(value: str) -> str:
    """What to say of a value that was refused and has around it what other configuration files have."""
    if value[:1] in _QUOTES or value[-1:] in _QUOTES:
        return " Values stand without quotes."
    return " A comment is a line of its own." if re.search(r"\s[#;]", value) else ""


def merged(
    sections: Sequence[Section], macs: Iterable[str], serial: str, hostname: str
) -> Tuple[Answers, Tuple[Mistake, ...]]:
    """What a file says for one machine: its own sections over those for all.

    The machine is known by any of its `macs`, its `serial`, and its name: the one that the file gives it, or else the
    `hostname` that it has. [host node1] and [host node1.example.org] are both for node1.example.org. Mistakes are two
    sections of one kind that are for this machine and differ.
    """
    mine = [one for one in sections if _is_for(one, set(macs), serial)]
    named = _layered(mine, []).get("hostname", hostname).lower()
    mine += [one for one in sections if one.kind == HOST and one.name in (named, named.partition(".")[0])]
    mistakes: List[Mistake] = []
    return _layered(mine, mistakes), tuple(mistakes)


def _is_for(section: Section, macs: "set[str]", serial: str) -> bool:
    return (
        section.kind == ALL
        or (section.kind == MAC and section.name in macs)
        or (section.kind == SERIAL and bool(serial) and section.name == serial)
    )


def _layered(sections: Sequence[Section], mistakes: List[Mistake]) -> Answers:
    result: Answers = {}
    for kind in KINDS:
        layer: Dict[str, Tuple[str, Section]] = {}
        for section in sections:
            if section.kind != kind:
                continue
            for key, value in section.answers.items():
                said, by = layer.setdefault(key, (value, section))
                if said != value:
                    what = f"{key}: both [{by.title}] and [{section.title}] are for this machine, and differ"
                    mistakes.append(Mistake(section.lines[key], what))
        result.update({key: value for key, (value, _) in layer.items()})
    return result


def dump(title: str, values: Iterable[Tuple[str, str]], comment: str) -> str:
    """An answers file of one section; values are canonical, and so safe to write as they are."""
    lines = [f"# {comment}", f"[{title}]"]
    lines += [f"{key} = {value}" for key, value in values]
    return "\n".join(lines) + "\n"
