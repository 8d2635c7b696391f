"""A lab stopped, and removed."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from isobuilder.boot.control import Control
from isobuilder.errors import BootError, UsageError
from isobuilder.lab import machines
from isobuilder.lab.folder import refuse_more, remove_files
from isobuilder.lab.processes import is_alive, kill, wait_for_end
from isobuilder.lab.state import LOCK, SWITCH, Lab, LabMachine, locked, read_state, write_state
from isobuilder.progress import Progress

# How long QEMU may take to end after it was told to.
QUIT_SECONDS = 10.0
# Whoever holds the control of a machine is another command, which is done soon.
CONTROL_SECONDS = 10.0


def stop(folder: Path, names: Sequence[str], grace: float, progress: Progress) -> Lab:
    """Switch off the machines with these `names`, all when there are none, as their power button does.

    What runs `grace` seconds later is ended. The network goes with the last machine. Raises UsageError when there is
    no lab or no machine of that name, HostError when another command is at work.
    """
    required_lab(folder)
    with locked(folder):
        lab = required_lab(folder)
        chosen = [lab.machine(name) for name in names] or lab.machines
        _switch_off(folder, [machine for machine in chosen if is_alive(machine.process)], grace, progress)
        for machine in chosen:
            for name in machines.PASSING:
                (folder / machine.name / name).unlink(missing_ok=True)
            lab = lab.with_machine(machine.model_copy(update={"process": None}))
        if lab.switch and not any(is_alive(machine.process) for machine in lab.machines):
            kill(lab.switch)
            (folder / SWITCH).unlink(missing_ok=True)
            lab = lab.model_copy(update={"switch": None})
        write_state(folder, lab)
        return lab


def remove(folder: Path, grace: float, progress: Progress) -> None:
    """Stop the lab and remove it with its disks. Raises UsageError, and removes nothing, when more is in its folder."""
    lab = required_lab(folder)
    refuse_more(folder, lab)
    stop(folder, (), grace, progress)
    with locked(folder):
        refuse_more(folder, lab)
        remove_files(folder, lab)
        (folder / LOCK).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def required_lab(folder: Path) -> Lab:
    """The lab in `folder`. Raises UsageError when there is none."""
    lab = read_state(folder)
    if lab is None:
        raise UsageError(f"{folder}: there is no lab", hint="isobuilder lab list says which there are.")
    return lab


def _switch_off(folder: Path, running: Sequence[LabMachine], grace: float, progress: Progress) -> None:
    def tell(command: str, alive: Sequence[LabMachine]) -> None:
        for machine in alive:
            with contextlib.suppress(BootError, OSError), control_of(folder, machine) as control:
                control.execute(command)

    def wait(seconds: float) -> list[LabMachine]:
        left = wait_for_end([machine.process for machine in running if machine.process], seconds)
        return [machine for machine in running if machine.process in left]

    if running:
        progress.note(f"switching off {', '.join(machine.name for machine in running)}")
    tell("system_powerdown", running)
    alive = wait(grace)
    if alive:
        names = ", ".join(machine.name for machine in alive)
        progress.note(f"{names}: still on after {grace:g} s, and ended now")
    tell("quit", alive)
    for machine in wait(QUIT_SECONDS):
        if machine.process:
            kill(machine.process)


def control_of(folder: Path, machine: LabMachine) -> Control:
    """The control of a running machine, to be entered. Raises OSError when nobody listens."""
    return Control(machines.connect(folder / machine.name / machines.CONTROL), seconds=CONTROL_SECONDS)
