"""One machine's way, from milestone to milestone: what its console shows, and what a person would do there."""

import contextlib
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

from isobuilder.boot.menu import BootMenu, MenuLine
from isobuilder.boot.vm import VirtualMachine
from isobuilder.errors import BootError
from isobuilder.progress import Progress
from isobuilder.rehearsal.milestones import Milestone, Sign, failure, last_words, signs
from isobuilder.rehearsal.topology import MachineWish
from isobuilder.rehearsal.verdict import Way

CONSOLE_LOG, SCREEN = "console.log", "screen.png"
# How often a machine that says nothing is asked whether it should stop.
SLICE = 0.5
# What is said after a fatal line often names the cause.
LAST_WORDS_SECONDS = 2.0


@dataclass(frozen=True)
class Start:
    """What a machine starts: the menu, its entry on the serial console, and that console's port."""

    menu: BootMenu
    line: MenuLine
    serial_port: int


@dataclass
class Trip:
    """One machine's way as it goes."""

    machine: MachineWish
    groups: tuple[tuple[Milestone, ...], ...]
    limits: dict[Milestone, float]
    stop: threading.Event
    progress: Progress
    home: Path
    reached: dict[Milestone, float] = field(default_factory=dict)
    failed: Milestone | None = None
    cause: str = ""
    last_lines: tuple[str, ...] = ()
    screen: Path | None = None

    @property
    def waiting_for(self) -> Milestone:
        """The first milestone that is not reached yet."""
        wanted = [each for group in self.groups for each in group]
        return next((each for each in wanted if each not in self.reached), wanted[-1])

    def follow(self, vm: VirtualMachine, start: Start) -> None:
        """Follow the console from group to group, and do at each what a person would do there."""
        typed = list(self.machine.typed)
        for group in self.groups:
            pending = list(group)
            began = vm.seconds
            while pending:
                until = began + self.limits[pending[0]]
                step = typed[0] if typed and "login" in self.reached else None
                seen = self._next(vm, start, pending, re.compile(step.expect) if step else None, until)
                if self.failed:
                    return
                if seen is None and step:
                    typed.pop(0)
                    vm.type(f"{step.send}\n")
                elif seen:
                    pending.remove(seen)
                    began = vm.seconds
                    self.reached[seen] = began
                    self.progress.note(f"{self.machine.name}: {began:5.0f} s: {seen}")
                    if seen == "menu" and start.line.kernel_line is not None:
                        vm.choose(start.line)

    def _next(
        self,
        vm: VirtualMachine,
        start: Start,
        pending: list[Milestone],
        typing: re.Pattern[str] | None,
        until: float,
    ) -> Milestone | None:
        """The next milestone that the console shows; None when something is to be typed, or the machine is lost."""
        looked_for = signs(pending, menu=start.menu.shows, role=self.machine.role)
        patterns = [sign.pattern for sign in looked_for]
        while True:
            left = until - vm.seconds
            heard = vm.expect([*patterns, *([typing] if typing else [])], min(SLICE, left))
            if heard and heard.index == len(patterns):
                return None
            if heard:
                return self._heard(vm, looked_for[heard.index], heard.match, pending[0])
            if self.stop.is_set():
                self.lose(pending[0], "the rehearsal was stopped")
                return None
            if vm.ended:
                words = last_words(vm.last_lines)
                self.lose(pending[0], f"the machine switched itself off; its last words: {words!r}")
                return None
            if left <= 0:
                words = last_words(vm.last_lines)
                limit = f"{self.limits[pending[0]]:.0f} s"
                self.lose(pending[0], f"not seen within {limit}; the last words: {words!r}")
                return None

    def _heard(self, vm: VirtualMachine, sign: Sign, match: re.Match[str], waiting_for: Milestone) -> Milestone | None:
        if sign.fatal:
            vm.rest(LAST_WORDS_SECONDS)
            self.lose(*failure(match, waiting_for, vm.last_lines))
        return sign.milestone

    def lose(self, milestone: Milestone, cause: str) -> None:
        """Note where the way ended, and why."""
        self.failed, self.cause = milestone, cause
        self.progress.note(f"{self.machine.name}: {milestone} failed: {cause}")

    def look_back(self, vm: VirtualMachine) -> None:
        """Take the last lines and a picture."""
        self.last_lines = vm.last_lines
        if not vm.ended:
            with contextlib.suppress(BootError):
                vm.screenshot(self.home / SCREEN)
                self.screen = self.home / SCREEN

    def way(self) -> Way:
        return Way(
            self.machine.name,
            self.machine.role,
            self.machine.firmware,
            tuple(each for group in self.groups for each in group),
            self.reached,
            self.failed,
            self.cause,
            self.last_lines,
            self.home / CONSOLE_LOG,
            self.screen,
        )
