"""The terminal: plain lines of at most 79 columns, on a screen, a serial line or a dumb terminal alike.

What is asked and what is said are decided elsewhere.
"""

import getpass
import os
import select
import shutil
import sys
import textwrap
from typing import Dict, Iterable, List, Optional, TextIO

from .model import FAIL, PASS, WARN, Line

WIDTH = 79
_COLOURS = {PASS: "32", WARN: "33", FAIL: "31"}
# Lines of a page less than the screen has: one for the question whether to go on, one to spare.
_MARGIN = 2
_LEAST_ROWS = 10
# A terminal on which nothing can be overwritten gets a line about what is waited for every so many seconds.
_SAID_EVERY = 30


class LeftError(Exception):
    """Whoever was asked has left: Ctrl-C, Ctrl-D, or the line is dead."""


class Terminal:
    """Somebody at a keyboard, or nobody (`interactive` is false) and a place for lines."""

    def __init__(
        self, stdin: Optional[TextIO] = None, stdout: Optional[TextIO] = None, environ: Optional[Dict[str, str]] = None
    ) -> None:
        self._in = stdin or sys.stdin
        self._out = stdout or sys.stdout
        environ = dict(os.environ) if environ is None else environ
        self.interactive = self._in.isatty() and self._out.isatty()
        dumb = environ.get("TERM", "dumb") in ("dumb", "") or "NO_COLOR" in environ
        self._coloured = self.interactive and not dumb
        self._lost = False
        self._counting = False
        self._counted, self._counted_for = -1, ""
        if self.interactive:
            _prepare_editing()

    def say(self, text: str = "", indent: str = "") -> None:
        """A paragraph, folded."""
        lines = textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False) or [
            ""
        ]
        for line in lines:
            self.line(line)

    def line(self, text: str) -> None:
        """A line as it is, folded where it is too wide; what no terminal shows is shown as its code."""
        for line in _folded([printable(text)]):
            self._write(line + "\n")

    def count_down(self, what: str, seconds: int) -> None:
        """What is waited for, and how long at most: one line that changes, or some lines where none can change."""
        text = f"  {printable(what)}: {seconds} seconds at most"
        if self._coloured:
            self._write("\r" + text[: WIDTH - 1].ljust(WIDTH - 1))
            self._counting = True
        elif seconds // _SAID_EVERY != self._counted or what != self._counted_for:
            self.line(text)
        self._counted, self._counted_for = seconds // _SAID_EVERY, what

    def plain(self, text: str) -> None:
        """A line that is never folded, for who copies it."""
        self._write(printable(text) + "\n")

    def command(self, text: str) -> None:
        """A command for whoever reads it, on a line of its own."""
        self.line(f"    {text}")

    def heading(self, title: str) -> None:
        self.line("")
        self.line("-- {} {}".format(title, "-" * (WIDTH - 4 - len(title))))

    def verdict(self, line: Line) -> None:
        """A line of the checks, with its verdict in front and the remedy below."""
        word = line.verdict
        shown = f"\033[{_COLOURS[word]}m{word}\033[0m" if self._coloured else word
        first, *rest = textwrap.wrap(line.what, WIDTH - 8) or [""]
        self._write(f"  {shown}  {first}\n")
        for more in rest:
            self.line(" " * 8 + more)
        if line.verdict != PASS and line.remedy:
            self.say(line.remedy, indent=" " * 8)

    def page(self, lines: Iterable[str]) -> None:
        """Many lines, a screen at a time where somebody reads them."""
        rows = max(shutil.get_terminal_size((80, 24)).lines, _LEAST_ROWS) - _MARGIN
        shown = _folded(map(printable, lines))
        for start in range(0, len(shown), rows):
            for line in shown[start : start + rows]:
                self.line(line)
            left = len(shown) - start - rows
            if self.interactive and left > 0:
                said = self.ask(f"-- {left} more lines: Enter shows them, s skips them: ")
                if said.strip().lower().startswith("s"):
                    return

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """What is typed at `prompt`, without its end of line. Raises LeftError."""
        if not self.interactive or self._lost:
            raise LeftError
        try:
            if secret:
                return getpass.getpass(prompt)
            if self._in is sys.stdin and self._out is sys.stdout:
                return input(prompt)
            self._write(prompt)
            return self._line()
        except UnicodeDecodeError:
            # No answer is anything but ASCII: whatever refuses this refuses those bytes.
            return "\ufffd"
        except (EOFError, KeyboardInterrupt, OSError) as error:
            raise LeftError from error

    def ask_within(self, prompt: str, seconds: float) -> Optional[str]:
        """What is typed at `prompt` before the time is over; None when it is over. Raises LeftError."""
        if not self.interactive or self._lost:
            raise LeftError
        self._write(prompt)
        try:
            ready, _, _ = select.select([self._in], [], [], max(seconds, 0))
            if not ready:
                return None
            return self._line()
        except (EOFError, KeyboardInterrupt, OSError, ValueError) as error:
            raise LeftError from error

    def _line(self) -> str:
        line = self._in.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")

    def _write(self, text: str) -> None:
        if self._counting and not text.startswith("\r"):
            self._counting = False
            text = "\r" + " " * (WIDTH - 1) + "\r" + text
        # A line that is dead must not stop what is going on.
        if self._lost:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            self._lost = True


def printable(text: str) -> str:
    """`text` with codes in place of what is not printable ASCII."""
    return "".join(one if " " <= one <= "~" else ascii(one)[1:-1] for one in text)


def _prepare_editing() -> None:
    """Arrow keys work in answers; nothing is remembered, and no terminal is sent what it may not know."""
    try:
        import readline
    except ImportError:
        return
    readline.parse_and_bind("set enable-bracketed-paste off")
    readline.parse_and_bind("set disable-completion on")
    if hasattr(readline, "set_auto_history"):
        readline.set_auto_history(False)


def _folded(lines: Iterable[str]) -> List[str]:
    result: List[str] = []
    for line in lines:
        margin = " " * (len(line) - len(line.lstrip()) + 4)
        while len(line) > WIDTH:
            cut = line.rfind(" ", len(margin), WIDTH + 1)
            cut = cut if cut > len(margin) else WIDTH
            result.append(line[:cut])
            line = margin + line[cut:].lstrip()
        result.append(line)
    return result
