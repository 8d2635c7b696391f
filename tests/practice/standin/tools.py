"""What every step needs of the machine: its consoles, its commands, and one way to fail."""

import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

SAID_AT_MOST = 20


class FailureError(Exception):
    """A step that cannot be done: why, and the last that a tool said about it."""

    def __init__(self, cause: str, said: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.said = said.strip().splitlines()[-SAID_AT_MOST:]


class Tools:
    """`say` puts a line on every console; `log` takes what commands are and say."""

    def __init__(self, say: Callable[[str], None], log: Path) -> None:
        self.say = say
        self._log = log

    def run(self, *command: str | Path, stdin: str = "") -> str:
        """Run a command to its end; gives its standard output. Raises FailureError with what it said."""
        done = self.attempt(command, stdin)
        if done.returncode:
            raise FailureError(f"{command[0]} ended with status {done.returncode}", done.stdout + done.stderr)
        return done.stdout

    def attempt(self, command: Sequence[str | Path], stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command to its end, however it ends. Raises FailureError when there is no such command."""
        words = [str(word) for word in command]
        try:
            done = subprocess.run(words, input=stdin, capture_output=True, text=True, errors="replace", check=False)
        except OSError as error:
            raise FailureError(f"{words[0]} cannot be started: {error.strerror}") from error
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}-> {done.returncode}\n")
        return done


def say_on(consoles: Iterable[Path]) -> Callable[[str], None]:
    """A `say` for these devices, each of which may be missing."""
    places = [console for console in consoles if console.exists()]

    def say(line: str) -> None:
        for place in places:
            with place.open("w", encoding="utf-8", errors="replace") as console:
                console.write(f"practice: {line}\r\n")

    return say
