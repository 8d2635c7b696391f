"""A lab brought up.

Whatever was started is in the lab's file before anything else happens, so that no command leaves a process behind that
the next one does not know; and what fails half way is undone.
"""

import contextlib
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isobuilder.boot.accelerate import accelerator
from isobuilder.boot.hardware import Accelerator, Hardware
from isobuilder.boot.vm import require
from isobuilder.errors import BootError, HostError
from isobuilder.iso.writer import free_space
from isobuilder.lab import machines
from isobuilder.lab.folder import check_space, make_folder, make_machines, refuse_a_strangers, remove_files
from isobuilder.lab.medium import LabMedium, Role
from isobuilder.lab.nested import nested_words
from isobuilder.lab.processes import identify, is_alive, kill, last_words, spawn
from isobuilder.lab.state import (
    LOCK,
    SWITCH,
    SWITCH_LOG,
    Lab,
    Process,
    locked,
    read_state,
    write_state,
)
from isobuilder.lab.wish import Wish, existing_lab, new_lab, roles_for
from isobuilder.progress import Progress

# How long the switch may take to serve.
SWITCH_SECONDS = 20.0


def up(
    folder: Path,
    name: str,
    wish: Wish,
    progress: Progress,
    *,
    choose_accelerator: Callable[[Hardware, Progress], Accelerator] = accelerator,
    free: Callable[[Path], int] = free_space,
) -> Lab:
    """Start the machines of the lab in `folder` that do not run; make the lab when there is none.

    Raises UsageError when the lab is there and was made from something else, or the medium cannot be used as asked;
    HostError when this computer lacks something or another command is at work; BootError when a machine does not get
    where it should. Then nothing runs that this call started, and a lab that it began to make is gone.
    """
    made = make_folder(folder)
    with locked(folder), contextlib.ExitStack() as undo:
        before = read_state(folder)
        if before is None:
            undo.callback(_leave, folder, made=made)
            refuse_a_strangers(folder)
        lab, medium = existing_lab(before, wish) if before else new_lab(name, wish)
        hardware = medium.hardware
        for tool, package in ((hardware.qemu, hardware.package), ("qemu-img", "qemu-utils")):
            require(tool, package)
        roles = roles_for(lab, medium, wish)
        if before is None:
            titles = {each: role.line.title for each, role in roles.items()}
            named = tuple(m.model_copy(update={"role": titles.get(m.name)}) for m in lab.machines)
            lab = lab.model_copy(update={"machines": named})
            check_space(folder, lab, progress, free)
            undo.callback(remove_files, folder, lab)
            make_machines(folder, lab)
        stopped = [machine.name for machine in lab.machines if not is_alive(machine.process)]
        if stopped:
            kind = _accelerator(lab, hardware, progress, choose_accelerator)
            lab = lab.model_copy(update={"accelerator": kind})
        starting = _Starting(folder, lab, medium, progress, undo)
        starting.switch()
        for each in stopped:
            starting.machine(each, roles[each] if wish.unattended else None)
        if not stopped:
            progress.note("all machines of this lab run")
        if before is None and not wish.unattended:
            for machine in lab.machines:
                role = repr(machine.role) if machine.role else "its role"
                progress.note(f"{machine.name}: choose {role} at isobuilder lab console {machine.name}")
        undo.pop_all()
        return starting.lab


@dataclass
class _Starting:
    """A lab as it comes up; its file is written at every step, and `undo` learns how to take the step back."""

    folder: Path
    lab: Lab
    medium: LabMedium
    progress: Progress
    undo: contextlib.ExitStack

    def switch(self) -> None:
        """Start the switch of the private network unless it runs. Machines find it again by themselves."""
        if is_alive(self.lab.switch):
            return
        ports = [f"{machine.name}/{machines.PORT}" for machine in self.lab.machines]
        command = [sys.executable, "-P", "-m", "isobuilder.boot.switch", SWITCH, *ports]
        log = self.folder / SWITCH_LOG
        process = identify(spawn(command, self.folder, log).pid)
        if process:
            self._keep(self.lab.model_copy(update={"switch": process}), process)
        deadline = time.monotonic() + SWITCH_SECONDS
        while "serving" not in (words := last_words(log)):
            if not is_alive(process) or time.monotonic() > deadline:
                raise HostError("the switch of the private network does not start", details=words)
            time.sleep(0.02)

    def machine(self, name: str, role: Role | None) -> None:
        """Switch a machine on; with a `role`, choose it in the menu."""
        machine = self.lab.machine(name)
        if self.lab.network_out:
            machine = machine.model_copy(update={"ssh_port": _free_port(machine.ssh_port)})
        hardware, kind = self.medium.hardware, self.lab.accelerator or "tcg"
        qemu, control = machines.start(self.lab, machine, self.folder, hardware, kind)
        process = identify(qemu.pid)
        if process:
            machine = machine.model_copy(update={"process": process})
            self._keep(self.lab.with_machine(machine), process)
        with contextlib.ExitStack() as ending:
            try:
                ending.enter_context(control)
            except BootError as error:
                raise machines.why_it_ended(machine, self.folder, error) from error
            if role:
                line = ending.enter_context(machines.connect(self.folder / name / machines.CONSOLE))
            control.execute("cont")
            if role:
                self.progress.note(f"{name}: choosing {role.line.title!r} in the menu")
                try:
                    machines.choose(control, machines.serial_line(line), self.medium.menu, role.line)
                except BootError as error:
                    raise BootError(f"{name}: {error.message}", details=error.details) from error
        self.progress.note(f"{name}: started")

    def _keep(self, lab: Lab, process: Process) -> None:
        """Have the lab with a process that was just started in its file; undoing ends it."""

        def end() -> None:
            kill(process)
            without = [m.model_copy(update={"process": None}) if m.process == process else m for m in self.lab.machines]
            switch = None if self.lab.switch == process else self.lab.switch
            self.lab = self.lab.model_copy(update={"machines": tuple(without), "switch": switch})
            write_state(self.folder, self.lab)

        self.lab = lab
        self.undo.callback(end)
        write_state(self.folder, lab)


def _accelerator(
    lab: Lab, hardware: Hardware, progress: Progress, choose: Callable[[Hardware, Progress], Accelerator]
) -> Accelerator:
    """What the machines that run now use, or else what works here."""
    if lab.accelerator and any(is_alive(machine.process) for machine in lab.machines):
        return lab.accelerator
    kind = choose(hardware, progress)
    if kind == "tcg":
        progress.warning("KVM runs no guest here, so QEMU translates every instruction: expect a tenth of the speed")
    progress.note(nested_words(kind))
    return kind


def _leave(folder: Path, *, made: bool) -> None:
    """Take back that a lab was begun here."""
    (folder / LOCK).unlink(missing_ok=True)
    if made:
        folder.rmdir()


def _free_port(preferred: int | None) -> int:
    """A TCP port of this computer that nobody uses: the `preferred` one if it is free."""
    for port in (preferred or 0, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise HostError("no TCP port is free on this computer")
