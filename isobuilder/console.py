"""What a person or a log sees: progress and errors on stderr, results on stdout.

The only room besides the command line that touches the terminal. On a terminal it draws; elsewhere it writes plain
lines, and a heartbeat while long work goes on.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich import filesize
from rich.console import Console as Terminal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column
from rich.text import Text

from isobuilder.errors import IsobuilderError

HEARTBEAT_SECONDS = 30.0
# Calls what it is given again and again while its context lasts.
Timer = Callable[[Callable[[], None]], AbstractContextManager[None]]


@contextmanager
def every_second(call: Callable[[], None]) -> Iterator[None]:
    """The `Timer` of a real console, in a thread of its own."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(1.0):
            call()

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Console:
    """Implements `progress.Progress` on stderr, and prints results on stdout."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        out: Terminal | None = None,
        err: Terminal | None = None,
        clock: Callable[[], float] = time.monotonic,
        timer: Timer = every_second,
    ) -> None:
        self._timer = timer
        self._quiet = quiet
        self._out = out or Terminal(highlight=False)
        self._err = err or Terminal(stderr=True, highlight=False)
        for stream in (self._out, self._err):
            # A terminal gets lines that break between words; in a log a line stays one, however long it is.
            stream.soft_wrap = not stream.is_terminal
        self._clock = clock

    def note(self, line: str) -> None:
        if not self._quiet:
            self._err.print(_plain(line))

    def warning(self, line: str) -> None:
        """A line that even a quiet run shows."""
        self._err.print(Text.assemble(("warning: ", "bold yellow"), _plain(line)))

    def result(self, line: str) -> None:
        self._out.print(_plain(line))

    def error(self, error: IsobuilderError) -> None:
        """The failure, all of its findings, and what to do."""
        self._err.print(Text.assemble(("error: ", "bold red"), _plain(error.message)))
        for detail in error.details:
            self._err.print(Text.assemble("  ", _plain(detail)))
        if error.hint:
            self._err.print(Text.assemble(("hint: ", "bold"), _plain(error.hint)))

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        if self._quiet:
            yield lambda _done: None
        elif self._err.is_terminal:
            with self._drawn(title, total) as advance:
                yield advance
        else:
            with self._plain(title, total) as advance:
                yield advance

    @contextmanager
    def _drawn(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        columns = (
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=None),
            DownloadColumn(table_column=Column(no_wrap=True)),
            TransferSpeedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
        )
        with Progress(*columns, console=self._err) as progress:
            task = progress.add_task(title, total=total)
            yield lambda done: progress.advance(task, done)

    @contextmanager
    def _plain(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        lock = threading.Lock()
        began = said = self._clock()
        seen = 0
        self.note(f"{title}: {filesize.decimal(total)}")

        def advance(done: int) -> None:
            nonlocal seen
            with lock:
                seen += done

        def beat() -> None:
            nonlocal said
            with lock:
                now = self._clock()
                if now - said >= HEARTBEAT_SECONDS:
                    said = now
                    self.note(f"{title}: {filesize.decimal(seen)} of {filesize.decimal(total)}")

        # Not by what advances: a log should show that work which stands still is alive.
        with self._timer(beat):
            yield advance
        self.note(f"{title}: done in {self._clock() - began:.1f} s")


def _plain(line: str) -> Text:
    """`line` as text without control characters: servers and files have a say in messages, terminals obey them."""
    return Text("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line))
