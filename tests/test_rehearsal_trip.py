"""A machine's way along a console that is played to it: what is reached, what is typed, and where it ends."""

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from isobuilder.boot.menu import BootMenu, MenuLine
from isobuilder.boot.serialconsole import Heard, SerialConsole
from isobuilder.boot.vm import VirtualMachine
from isobuilder.progress import Silent
from isobuilder.rehearsal.milestones import LIMITS, Milestone, stages
from isobuilder.rehearsal.topology import MachineWish, Typed
from isobuilder.rehearsal.trip import Start, Trip

LINE = MenuLine("nc", "Install a node controller", (1,), "console=ttyS0")
START = Start(BootMenu((LINE, MenuLine("local", "Start the local disk", (0,))), "local", 0), LINE, 0)
INSTALLED = (
    "Start the local disk\r\n",
    "Command line: console=ttyS0\r\n",
    "isobuilder: reached kickstart nc\r\n",
    "isobuilder: reached installed nc\r\n",
    "Start the local disk\r\n",
)


class Player:
    """Says a piece each time that it is listened to, a second after the one before; then it ends, or goes on silent."""

    def __init__(self, *pieces: str, ends: bool = False) -> None:
        self._pieces = list(pieces)
        self._console = SerialConsole(None)
        self._ends = ends
        self.seconds = 0.0
        self.chosen: list[str] = []
        self.typed: list[str] = []

    @property
    def ended(self) -> bool:
        return self._ends and not self._pieces

    @property
    def last_lines(self) -> tuple[str, ...]:
        return tuple(line for line in self._console.text.splitlines() if line)

    def expect(self, patterns: Sequence[re.Pattern[str]], timeout: float) -> Heard | None:
        if heard := self._console.find(patterns):
            return heard
        self.seconds += 1 if self._pieces else max(timeout, 1)
        if self._pieces:
            self._console.feed(self._pieces.pop(0).encode())
        return self._console.find(patterns)

    def rest(self, seconds: float) -> None:
        self.seconds += seconds
        while self._pieces and self._pieces[0].startswith("  "):
            self._console.feed(self._pieces.pop(0).encode())

    def choose(self, line: MenuLine) -> None:
        self.chosen.append(line.id)

    def type(self, text: str) -> None:
        self.typed.append(text)


def went(player: Player, until: Milestone = "checked", typed: tuple[Typed, ...] = (), *, stopped: bool = False) -> Trip:
    stop = threading.Event()
    if stopped:
        stop.set()
    wish = MachineWish(name="node", role="nc", until=until, typed=typed)
    trip = Trip(wish, stages(until, installs=True), dict(LIMITS), stop, Silent(), Path())
    trip.follow(cast("VirtualMachine", player), START)
    return trip


def test_a_whole_way_reaches_everything_and_chooses_once() -> None:
    player = Player(*INSTALLED, "isobuilder: reached configured\r\n", "node login: ", "isobuilder: reached checked\r\n")
    trip = went(player)
    assert trip.failed is None
    assert list(trip.reached) == [
        *("menu", "kernel", "kickstart", "installed", "rebooted"),
        *("configured", "login", "checked"),
    ]
    assert player.chosen == ["nc"]
    assert trip.reached["menu"] < trip.reached["checked"] == player.seconds


def test_somebody_types_after_the_login_prompt_and_not_before() -> None:
    steps = (Typed(expect="", send="root"), Typed(expect="Password", send="secret"))
    early = Player(*INSTALLED, "Password: \r\n")
    assert went(early, "login", steps).failed == "login"
    assert early.typed == []
    player = Player(*INSTALLED, "node login: ", "Password: ", "isobuilder: reached configured\r\n")
    assert went(player, "configured", steps).failed is None
    assert player.typed == ["root\n", "secret\n"]


@pytest.mark.parametrize(
    ("piece", "milestone", "cause"),
    [
        ("isobuilder: failed kickstart: no disk matches\r\n", "kickstart", "no disk matches"),
        ("Kernel panic - not syncing: VFS\r\n", "kickstart", "Kernel panic - not syncing"),
        ("isobuilder: failed checked: host name\r\n", "checked", "host name"),
    ],
)
def test_a_line_after_which_nothing_good_comes_ends_it(piece: str, milestone: Milestone, cause: str) -> None:
    player = Player(*INSTALLED[:2], piece, "isobuilder: reached kickstart nc\r\n")
    trip = went(player)
    assert trip.failed == milestone
    assert cause in trip.cause
    assert "kickstart" not in trip.reached


def test_the_cause_that_follows_a_fatal_line_is_told() -> None:
    said = "The following problem occurred on line 9 of the kickstart file:\r\n\r\n"
    trip = went(Player(*INSTALLED[:3], said, "  Unknown command: timezoan\r\n"))
    assert trip.failed == "kickstart"
    assert "occurred on line 9 of the kickstart file: Unknown command: timezoan" in trip.cause


def test_one_that_says_nothing_more_is_lost_at_its_limit_with_its_last_words() -> None:
    player = Player(*INSTALLED[:2], "practice: storage\r\n")
    trip = went(player)
    assert trip.failed == "kickstart"
    assert trip.cause == f"not seen within {LIMITS['kickstart']:.0f} s; the last words: 'practice: storage'"
    assert LIMITS["kickstart"] <= player.seconds < LIMITS["kickstart"] + 10


def test_one_that_switches_itself_off_is_lost_at_once_with_its_last_words() -> None:
    player = Player(
        *INSTALLED[:3], "practice: FAILED storage: too small\r\n[   13.2] reboot: Power down\r\n", ends=True
    )
    trip = went(player)
    assert trip.failed == "installed"
    assert "switched itself off" in trip.cause
    assert "practice: FAILED storage: too small" in trip.cause
    assert player.seconds < 10


def test_another_roles_marker_is_not_this_ones() -> None:
    assert went(Player(*INSTALLED[:2], "isobuilder: reached kickstart ncx\r\n")).failed == "kickstart"


def test_one_that_is_stopped_says_so() -> None:
    assert went(Player(INSTALLED[0]), stopped=True).cause == "the rehearsal was stopped"
