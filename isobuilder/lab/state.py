"""What a lab is and which of its processes run, as one file in its folder; and where labs are.

A command that changes a lab holds its lock. One that only looks does without: the file is replaced whole.
"""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from isobuilder.boot.firmware import Firmware
from isobuilder.boot.hardware import Accelerator
from isobuilder.errors import HostError, UsageError
from isobuilder.hosterrors import host_errors
from isobuilder.wholefile import write_whole

STATE = "lab.json"
LOCK = ".isobuilder-lab.lock"
SWITCH = "switch"
SWITCH_LOG = "switch.log"
FRONT_END = "front"
NAME_LIMIT = 31
NAME = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{NAME_LIMIT - 2}}}[a-z0-9])?")

Network = Literal["lan", "out"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Process(_Table):
    """A process that is known again: its id, when it started (clock ticks since boot), and the id of that boot."""

    pid: int
    started: int
    boot: str


class LabMachine(_Table):
    """One machine. `role` is the title of the menu's entry for it, None for any; `ssh_port` leads to its port 22."""

    name: str
    role: str | None = None
    ssh_port: int | None = None
    process: Process | None = None


class Lab(_Table):
    """A lab as it was asked for, and its processes. `serial_port` is where the medium's menu is drawn."""

    version: Literal[1] = 1
    name: str
    iso: str
    arch: str
    firmware: Firmware
    serial_port: int
    memory_mib: int
    disk_gib: int
    network_out: bool
    machines: tuple[LabMachine, ...]
    accelerator: Accelerator | None = None
    switch: Process | None = None

    @property
    def nodes(self) -> int:
        return sum(machine.name != FRONT_END for machine in self.machines)

    def machine(self, name: str) -> LabMachine:
        """Raises UsageError when there is none of this name."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        known = ", ".join(machine.name for machine in self.machines)
        raise UsageError(f"the lab {self.name} has no machine {name!r}", hint=f"It has {known}.")

    def with_machine(self, changed: LabMachine) -> "Lab":
        machines = tuple(changed if machine.name == changed.name else machine for machine in self.machines)
        return self.model_copy(update={"machines": machines})


def machine_names(nodes: int) -> tuple[str, ...]:
    """The front end's name, and those of so many nodes."""
    return (FRONT_END, *(f"node{number}" for number in range(1, nodes + 1)))


def mac_address(lab: str, machine: str, network: Network) -> str:
    """The address of a network card: always the same for these names, and in the range that QEMU's own are in."""
    digest = hashlib.sha256(f"{lab}/{machine}/{network}".encode()).digest()
    return ":".join(("52:54:00", *(f"{byte:02x}" for byte in digest[:3])))


def labs_root(environ: Mapping[str, str]) -> Path:
    """isobuilder/labs below XDG_STATE_HOME, or below ~/.local/state. Raises HostError without a home."""
    # The XDG base directory specification has relative paths ignored.
    if (shared := environ.get("XDG_STATE_HOME", "")).startswith("/"):
        return Path(shared, "isobuilder", "labs")
    if home := environ.get("HOME"):
        return Path(home, ".local", "state", "isobuilder", "labs")
    raise HostError("there is no place for labs", hint="Name a folder with --dir, or set XDG_STATE_HOME.")


def find_labs(root: Path) -> list[Path]:
    """The folders below `root` that have a lab, by name."""
    with host_errors(root):
        return sorted(path.parent for path in root.glob(f"*/{STATE}")) if root.is_dir() else []


def read_state(folder: Path) -> Lab | None:
    """The lab in `folder`; None where there is none. Raises HostError for a file that is not one of ours."""
    path = folder / STATE
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}") from error
    try:
        lab = Lab.model_validate_json(text)
    except ValidationError as error:
        raise HostError(
            f"{path}: this is not what isobuilder writes there",
            details=[f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()],
            hint="Nothing in this folder was touched. If the file is damaged, remove the folder by hand.",
        ) from error
    if [machine.name for machine in lab.machines] != list(machine_names(lab.nodes)) or not NAME.fullmatch(lab.name):
        raise HostError(f"{path}: this is not what isobuilder writes there", details=["its names are others"])
    return lab


def write_state(folder: Path, lab: Lab) -> None:
    """Replace the lab's file as a whole. Raises HostError when it cannot be written."""
    write_whole(folder / STATE, lab.model_dump_json(indent=1) + "\n", mode=0o600)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else changes the lab in `folder` meanwhile. Raises HostError when somebody does now."""
    path = folder / LOCK
    with contextlib.ExitStack() as ending:
        with host_errors(path):
            file = ending.enter_context(path.open("ab"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever removed the lab meanwhile has removed this file too.
            taken = path.stat().st_ino == os.fstat(file.fileno()).st_ino
        except (BlockingIOError, FileNotFoundError):
            taken = False
        if not taken:
            raise HostError(
                f"{folder}: another command is at work on this lab", hint="Wait until it is done, and try again."
            )
        yield
