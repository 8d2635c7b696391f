"""What GRUB's variables and conditions come to, as far as that can be known without a machine.

A value that cannot be known is `UNKNOWN` within a word; a condition that cannot be known is None.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from isobuilder.bootmenu.reading.grubscript import Word
from isobuilder.bootmenu.reading.model import Device, Devices, joined

UNKNOWN: Final = "\0"
MOST_WORDS: Final = 500
_MOST_VARIABLES: Final = 500
LONGEST_VALUE: Final = 8192
_LONGEST_TEST: Final = 50
_LONGEST_NUMBER: Final = 9
_NUMBERS: Final[dict[str, Callable[[int, int], bool]]] = {
    "-eq": operator.eq,
    "-ne": operator.ne,
    "-lt": operator.lt,
    "-le": operator.le,
    "-gt": operator.gt,
    "-ge": operator.ge,
}
# Variables of GRUB's own that depend on the machine, or on what was done before.
_MACHINE: Final = (
    *("net_", "pxe_", "grub_", "config_", "boot_", "secure", "shim_lock", "lockdown", "biosnum", "?", "chosen"),
    *("saved_entry", "prev_saved", "next_entry", "kernelopts", "tuned_", "lang", "locale"),
)
# Exported from the start, so that menus behind others see them.
_EXPORTED: Final = frozenset({"root", "prefix", "cmdpath", "grub_cpu", "grub_platform", "pager"})


@dataclass
class Values:
    """GRUB's variables at one moment, and the arguments of a function or an entry."""

    variables: dict[str, str]
    exported: set[str] = field(default_factory=lambda: set(_EXPORTED))
    arguments: tuple[str, ...] = ()

    def copy(self, arguments: tuple[str, ...] | None = None) -> "Values":
        """The same, to be changed apart."""
        return Values(dict(self.variables), set(self.exported), self.arguments if arguments is None else arguments)

    def inside(self, arguments: tuple[str, ...]) -> "Values":
        """What a list behind another sees: exported variables only."""
        kept = {name: value for name, value in self.variables.items() if name in self.exported}
        return Values(kept, set(self.exported), arguments)

    def get(self, name: str) -> str:
        """The value of a variable; "" for one that nobody sets, as in GRUB."""
        if name.isdecimal():
            # Python refuses to read numbers of thousands of digits.
            if len(name) > _LONGEST_NUMBER:
                return ""
            return self.arguments[int(name) - 1] if 0 < int(name) <= len(self.arguments) else ""
        if name in {"@", "*"}:
            return " ".join(self.arguments)
        if name == "#":
            return str(len(self.arguments))
        if name in self.variables:
            return self.variables[name]
        if name.startswith("feature_"):
            # Whatever the menus of today ask for is in the GRUB of 7 and later.
            return "y"
        return UNKNOWN if name.startswith(_MACHINE) else ""

    def set(self, name: str, value: str) -> None:
        """Give a variable a value; more of them than any menu has are not kept."""
        if name in self.variables or len(self.variables) < _MOST_VARIABLES:
            self.variables[name] = value

    def merge(self, others: Sequence["Values"]) -> None:
        """Become what is left when one of `others` happened, and nobody knows which."""
        names = {name for other in others for name in other.variables}
        for name in names:
            seen = {other.variables.get(name, "") for other in others}
            self.variables[name] = seen.pop() if len(seen) == 1 else UNKNOWN
        for other in others:
            self.exported |= other.exported

    def expand(self, words: Sequence[Word]) -> list[str]:
        """The words as a command gets them; blanks in the value of a variable outside of quotes part them."""
        expanded: list[str] = []
        for word in words:
            parts = [""]
            solid = False
            for piece in word.pieces:
                if not piece.is_variable:
                    parts[-1] += piece.text
                    solid = True
                    continue
                value = self.get(piece.text)[: LONGEST_VALUE - len(parts[-1])]
                if piece.quotes == "double":
                    parts[-1] += value
                    solid = True
                    continue
                first, *rest = value.split() or [""]
                parts[-1] += first
                parts += rest
            expanded += [part for part in parts if part or solid]
            if len(expanded) > MOST_WORDS:
                break
        return [word[:LONGEST_VALUE] for word in expanded[:MOST_WORDS]]

    def resolve(self, written: str) -> tuple[Device, str]:
        """The device and the path of a file as GRUB understands `written`; elsewhere when that cannot be known."""
        device, path = self.variables.get("root", ""), written
        if written.startswith("("):
            device, _, path = written[1:].partition(")")
        if UNKNOWN in written or device not in {"medium", "esp"}:
            return "elsewhere", path
        return ("medium" if device == "medium" else "esp"), joined("", path)


def tested(words: Sequence[str], values: Values, devices: Devices) -> bool | None:
    """What `[ words ]` comes to: strings, numbers and files, with ! -a -o; None when it cannot be known."""
    if len(words) > _LONGEST_TEST:
        return None
    # -o binds less than -a.
    for joint in ("-o", "-a"):
        if joint in words[1:-1]:
            at = words.index(joint, 1)
            return _either(
                tested(words[:at], values, devices),
                tested(words[at + 1 :], values, devices),
                decisive=joint == "-o",
            )
    if words and words[0] == "!" and len(words) > 1:
        inner = tested(words[1:], values, devices)
        return None if inner is None else not inner
    if any(UNKNOWN in word for word in words):
        return None
    if len(words) == 1:
        return bool(words[0])
    if len(words) == 2:
        return _about(words[0], words[1], values, devices)
    return _compared(*words) if len(words) == 3 else None


def _either(*sides: bool | None, decisive: bool) -> bool | None:
    if decisive in sides:
        return decisive
    return None if None in sides else not decisive


def _about(option: str, word: str, values: Values, devices: Devices) -> bool | None:
    if option in {"-n", "-z"}:
        return bool(word) == (option == "-n")
    return devices.exists(*values.resolve(word)) if option in {"-e", "-f", "-s"} else None


def _compared(left: str, comparison: str, right: str) -> bool | None:
    if comparison in {"=", "==", "!="}:
        return (left == right) == (comparison != "!=")
    compare = _NUMBERS.get(comparison)
    if compare and left.isdecimal() and right.isdecimal() and len(left + right) < _LONGEST_TEST:
        return compare(int(left), int(right))
    return None
