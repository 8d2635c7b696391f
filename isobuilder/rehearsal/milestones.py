"""How far a machine is on its way, and the words on its serial console that show it. Data, and the reading of it.

The markers are printed by isobuilder's own kickstarts (kickstarts/parts/reached.sh.j2) and by the wizard, so they are
the same on every release. What the installer and the kernel say stands with its source in `boot.check`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from isobuilder.boot.check import FATAL, KERNEL_STARTED

Milestone = Literal["menu", "kernel", "kickstart", "installed", "rebooted", "login", "configured", "checked"]
MILESTONES: tuple[Milestone, ...] = get_args(Milestone)

# Seconds from one milestone to the next with KVM; these are limits, and no expectations.
LIMITS: dict[Milestone, float] = {
    "menu": 60,
    "kernel": 60,
    "kickstart": 180,
    "installed": 1800,
    "rebooted": 180,
    "login": 300,
    "configured": 900,
    "checked": 600,
}
# What a translated processor takes more.
SLOWER = 3.0

# Of an entry that starts the local disk: nothing is installed.
_OF_A_DISK: tuple[Milestone, ...] = ("menu", "login", "configured", "checked")
# The wizard works while the login prompt comes, so these come in any order.
_IN_ANY_ORDER: frozenset[Milestone] = frozenset({"login", "configured", "checked"})

# getty's prompt, behind a host name; not what login says of the last one.
LOGIN = r"(?:^|\n)(?!Last )[A-Za-z0-9][A-Za-z0-9.-]{0,252} login:"
# To the end of the line, since a cause that is cut says nothing.
FAILED = r"isobuilder: failed ([a-z]+): ([^\n]*)\n"
# Anaconda reads a kickstart after its %pre has said that it is there.
_OF_A_KICKSTART = re.compile("The following (?:error|problem) occurred")
_CAUSE_LINES = 4
# What the kernel says is no last word of whoever made it stop.
_KERNEL_LINE = re.compile(r"\[ *[0-9]+\.[0-9]+\] ")


@dataclass(frozen=True)
class Sign:
    """What is looked for: a milestone that is reached, or with `fatal` a line after which none is."""

    pattern: re.Pattern[str]
    milestone: Milestone | None
    fatal: bool = False


def stages(until: Milestone, *, installs: bool) -> tuple[tuple[Milestone, ...], ...]:
    """The milestones up to `until` in groups that come one after the other; those of a group come in any order."""
    way = MILESTONES if installs else _OF_A_DISK
    way = tuple(each for each in way if MILESTONES.index(each) <= MILESTONES.index(until))
    together = tuple(each for each in way if each in _IN_ANY_ORDER)
    alone = tuple((each,) for each in way if each not in _IN_ANY_ORDER)
    return (*alone, together) if together else alone


def signs(wanted: Sequence[Milestone], *, menu: str, role: str) -> tuple[Sign, ...]:
    """What to look for: the `wanted` milestones, and everything that is fatal.

    `menu` are words that the menu shows, `role` is the role's id, by which its kickstart calls it.
    """
    lost = [Sign(re.compile(FAILED), None, fatal=True), *(Sign(re.compile(each), None, fatal=True) for each in FATAL)]
    return (*(Sign(re.compile(_words(each, menu, role)), each) for each in wanted), *lost)


def _words(milestone: Milestone, menu: str, role: str) -> str:
    match milestone:
        case "menu":
            return re.escape(menu)
        case "kernel":
            return KERNEL_STARTED
        case "rebooted":
            # A firmware may start the disk by itself, and then there is no menu.
            return f"{re.escape(menu)}|{KERNEL_STARTED}"
        case "login":
            return LOGIN
        case "kickstart" | "installed":
            return rf"isobuilder: reached {milestone} {re.escape(role)}\r*\n"
        case "configured" | "checked":
            return rf"isobuilder: reached {milestone}\b"


def failure(match: re.Match[str], waiting_for: Milestone, lines: Sequence[str] = ()) -> tuple[Milestone, str]:
    """The milestone that a fatal line is about, and its cause. `lines` are the console's last: the cause may follow."""
    found = re.fullmatch(FAILED, match[0])
    if found:
        named = next((each for each in MILESTONES if each == found[1]), waiting_for)
        return named, found[2].strip() or "no cause is said"
    said = " ".join(match[0].split())
    at = next((number for number in reversed(range(len(lines))) if said in " ".join(lines[number].split())), None)
    if at is not None:
        said = " ".join(line.strip() for line in lines[at : at + _CAUSE_LINES] if not _KERNEL_LINE.match(line)) or said
    milestone: Milestone = "kickstart" if _OF_A_KICKSTART.match(match[0]) else waiting_for
    return milestone, f"the console shows {said[:300]!r}"


def last_words(lines: Sequence[str]) -> str:
    """The last line that is not the kernel's."""
    return next((line.strip() for line in reversed(lines) if not _KERNEL_LINE.match(line)), "")
