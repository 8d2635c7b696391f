"""What a program says when it is asked for its version."""

import subprocess
from collections.abc import Callable, Sequence

# Gives what a command prints, or None where it cannot be run or fails.
Run = Callable[[Sequence[str]], str | None]

SECONDS = 30


def said(command: Sequence[str]) -> str | None:
    """The `Run` of a real machine."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
