"""How far work has come, as values and as lines: its stages, bytes, speed, and the time that is left.

Nothing is drawn here and no clock is read: `console.py` does both.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich import filesize

from isobuilder.progress import Expected

# Speed is that of the last so many seconds: what was an hour ago says nothing about the time that is left.
_WINDOW: Final = 15.0
# Before that, any time left would be a guess.
_SURE: Final = 3.0
# So long without a byte is told as standing still.
_STILL: Final = 5.0
_BAR: Final = 12


@dataclass
class Stage:
    """One stage. `total` in bytes, None where it is not measured in them; `began` and `ended` in seconds.

    What was not `expected` is a part of something else. `things` are done, of `of_things` (0: nobody counts them).
    """

    title: str
    total: int | None = None
    expected: bool = False
    done: int = 0
    began: float | None = None
    ended: float | None = None
    seconds: float = 0.0
    waits_for: str = ""
    things: int = 0
    of_things: int = 0
    _seen: deque[tuple[float, int, int]] = field(default_factory=deque)
    _moved: float = 0.0

    def begin(self, now: float, total: int | None) -> None:
        """Begin, or begin again: what comes after belongs to the same stage."""
        self.began, self.ended = now, None
        self.total = total if self.seconds == 0 or total is None else (self.total or 0) + total
        self._seen.clear()
        self._moved = now

    def advance(self, count: int) -> None:
        self.done += count

    def end(self, now: float) -> None:
        self.seconds += now - (now if self.began is None else self.began)
        self.ended = now
        self.waits_for = ""

    def look(self, now: float) -> None:
        """Remember how far it is now; to be called now and then."""
        if not self._seen or self._seen[-1][1] != self.done:
            self._moved = now
        self._seen.append((now, self.done, self.things))
        while now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()

    def speed(self) -> float | None:
        """Bytes in a second over the last seconds; None where that would be a guess."""
        if len(self._seen) < 2 or self._seen[-1][0] - self._seen[0][0] < _SURE:
            return None
        return self._pace(1)

    def still(self, now: float) -> float:
        """Seconds since the last byte; 0 while bytes come."""
        idle = now - self._moved
        return idle if self.total and self.done < self.total and idle >= _STILL else 0.0

    def left(self, now: float) -> float | None:
        """Seconds that are left at this speed; None where nobody can know."""
        speed = self.speed()
        if not self.total or not speed or self.still(now):
            return None
        left = (self.total - self.done) / speed
        if self.of_things and (things := self._pace(2)):
            # Many small files take the time of their requests, and not of their bytes.
            left = max(left, (self.of_things - self.things) / things)
        return max(0.0, left)

    def _pace(self, which: int) -> float:
        first, last = self._seen[0], self._seen[-1]
        return (last[which] - first[which]) / (last[0] - first[0])


class Board:
    """The stages of the work, those that are known to come among them. Any thread may advance them."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self._running: list[Stage] = []
        self._lock = threading.Lock()

    def expect(self, stages: Sequence[Expected]) -> None:
        """These will come, in this order; of those that are there already the total is set."""
        with self._lock:
            for expected in stages:
                known = next((stage for stage in self.stages if stage.title == expected.title), None)
                if known is None:
                    self.stages.append(Stage(expected.title, expected.total, expected=True))
                elif known.began is None:
                    known.total = expected.total

    def begin(self, title: str, total: int | None, now: float) -> Stage:
        with self._lock:
            stage = next((each for each in self.stages if each.title == title), None)
            if stage is None:
                stage = Stage(title)
                # One that nobody expected stands with those that have begun.
                begun = [number for number, each in enumerate(self.stages) if each.began is not None]
                self.stages.insert(begun[-1] + 1 if begun else 0, stage)
            stage.begin(now, total)
            self._running.append(stage)
        return stage

    def advance(self, stage: Stage, count: int) -> None:
        with self._lock:
            stage.advance(count)

    def end(self, stage: Stage, now: float) -> None:
        with self._lock:
            stage.end(now)
            self._running.remove(stage)

    def doing(self, what: str, done: int, of: int, title: str = "") -> None:
        """What the stage `title` waits for, or the one that began last, and how many things it has done of all."""
        with self._lock:
            for stage in self._running[::-1]:
                if title in {"", stage.title}:
                    stage.waits_for, stage.things, stage.of_things = what, done, of
                    return

    def look(self, now: float) -> Sequence[Stage]:
        """The stages that run side by side, looked at now; what goes on inside one stands for it."""
        with self._lock:
            parts = [stage for stage in self._running if not stage.expected]
            running = parts[-1:] or self._running[:]
            for stage in running:
                stage.look(now)
            return running

    def rows(self, now: float, width: int) -> Iterator[str]:
        """What a terminal of `width` columns shows: a line for each stage, and one for what is waited for."""
        running = self.look(now)
        numbered = [each for each in self.stages if each.expected]
        for each in self.stages:
            place = f"{numbered.index(each) + 1}/{len(numbered)} " if each.expected else "    " if numbered else ""
            yield _fitted(place + _row(each, now), width)
        for stage in running:
            if stage.waits_for:
                yield _fitted(f"    {_waiting(stage)}", width)


def finished(stage: Stage) -> str:
    """One line for a log, once a stage is over."""
    said = f"{stage.title}: "
    if stage.total is not None:
        said += f"{filesize.decimal(stage.done)} in "
    said += f"{stage.seconds:.1f} s"
    if stage.done and stage.seconds >= 1:
        said += f", {filesize.decimal(int(stage.done / stage.seconds))}/s"
    return said


def heartbeat(stage: Stage, now: float) -> str:
    """One line for a log, while a stage goes on."""
    since = now - (now if stage.began is None else stage.began)
    parts = [f"{stage.title}: {since:.0f} s so far"]
    if stage.total is not None:
        parts = [f"{stage.title}: {filesize.decimal(stage.done)} of {filesize.decimal(stage.total)}"]
        parts += [_pace(stage, now)] if _pace(stage, now) else []
    if stage.waits_for:
        parts.append(_waiting(stage))
    return "; ".join(parts)


def _waiting(stage: Stage) -> str:
    counted = f"{stage.things} of {stage.of_things} are here; " if stage.of_things else ""
    return f"{counted}waiting for {stage.waits_for}"


def _row(stage: Stage, now: float) -> str:
    head = f"{stage.title:<21} "
    if stage.began is None:
        return head + (filesize.decimal(stage.total) if stage.total else "")
    if stage.ended is not None:
        return head + finished(stage).partition(": ")[2]
    if stage.total is None:
        return f"{head}{now - stage.began:.0f} s so far"
    part = min(1.0, stage.done / stage.total) if stage.total else 1.0
    filled = int(part * _BAR)
    bar = "#" * filled + "-" * (_BAR - filled)
    return f"{head}[{bar}] {_of(stage.done, stage.total)} {_pace(stage, now)}"


def _of(done: int, total: int) -> str:
    """Both in the unit of the larger: 150.0/290.5 MB."""
    unit, suffix = filesize.pick_unit_and_suffix(total, ["bytes", "kB", "MB", "GB", "TB"], 1000)
    places = 0 if unit == 1 else 1
    return f"{done / unit:.{places}f}/{total / unit:.{places}f} {suffix}"


def _pace(stage: Stage, now: float) -> str:
    if still := stage.still(now):
        return f"nothing came for {still:.0f} s"
    speed, left = stage.speed(), stage.left(now)
    said = f"{filesize.decimal(int(speed))}/s" if speed else ""
    return f"{said}, {_clock(left)} left" if left is not None else said


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _fitted(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 3]}..."
