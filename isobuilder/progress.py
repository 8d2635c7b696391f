"""How long work tells that it is alive. The rooms know this protocol only; `console.py` shows it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Expected:
    """A stage that will come: `total` bytes, None where it is not measured in bytes or nobody knows yet."""

    title: str
    total: int | None = None


class Progress(Protocol):
    """Somebody who listens while work is done."""

    def task(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """A stretch of work of `total` bytes; call what the context gives with the bytes done since the last call.

        Any thread may call it.
        """
        ...

    def stretch(self, title: str) -> AbstractContextManager[None]:
        """A stretch of work that is not measured in bytes."""
        ...

    def expect(self, stages: Sequence[Expected]) -> None:
        """These stretches will come, in this order."""
        ...

    def doing(self, what: str, done: int = 0, of: int = 0, *, stage: str = "") -> None:
        """What the work that goes on waits for, and how many things are `done` of all. Any thread may call it.

        `stage` is the title of the stretch that it is said of; without one it is the one that began last.
        """
        ...

    def note(self, line: str) -> None:
        """One line that is worth telling."""
        ...

    def warning(self, line: str) -> None:
        """One line that must be told."""
        ...


class Silent:
    """Nobody listens."""

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        yield lambda _done: None

    @contextmanager
    def stretch(self, title: str) -> Iterator[None]:  # noqa: ARG002
        yield

    def expect(self, stages: Sequence[Expected]) -> None:
        pass

    def doing(self, what: str, done: int = 0, of: int = 0, *, stage: str = "") -> None:
        pass

    def note(self, line: str) -> None:
        pass

    def warning(self, line: str) -> None:
        pass


@dataclass(frozen=True)
class Timing:
    """How many seconds a stretch of work took, of how many bytes; None where it is not measured in bytes.

    `inside` is the title of a stretch that it was a part of, "" for none. Stretches that are no parts may have gone on
    side by side.
    """

    title: str
    seconds: float
    size: int | None = None
    inside: str = ""


class Timed:
    """Tells another listener, and keeps how long each stretch of work took; several of one title count together.

    What was expected is no part of anything; all else is one of what it began in. Any thread may begin a stretch.
    """

    def __init__(self, listener: Progress, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._listener = listener
        self._clock = clock
        self._began = clock()
        self._timings: dict[str, Timing] = {}
        self._expected: set[str] = set()
        self._open: list[str] = []
        self._busy_since = self._began
        self._busy = 0.0
        self._lock = threading.Lock()

    @property
    def timings(self) -> tuple[Timing, ...]:
        """The stretches in the order in which they began."""
        return tuple(self._timings.values())

    @property
    def seconds(self) -> float:
        """Since this began."""
        return self._clock() - self._began

    @property
    def busy(self) -> float:
        """The seconds of these in which any stretch was open."""
        with self._lock:
            return self._busy + (self._clock() - self._busy_since if self._open else 0.0)

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        with self._timed(title, total), self._listener.task(title, total) as advance:
            yield advance

    @contextmanager
    def stretch(self, title: str) -> Iterator[None]:
        with self._timed(title, None), self._listener.stretch(title):
            yield

    def expect(self, stages: Sequence[Expected]) -> None:
        self._expected.update(stage.title for stage in stages)
        self._listener.expect(stages)

    def doing(self, what: str, done: int = 0, of: int = 0, *, stage: str = "") -> None:
        self._listener.doing(what, done, of, stage=stage)

    def note(self, line: str) -> None:
        self._listener.note(line)

    def warning(self, line: str) -> None:
        self._listener.warning(line)

    @contextmanager
    def _timed(self, title: str, size: int | None) -> Iterator[None]:
        began = self._begun(title)
        try:
            yield
        finally:
            self._ended(title, self._clock() - began, size)

    def _begun(self, title: str) -> float:
        now = self._clock()
        with self._lock:
            inside = self._open[-1] if self._open and title not in self._expected else ""
            self._timings.setdefault(title, Timing(title, 0.0, inside=inside))
            if not self._open:
                self._busy_since = now
            self._open.append(title)
        return now

    def _ended(self, title: str, seconds: float, size: int | None) -> None:
        with self._lock:
            self._open.remove(title)
            if not self._open:
                self._busy += self._clock() - self._busy_since
            before = self._timings[title]
            bytes_done = before.size if size is None else (before.size or 0) + size
            self._timings[title] = replace(before, seconds=before.seconds + seconds, size=bytes_done)


def since_start() -> float:
    """How many seconds ago this process began, as far as the system says."""
    with suppress(OSError, ValueError, IndexError):
        # proc(5): behind the name in parentheses, field 22 is the start after the boot, in ticks of 1/100 s.
        ticks = int(
            Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
        )
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / 100)
    return 0.0


def timing_lines(timed: Timed, start: float) -> Iterator[str]:
    """Where the time went, a line for each stretch, its parts further in; `start` seconds were gone before.

    What went on side by side makes more together than it took.
    """
    from rich import filesize

    timings, seconds = timed.timings, timed.seconds
    total = seconds + start
    outer = [timing for timing in timings if not timing.inside]
    rest = seconds - timed.busy
    rows = [Timing("Start and definition", start)]
    for timing in outer:
        rows.append(timing)
        rows += [replace(part, title=f"  {part.title}") for part in timings if part.inside == timing.title]
    rows += [Timing("Between them", rest), Timing("All", total)]
    for row in rows:
        pace = ""
        if row.size:
            pace = f"  {filesize.decimal(row.size)}"
            pace += f", {filesize.decimal(int(row.size / row.seconds))}/s" if row.seconds > 0.01 else ""
        yield f"{row.title:<24}{row.seconds:8.2f} s {row.seconds / total if total else 0:5.0%}{pace}"
