"""Runs that take turns, their medians, and what a row of the table says of them."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Cost:
    """What a run cost: seconds on the clock, and seconds of all processors (those of who was waited for)."""

    wall: float
    cpu: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.wall - other.wall, self.cpu - other.cpu)


Measure = Callable[[], Cost]


@dataclass(frozen=True)
class Size:
    """How much is measured: `rounds` of each, and a part of the full size from 0 to 1."""

    rounds: int = 5
    part: float = 1.0

    @property
    def is_full(self) -> bool:
        return self.part == 1.0

    def of(self, count: int, least: int = 1) -> int:
        return max(least, int(count * self.part))


@dataclass(frozen=True)
class Figure:
    """One row: `ours` and `theirs` in `unit`, by run; `limit` is what ours divided by theirs may be.

    Without `theirs`, the limit is on ours itself. `note` says what was compared.
    """

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    limit: float
    note: str
    unit: str = "s"
    cpu: tuple[float, float] | None = None

    @classmethod
    def of(cls, name: str, ours: Sequence[Cost], theirs: Sequence[Cost], limit: float, note: str) -> "Figure":
        """A row of times; `cpu` has the medians of the processors' seconds, which other loads change less."""
        return cls(
            name,
            tuple(each.wall for each in ours),
            tuple(each.wall for each in theirs),
            limit,
            note,
            cpu=(median(each.cpu for each in ours), median(each.cpu for each in theirs) if theirs else 0.0),
        )

    @property
    def value(self) -> float:
        """The ratio of the medians, or the median where there is nothing to compare with."""
        return median(self.ours) / median(self.theirs) if self.theirs else median(self.ours)

    @property
    def is_met(self) -> bool:
        return self.value <= self.limit


@dataclass
class Children:
    """Processes of a row: each has the time that it took; `peak` is the most memory that any of them had, in bytes."""

    environ: dict[str, str] = field(default_factory=dict)
    peak: int = 0

    def run(self, words: Sequence[str | Path], *, cwd: Path | None = None, log: Path | None = None) -> Cost:
        """What a process cost; its output goes to `log`. Raises RuntimeError when it fails."""
        output = log.open("wb") if log else subprocess.DEVNULL
        began = time.perf_counter()
        process = subprocess.Popen(
            [os.fspath(word) for word in words],
            cwd=cwd,
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if log else subprocess.DEVNULL,
        )
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(process.pid, ended))
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        watch.join()
        if not isinstance(output, int):
            output.close()
        if process.returncode:
            said = log.read_text(errors="replace")[-2000:] if log else ""
            raise RuntimeError(f"{' '.join(map(str, words[:4]))} ended with {process.returncode}: {said}")
        return Cost(seconds, used.ru_utime + used.ru_stime)

    def _watch(self, number: int, ended: threading.Event) -> None:
        """Ask for the most memory again and again: what the kernel says at the end includes that of who started it."""
        while not ended.wait(0.02):
            try:
                status = Path(f"/proc/{number}/status").read_text()
            except OSError:
                return
            if found := re.search(r"^VmHWM:\s+([0-9]+) kB$", status, re.MULTILINE):
                self.peak = max(self.peak, int(found[1]) << 10)


def in_turns(rounds: int, *measures: Measure) -> list[tuple[Cost, ...]]:
    """The figures of each of `measures`, which take turns; one turn before is for the caches, and does not count."""
    for measure in measures:
        measure()
    taken = [[measure() for measure in measures] for _ in range(rounds)]
    return [tuple(each) for each in zip(*taken, strict=True)]
