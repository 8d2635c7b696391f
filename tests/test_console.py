"""What is drawn on a terminal, and what a log gets."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console as Terminal

from isobuilder.console import Console, Timer, every_second
from isobuilder.errors import DefinitionError


def console(
    *, terminal: bool = False, quiet: bool = False, clock: list[float] | None = None, timer: Timer = every_second
) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    err = Terminal(file=text, force_terminal=terminal, soft_wrap=True, highlight=False, width=80)
    ticks = iter(clock or [])
    return Console(quiet=quiet, out=err, err=err, clock=lambda: next(ticks, 0.0), timer=timer), text


def test_an_error_shows_all_findings_and_the_hint() -> None:
    out, text = console()
    long = "x" * 200
    out.error(DefinitionError("two mistakes [bold]", details=["first [red]", long], hint="mend them"))
    assert text.getvalue() == f"error: two mistakes [bold]\n  first [red]\n  {long}\nhint: mend them\n"


def test_a_log_gets_plain_lines_and_a_heartbeat() -> None:
    beats: list[Callable[[], None]] = []

    @contextmanager
    def timer(beat: Callable[[], None]) -> Iterator[None]:
        beats.append(beat)
        yield

    out, text = console(clock=[0.0, 29.0, 31.0, 32.0, 62.0, 90.0], timer=timer)
    with out.task("Packages", 4_000_000) as advance:
        [beat] = beats
        advance(1_000_000)
        beat()
        advance(1_000_000)
        beat()
        beat()
        # Nothing came, and that is told too.
        beat()
    assert text.getvalue().splitlines() == [
        "Packages: 4.0 MB",
        "Packages: 2.0 MB of 4.0 MB",
        "Packages: 2.0 MB of 4.0 MB",
        "Packages: done in 90.0 s",
    ]


def test_the_timer_calls_until_its_context_ends() -> None:
    called = threading.Event()
    with every_second(called.set):
        assert called.wait(30)
    called.clear()
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_a_terminal_gets_a_bar() -> None:
    out, text = console(terminal=True)
    with out.task("Packages", 4_000_000) as advance:
        advance(4_000_000)
    assert "Packages" in text.getvalue()
    assert "4.0/4.0 MB" in text.getvalue()


def test_quiet_leaves_results_and_errors() -> None:
    out, text = console(quiet=True)
    out.note("chatter")
    out.warning("careful")
    with out.task("Packages", 10) as advance:
        advance(10)
    out.result("site.iso")
    out.error(DefinitionError("wrong"))
    assert text.getvalue() == "warning: careful\nsite.iso\nerror: wrong\n"


def test_what_servers_say_does_not_reach_the_terminal_as_commands() -> None:
    out, text = console(terminal=False)
    out.note("404 \x1b]0;owned\x07\x1b[31mX\r\n\u202e")
    assert text.getvalue() == "404 \ufffd]0;owned\ufffd\ufffd[31mX\ufffd\ufffd\ufffd\n"


def test_a_terminal_gets_lines_that_break_between_words() -> None:
    out, text = console(terminal=True)
    out.note("word " * 30)
    assert all(line.split() and set(line.split()) == {"word"} for line in text.getvalue().splitlines())
    assert len(text.getvalue().splitlines()) == 2
