"""A terminal attached to a machine's serial line: every key goes there but one, and the terminal is itself again."""

import contextlib
import fcntl
import os
import re
import select
import socket
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

from isobuilder.errors import HostError, UsageError
from isobuilder.hosterrors import host_errors
from isobuilder.lab.machines import CONSOLE, CONSOLE_LOCK, CONSOLE_LOG, connect

# Ctrl-], as virsh console and telnet have it.
ESCAPE = b"\x1d"
# Colours off, cursor on, and a fresh line: what a menu leaves behind is not for the shell.
_TIDY = b"\x1b[0m\x1b[?25h\r\n"
# Of what the line said before, so much is shown: a menu is drawn once, and then only what changes in it.
SHOWN_AGAIN = 16_000
_CLEARED = re.compile(rb"\x1b\[2J|\x1b\[H\x1b\[J|\x1bc")


def attach(place: Path, keyboard: int, screen: int, greeting: str) -> bool:
    """Connect the terminal `keyboard` and `screen` with the console of the machine in the folder `place`.

    Ends with Ctrl-] (True) or with the machine (False). Raises UsageError when there is no terminal, HostError when the
    machine does not run or somebody else is attached.
    """
    if not os.isatty(keyboard):
        raise UsageError("the console needs a terminal to be attached to", hint="The machine's log is console.log.")
    with _alone(place), _connected(place) as line:
        _write(screen, f"{greeting}\r\n".encode())
        _write(screen, _shown_before(place / CONSOLE_LOG))
        with _raw(keyboard):
            try:
                return _relay(line, keyboard, screen)
            finally:
                _write(screen, _TIDY)


def _relay(line: socket.socket, keyboard: int, screen: int) -> bool:
    while True:
        ready, _, _ = select.select([line.fileno(), keyboard], [], [])
        if line.fileno() in ready:
            try:
                data = line.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                return False
            _write(screen, data)
        if keyboard in ready:
            typed = os.read(keyboard, 1 << 10)
            before, escape, _after = typed.partition(ESCAPE)
            with contextlib.suppress(ConnectionError):
                line.sendall(before)
            if escape or not typed:
                return True


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """QEMU hears one at a time, and lets others wait without a word."""
    with contextlib.ExitStack() as ending:
        with host_errors(place / CONSOLE_LOCK):
            file = ending.enter_context((place / CONSOLE_LOCK).open("ab"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HostError(
                f"{place.name}: somebody is attached to this console already", hint="Ctrl-] leaves it there."
            ) from error
        yield


@contextlib.contextmanager
def _connected(place: Path) -> Iterator[socket.socket]:
    try:
        line = connect(place / CONSOLE)
    except OSError as error:
        raise HostError(f"{place.name}: the machine does not run", hint="isobuilder lab up starts it.") from error
    with line:
        yield line


@contextlib.contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard)
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _shown_before(log: Path) -> bytes:
    """The end of what the line said, from where the screen was cleared last if that is in it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - SHOWN_AGAIN))
            said = file.read()
    except OSError:
        return b""
    cleared = [found.start() for found in _CLEARED.finditer(said)]
    return said[cleared[-1] :] if cleared else said[said.find(b"\n") + 1 :]


def _write(screen: int, data: bytes) -> None:
    while data:
        data = data[os.write(screen, data) :]
