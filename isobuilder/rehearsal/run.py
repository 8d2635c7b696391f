"""Machines on their way: each in a thread of its own, on one private network, until all have come where they should."""

import contextlib
import hashlib
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from isobuilder.answers import check_files
from isobuilder.boot.accelerate import accelerator
from isobuilder.boot.drives import KeptDisk, Stick, make_disk
from isobuilder.boot.firmware import NAMES
from isobuilder.boot.hardware import Accelerator, Hardware, hardware_for
from isobuilder.boot.menu import read_menu, serial_port
from isobuilder.boot.switch import port_arguments
from isobuilder.boot.vm import Machine, VirtualMachine, require
from isobuilder.errors import AnswersError, BootError, HostError, UsageError
from isobuilder.firstlogin.sources import STICK_FILE, STICK_LABEL
from isobuilder.progress import Progress
from isobuilder.rehearsal.milestones import LIMITS, SLOWER, Milestone, stages
from isobuilder.rehearsal.topology import MachineWish, Topology
from isobuilder.rehearsal.trip import CONSOLE_LOG, SCREEN, SLICE, Start, Trip
from isobuilder.rehearsal.verdict import Rehearsal, Way

DISK = "disk.qcow2"
SWITCH = "switch"
SWITCH_SECONDS = 20.0


def rehearse(
    iso: Path,
    topology: Topology,
    *,
    output: Path,
    keep: bool,
    progress: Progress,
    choose_accelerator: Callable[[Hardware, Progress], Accelerator] = accelerator,
) -> Rehearsal:
    """Let every machine of `topology` go its way with the medium `iso`, and say how far each came.

    Each gets a folder below `output` with its console, its last screen and its disk, which goes at the end unless it is
    to be kept. A machine that gets lost is no error but a verdict. Raises UsageError for a role that is not on the
    medium or talks on no serial console, or a firmware that its machines have not; MediumError for a medium that is not
    ours; AnswersError for answers that the wizard would not take; HostError when a tool or a file is missing. Whatever
    happens, no machine runs afterwards.
    """
    hardware = hardware_for(iso)
    require("qemu-img", "qemu-utils")
    starts = _starts(iso, topology, hardware)
    sticks = _sticks(topology)
    sha256 = _sha256(iso)
    kind = choose_accelerator(hardware, progress)
    names = [machine.name for machine in topology.machine if machine.mac]
    try:
        for name in starts:
            (output / name).mkdir(parents=True, exist_ok=True)
            for part in (DISK, "variables", CONSOLE_LOG, SCREEN):
                (output / name / part).unlink(missing_ok=True)
    except OSError as error:
        raise HostError(f"{error.filename}: cannot be made: {error.strerror}") from error
    with _network(names) as folder:
        crew = _Crew(iso, topology, starts, sticks, hardware, kind, output, folder, progress)
        try:
            ways = crew.go()
        finally:
            if not keep:
                for name in starts:
                    (output / name / DISK).unlink(missing_ok=True)
    return Rehearsal(iso, sha256, kind, ways)


def _starts(iso: Path, topology: Topology, hardware: Hardware) -> dict[str, Start]:
    """What each machine starts. Raises UsageError with what is wrong with any of them."""
    starts: dict[str, Start] = {}
    mistakes: list[str] = []
    for machine in topology.machine:
        try:
            starts[machine.name] = _start(iso, machine, hardware)
        except UsageError as error:
            mistakes.append(str(error))
    if mistakes:
        raise UsageError(f"{iso}: not every machine can start from it", details=mistakes)
    return starts


def _start(iso: Path, machine: MachineWish, hardware: Hardware) -> Start:
    if machine.firmware not in hardware.firmware:
        said = f"the medium is for {hardware.arch}, and {NAMES[machine.firmware]} cannot be had for that here"
        raise UsageError(f"{machine.name}: {said}")
    menu = read_menu(iso, machine.firmware)
    line = menu.on_serial(machine.role, asked=machine.name)
    return Start(menu, line, serial_port(menu, line, hardware, asked=machine.name))


def _sticks(topology: Topology) -> dict[Path, Stick]:
    """A stick for each answers file."""
    paths = sorted({machine.answers for machine in topology.machine if machine.answers})
    if mistakes := check_files(paths).mistakes:
        raise AnswersError("the answers of these machines cannot be", details=mistakes)
    try:
        return {path: Stick(STICK_LABEL, {STICK_FILE.lstrip("/"): path.read_bytes()}) for path in paths}
    except OSError as error:
        raise HostError(f"{error.filename}: cannot be read: {error.strerror}") from error


