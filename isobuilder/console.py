"""What a person or a log sees: progress and errors on stderr, results on stdout.

The only room besides the command line that touches the terminal. On a terminal it draws; elsewhere it writes plain
lines, one for each stage, and a heartbeat while long work goes on.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console as Terminal
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from isobuilder.board import Board, Stage, finished, heartbeat
from isobuilder.errors import IsobuilderError
from isobuilder.progress import Expected

HEARTBEAT_SECONDS = 30.0
_FRAMES = 4
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
        self._board = Board()
        self._displays = 0
        self._lock = threading.Lock()
        self._said = 0.0

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
            text = _plain(detail)
            # What is broken for a terminal stands further in than a finding's first line.
            lines = text.wrap(self._err, self._err.width - 4) if self._err.is_terminal else [text]
            for number, line in enumerate(lines):
                line.rstrip()
                self._err.print(Text.assemble("    " if number else "  ", line))
        if error.hint:
            self._err.print(Text.assemble(("hint: ", "bold"), _plain(error.hint)))

    def expect(self, stages: Sequence[Expected]) -> None:
        self._board.expect(stages)

    def doing(self, what: str, done: int = 0, of: int = 0, *, stage: str = "") -> None:
        self._board.doing(_plain(what).plain, done, of, stage)

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        with self._running(title, total) as stage:
            yield lambda count: self._board.advance(stage, count)

    @contextmanager
    def stretch(self, title: str) -> Iterator[None]:
        with self._running(title, None):
            yield

    @contextmanager
    def display(self) -> Iterator[None]:
        """One display of all that goes on meanwhile; on a terminal drawn anew all the time, in a log a heartbeat."""
        with self._lock:
            self._displays += 1
            is_outer = self._displays == 1
        try:
            if not is_outer or self._quiet:
                yield
            elif self._err.is_terminal:
                with Live(get_renderable=self._drawn, console=self._err, refresh_per_second=_FRAMES):
                    yield
            else:
                with self._timer(self._beat):
                    yield
        finally:
            with self._lock:
                self._displays -= 1
                if not self._displays:
                    self._board = Board()

    @contextmanager
    def _running(self, title: str, total: int | None) -> Iterator[Stage]:
        with self.display():
            board = self._board
            self._said = self._clock()
            stage = board.begin(title, total, self._clock())
            try:
                yield stage
            finally:
                board.end(stage, self._clock())
                self._said = self._clock()
            if not self._err.is_terminal:
                self.note(finished(stage))

    def _drawn(self) -> RenderableType:
        return Text("\n".join(self._board.rows(self._clock(), self._err.width)), no_wrap=True)

    def _beat(self) -> None:
        """Not by what advances: a log should show that work which stands still is alive."""
        now = self._clock()
        running = self._board.look(now)
        if running and now - self._said >= HEARTBEAT_SECONDS:
            self._said = now
            for stage in running:
                self.note(heartbeat(stage, now))


def _plain(line: str) -> Text:
    """`line` as text without control characters: servers and files have a say in messages, terminals obey them."""
    return Text("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line))
