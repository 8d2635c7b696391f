"""How long work tells that it is alive. The rooms know this protocol only; `console.py` draws it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Somebody who listens while work is done."""

    def task(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """A stretch of work of `total` bytes; call what the context gives with the bytes done since the last call.

        Any thread may call it.
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

    def note(self, line: str) -> None:
        pass

    def warning(self, line: str) -> None:
        pass