@dataclass
class _Crew:
    """All machines, and what each waits for."""

    iso: Path
    topology: Topology
    starts: dict[str, Start]
    sticks: dict[Path, Stick]
    hardware: Hardware
    accelerator: Accelerator
    output: Path
    network: Path
    progress: Progress
    stop: threading.Event = field(default_factory=threading.Event)

    def go(self) -> tuple[Way, ...]:
        """Run all, and give their ways in the topology's order."""
        machines = self.topology.machine
        self._arrived = {machine.name: threading.Event() for machine in machines}
        self._done = {machine.name: threading.Event() for machine in machines}
        self._lost: dict[str, Milestone] = {}
        with ThreadPoolExecutor(len(machines)) as pool:
            running = [pool.submit(self._way, machine) for machine in machines]
            try:
                return tuple(one.result() for one in running)
            finally:
                # After a failure to start one, or an interrupt, the others end as well.
                self.stop.set()

    def _way(self, machine: MachineWish) -> Way:
        start = self.starts[machine.name]
        groups = stages(machine.until, installs=start.line.kernel_line is not None)
        trip = Trip(machine, groups, self._limits(), self.stop, self.progress, self.output / machine.name)
        try:
            if waits := self._waiting(machine):
                trip.lose(groups[0][0], waits)
                return trip.way()
            self._drive(machine, start, trip)
            return trip.way()
        except BaseException:
            self.stop.set()
            raise
        finally:
            if trip.failed:
                self._lost[machine.name] = trip.failed
            self._arrived[machine.name].set()
            self._done[machine.name].set()

    def _waiting(self, machine: MachineWish) -> str:
        """Wait for the others; why this one cannot start after all."""
        for name in machine.waits_for:
            event = (self._done if name == machine.start_from else self._arrived)[name]
            while not event.wait(SLICE):
                if self.stop.is_set():
                    return "the rehearsal was stopped"
            if name in self._lost:
                return f"not started: {name} did not pass {self._lost[name]}"
        return ""

    def _drive(self, machine: MachineWish, start: Start, trip: Trip) -> None:
        home = self.output / machine.name
        base = self.output / machine.start_from / DISK if machine.start_from else None
        make_disk(home / DISK, machine.disk_gib, base)
        card = port_arguments("lan", machine.name, SWITCH, machine.mac) if machine.mac else []
        wanted = Machine(
            machine.firmware,
            machine.medium,
            memory_mib=machine.memory_mib,
            serial_port=start.serial_port,
            hardware=self.hardware,
            restarts=True,
            home=home,
            network=tuple(card),
            network_folder=self.network,
            stick=self.sticks[machine.answers] if machine.answers else None,
        )
        disk = KeptDisk(home / DISK, machine.serial or machine.name[:20])
        log = home / CONSOLE_LOG
        with VirtualMachine(wanted, self.iso, accelerator=self.accelerator, console_log=log, disk=disk) as vm:
            try:
                trip.follow(vm, start)
            except BootError as error:
                trip.lose(trip.waiting_for, error.message)
            trip.look_back(vm)
            self._arrived[machine.name].set()
            # Others may talk to it until they have arrived too.
            while machine.mac and not self.stop.is_set() and not vm.ended and not self._all_arrived():
                vm.rest(SLICE)

    def _all_arrived(self) -> bool:
        return all(self._arrived[machine.name].is_set() for machine in self.topology.machine if machine.mac)

    def _limits(self) -> dict[Milestone, float]:
        factor = SLOWER if self.accelerator == "tcg" else 1.0
        return {each: seconds * factor for each, seconds in {**LIMITS, **self.topology.limits}.items()}


def _sha256(iso: Path) -> str:
    try:
        with iso.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise HostError(f"{iso}: cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def _network(names: list[str]) -> Iterator[Path]:
    """A folder with the sockets of the private network, whose switch serves these machines while the context lasts."""
    with tempfile.TemporaryDirectory(prefix="isobuilder-lan-") as folder:
        if not names:
            yield Path(folder)
            return
        # As with QEMU: it ends when this process is killed. Ctrl-C at a terminal is for this process alone.
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-P", "-m", "isobuilder.boot.switch", SWITCH]
        with subprocess.Popen(
            [*command, *names], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=folder, process_group=0
        ) as switch:
            try:
                _wait_until_it_serves(switch)
                yield Path(folder)
            finally:
                switch.kill()


def _wait_until_it_serves(switch: subprocess.Popen[bytes]) -> None:
    ready, _, _ = select.select([switch.stdout], [], [], SWITCH_SECONDS) if switch.stdout else ([], [], [])
    if not ready or ready[0].readline() != b"serving\n":
        raise HostError("the switch of the private network does not start")
