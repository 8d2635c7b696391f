"""QEMU's machine protocol, one command at a time."""

import asyncio
import contextlib
import socket
from typing import Self

from qemu.qmp import QMPClient, QMPError

from isobuilder.errors import BootError

QMP_SECONDS = 30.0
END_SECONDS = 5.0
# What a QEMU that is gone, or does not answer, becomes.
_FAILURES = (QMPError, OSError, EOFError, TimeoutError)


class Control:
    """A connection to QEMU over the socket `control`, which it takes over, for as long as the context lasts.

    Entering it raises BootError when QEMU does not greet within `seconds`.
    """

    def __init__(self, control: socket.socket, *, seconds: float = QMP_SECONDS) -> None:
        self._socket = control
        self._seconds = seconds
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ending:
            ending.enter_context(self._socket)
            self._runner = ending.enter_context(asyncio.Runner())
            self._client = QMPClient("isobuilder")
            try:
                self._runner.run(asyncio.wait_for(self._client.connect(self._socket), self._seconds))
            except _FAILURES as error:
                raise BootError(f"QEMU does not answer: {type(error).__name__} {error}") from error
            ending.callback(self._disconnect)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._ending.close()

    def execute(self, command: str, arguments: dict[str, object] | None = None) -> object:
        """What QEMU answers to `command`. Raises BootError when it refuses, or does not answer in time."""
        try:
            return self._runner.run(asyncio.wait_for(self._client.execute(command, arguments or {}), self._seconds))
        except _FAILURES as error:
            raise BootError(f"the machine does not answer {command}: {type(error).__name__} {error}") from error

    def press(self, key: str, milliseconds: int) -> None:
        """Hold a key down for so long, by QEMU's name for it: "down", "ret", "a"."""
        self.execute("send-key", {"keys": [{"type": "qcode", "data": key}], "hold-time": milliseconds})

    def _disconnect(self) -> None:
        # QEMU may be gone already; then there is nobody to take leave of.
        with contextlib.suppress(*_FAILURES):
            self._runner.run(asyncio.wait_for(self._client.disconnect(), END_SECONDS))
