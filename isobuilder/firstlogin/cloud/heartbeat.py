"""Whoever waits for something long is told now and then that it goes on."""

import threading
import time
from types import TracebackType
from typing import Callable, Optional, Type

SECONDS = 60


class Heartbeat:
    """While it is entered, `tell` is given a line every so many `seconds`."""

    def __init__(self, tell: Callable[[str], None], seconds: float = SECONDS) -> None:
        self._tell = tell
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        begun = time.monotonic()
        while not self._over.wait(self._seconds):
            self._tell(f"  it goes on: {int(time.monotonic() - begun) // 60} minutes so far")
