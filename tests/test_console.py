"""What is drawn on a terminal, and what a log gets."""

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pexpect
import pyte
from rich.console import Console as Terminal

from isobuilder.console import Console, Timer, every_second
from isobuilder.errors import DefinitionError
from isobuilder.progress import Expected


def console(
    *,
    terminal: bool = False,
    quiet: bool = False,
    clock: Callable[[], float] = lambda: 0.0,
    timer: Timer = every_second,
) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    err = Terminal(file=text, force_terminal=terminal, soft_wrap=True, highlight=False, width=80)
    return Console(quiet=quiet, out=err, err=err, clock=clock, timer=timer), text


def test_an_error_shows_all_findings_and_the_hint() -> None:
    out, text = console()
    long = "x" * 200
    out.error(DefinitionError("two mistakes [bold]", details=["first [red]", long], hint="mend them"))
    assert text.getvalue() == f"error: two mistakes [bold]\n  first [red]\n  {long}\nhint: mend them\n"


def test_a_finding_that_is_broken_for_a_terminal_stands_further_in() -> None:
    out, text = console(terminal=True)
    out.error(DefinitionError("one mistake", details=["word " * 20]))
    assert text.getvalue().splitlines()[1:] == [f"  word{' word' * 14}", f"    word{' word' * 4}"]


def test_a_log_gets_plain_lines_and_a_heartbeat() -> None:
    beats: list[Callable[[], None]] = []

    @contextmanager
    def timer(beat: Callable[[], None]) -> Iterator[None]:
        beats.append(beat)
        yield

    now = [0.0]
    out, text = console(clock=lambda: now[0], timer=timer)
    with out.task("Packages", 4_000_000) as advance:
        [beat] = beats
        for second, count in ((29, 1_000_000), (31, 1_000_000), (32, 0), (62, 0)):
            now[0] = float(second)
            advance(count)
            out.doing("kernel.rpm", 1, 2)
            beat()
        now[0] = 90.0
    assert text.getvalue().splitlines() == [
        "Packages: 2.0 MB of 4.0 MB; 1 of 2 are here; waiting for kernel.rpm",
        # Nothing came, and that is told too.
        "Packages: 2.0 MB of 4.0 MB; nothing came for 31 s; 1 of 2 are here; waiting for kernel.rpm",
        "Packages: 2.0 MB in 90.0 s, 22.2 kB/s",
    ]


def test_a_heartbeat_tells_of_all_that_goes_on_side_by_side() -> None:
    beats: list[Callable[[], None]] = []

    @contextmanager
    def timer(beat: Callable[[], None]) -> Iterator[None]:
        beats.append(beat)
        yield

    now = [0.0]
    out, text = console(clock=lambda: now[0], timer=timer)
    with out.display():
        out.expect([Expected("Packages", 10), Expected("Writing", 20)])
        with out.task("Packages", 10) as advance, out.task("Writing", 20):
            out.doing("kernel.rpm", 1, 2, stage="Packages")
            advance(5)
            now[0] = 31.0
            beats[0]()
    assert text.getvalue().splitlines()[:2] == [
        "Packages: 5 bytes of 10 bytes; 1 of 2 are here; waiting for kernel.rpm",
        "Writing: 0 bytes of 20 bytes",
    ]


def test_a_log_has_one_line_for_each_stage() -> None:
    out, text = console()
    with out.display():
        out.expect([Expected("Lock"), Expected("Writing", 10)])
        with out.stretch("Lock"):
            pass
        with out.task("Writing", 10) as advance:
            advance(10)
    assert text.getvalue() == "Lock: 0.0 s\nWriting: 10 bytes in 0.0 s\n"


def test_the_timer_calls_until_its_context_ends() -> None:
    called = threading.Event()
    with every_second(called.set):
        assert called.wait(30)
    called.clear()
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


_PROGRAM = """
import time
from isobuilder.console import Console
from isobuilder.errors import FetchError
from isobuilder.progress import Expected
console = Console()
with console.display():
    console.expect([Expected("Lock"), Expected("Packages", 4_000_000), Expected("Writing", 9_000_000)])
    with console.stretch("Lock"):
        with console.task("Metadata", 10) as advance:
            advance(10)
    with console.task("Packages", 4_000_000) as advance:
        advance(1_500_000)
        console.doing("kernel.rpm and 3 more", 2, 6)
        console.note("a mirror is slow")
        input()
console.error(FetchError("the network went away"))
"""


def test_a_terminal_shows_all_stages_and_what_is_waited_for() -> None:
    screen = pyte.Screen(80, 24)
    stream = pyte.Stream(screen)
    child = pexpect.spawn(sys.executable, ["-c", _PROGRAM], dimensions=(24, 80), encoding="utf-8", timeout=60)
    waiting = "    2 of 6 are here; waiting for kernel.rpm and 3 more"

    def shown() -> list[str]:
        return [line.rstrip() for line in screen.display if line.strip()]

    while waiting not in shown():
        stream.feed(child.read_nonblocking(4096, timeout=60))
    assert shown() == [
        "a mirror is slow",
        "1/3 Lock                  0.0 s",
        "    Metadata              10 bytes in 0.0 s",
        "2/3 Packages              [####--------] 1.5/4.0 MB",
        "3/3 Writing               9.0 MB",
        waiting,
    ]
    child.sendline()
    stream.feed(child.read())
    child.close()
    # What is said afterwards stands below what was drawn.
    assert shown()[-1] == "error: the network went away"
    assert any(line.startswith("2/3 Packages              1.5 MB in ") for line in shown())


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
