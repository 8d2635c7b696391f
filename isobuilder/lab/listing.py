"""What there is of labs, and how each machine is doing."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import filesize

from isobuilder.boot.control import Control
from isobuilder.errors import BootError
from isobuilder.lab import machines
from isobuilder.lab.processes import boot_id, is_alive, last_words
from isobuilder.lab.state import Lab, LabMachine, mac_address

# Another command may be talking to the machine: then nothing more is known than that it runs.
ASKING_SECONDS = 2.0
# QEMU's words for a machine that stands still; the first is what a full disk does.
_STANDING = {
    "io-error": "stands still: no room for its disk",
    "paused": "paused",
    "internal-error": "crashed: its processor",
    "guest-panicked": "crashed: its kernel",
}
_BLOCK = 512


@dataclass(frozen=True)
class MachineState:
    """A machine as it is now. `disk_used` is in bytes; `words` are the last of a QEMU that ended by itself."""

    name: str
    role: str | None
    state: str
    pid: int | None
    console: str
    ssh: str | None
    mac: str
    disk: str
    disk_used: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class LabState:
    """A lab as it is now. `network`: the private network carries frames; `accelerator`: that of the last start."""

    name: str
    folder: str
    iso: str
    accelerator: str | None
    network: bool
    machines: tuple[MachineState, ...]


def look(folder: Path, lab: Lab) -> LabState:
    """How the lab in `folder` is doing."""
    return LabState(
        name=lab.name,
        folder=str(folder),
        iso=lab.iso,
        accelerator=lab.accelerator,
        network=is_alive(lab.switch),
        machines=tuple(_look_at(folder, lab, machine) for machine in lab.machines),
    )


def as_json(labs: Sequence[LabState]) -> str:
    """The labs as JSON, with keys in kebab-case."""
    return json.dumps([_kebab(asdict(lab)) for lab in labs], indent=1)


def as_lines(labs: Sequence[LabState]) -> Iterator[str]:
    """The labs as a table of each, and beneath it what somebody should know."""
    for lab in labs:
        yield f"{lab.name}: {lab.iso}, in {lab.folder}"
        rows = [("MACHINE", "STATE", "PID", "SSH", "DISK", "CONSOLE")]
        rows += [
            (
                machine.name,
                machine.state,
                str(machine.pid or "-"),
                machine.ssh or "-",
                filesize.decimal(machine.disk_used),
                os.path.relpath(machine.console, lab.folder),
            )
            for machine in lab.machines
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for machine in lab.machines:
            for word in machine.words:
                yield f"  {machine.name}: {word}"
        if not lab.network and any(machine.pid for machine in lab.machines):
            yield "  the private network is down: isobuilder lab up starts it again"


def _look_at(folder: Path, lab: Lab, machine: LabMachine) -> MachineState:
    place = folder / machine.name
    state, words = _state(place, machine)
    running = is_alive(machine.process)
    disk = place / machines.DISK
    return MachineState(
        name=machine.name,
        role=machine.role,
        state=state,
        pid=machine.process.pid if machine.process and running else None,
        console=str(place / machines.CONSOLE),
        ssh=f"127.0.0.1:{machine.ssh_port}" if machine.ssh_port and running else None,
        mac=mac_address(lab.name, machine.name, "lan"),
        disk=str(disk),
        disk_used=disk.stat().st_blocks * _BLOCK if disk.exists() else 0,
        words=words,
    )


def _state(place: Path, machine: LabMachine) -> tuple[str, tuple[str, ...]]:
    if is_alive(machine.process):
        return _status(place), ()
    # QEMU removes the file with its id when it ends in good order, and nothing else does.
    if machine.process and (place / machines.PID).exists() and machine.process.boot == boot_id():
        return "crashed", tuple(last_words(place / machines.LOG)) or ("QEMU was killed, and said nothing",)
    return "off", ()


def _status(place: Path) -> str:
    with (
        contextlib.suppress(BootError, OSError),
        Control(machines.connect(place / machines.CONTROL), seconds=ASKING_SECONDS) as control,
    ):
        answer = control.execute("query-status")
        if isinstance(answer, dict):
            return _STANDING.get(str(answer.get("status")), "running")
    return "running"


def _kebab(value: object) -> object:
    if isinstance(value, dict):
        return {key.replace("_", "-"): _kebab(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_kebab(each) for each in value]
    return value
