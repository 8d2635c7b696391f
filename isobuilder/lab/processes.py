"""Processes that outlive the command: started apart from it, known again later, and ended.

A process id is given anew once its process is gone, so that an id alone tells nothing: here it goes with the time at
which the process started, and the boot of the computer in which that was.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from isobuilder.errors import HostError
from isobuilder.lab.state import Process

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Places in /proc/PID/stat behind the name, proc(5): the state, and the start in clock ticks.
_STATE, _STARTED = 0, 19
LAST_WORDS = 2000


def spawn(command: Sequence[str], folder: Path, log: Path, *, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start `command` in `folder`, in a session of its own; what it says goes to the file `log`, which is made anew.

    Raises HostError when it cannot be started.
    """
    try:
        with log.open("wb") as said:
            return subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                pass_fds=pass_fds,
            )
    except OSError as error:
        raise HostError(f"{command[0]} cannot be started: {error.strerror}") from error


def identify(pid: int) -> Process | None:
    """The process that has this id now; None when there is none, or only its exit status is left."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[_STATE] in {b"Z", b"X"}:
        return None
    return Process(pid=pid, started=int(fields[_STARTED]), boot=boot_id())


def boot_id() -> str:
    """The id that the kernel has given itself when the computer started."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def is_alive(process: Process | None) -> bool:
    """Whether this very process runs, and not another that has its id."""
    return process is not None and identify(process.pid) == process


def wait_for_end(processes: Sequence[Process], seconds: float) -> list[Process]:
    """Wait until all have ended, or so long; which run still."""
    deadline = time.monotonic() + seconds
    for process in processes:
        with _watched(process) as descriptor:
            if descriptor is not None:
                select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
    return [process for process in processes if is_alive(process)]


def kill(process: Process) -> None:
    """End it at once, if it is there, and wait until it is gone."""
    with _watched(process) as descriptor:
        if descriptor is not None:
            # An id could be given anew between a look and a signal; to this descriptor it cannot.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [])


def last_words(log: Path) -> list[str]:
    """The last lines that a process wrote to its log."""
    try:
        data = log.read_bytes()[-LAST_WORDS:]
    except FileNotFoundError:
        return []
    return data.decode(errors="replace").strip().splitlines()[-5:]


@contextlib.contextmanager
def _watched(process: Process) -> Iterator[int | None]:
    """A descriptor that can be read when the process ends; None when it has."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if is_alive(process) else None
    finally:
        os.close(descriptor)
