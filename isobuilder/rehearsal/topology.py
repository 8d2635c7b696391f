"""TOPOLOGY.toml: the machines of a rehearsal, read into frozen values with every mistake reported at once."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from isobuilder.boot.drives import SERIAL_LENGTH
from isobuilder.boot.firmware import Firmware
from isobuilder.boot.hardware import Medium
from isobuilder.errors import DefinitionError
from isobuilder.rehearsal.milestones import MILESTONES, Milestone
from isobuilder.schema import Many, Matching, Table, did_you_mean, load_toml

# Names of machines are names of folders and of sockets.
Name = Annotated[str, Matching(r"[a-z][a-z0-9-]{0,30}", "a name: a small letter, then small letters, digits and -")]
Serial = Annotated[str, Matching(rf"[A-Za-z0-9_-]{{1,{SERIAL_LENGTH}}}", f"at most {SERIAL_LENGTH} letters and digits")]
Mac = Annotated[str, Matching(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}", "a MAC address like 52:54:00:12:34:56")]


class Typed(Table):
    """What somebody at the serial console types once the regular expression `expect` is there; empty: at once."""

    expect: str
    send: str


class MachineWish(Table):
    """One machine: what it starts, and how far it is to come.

    `role` is the id of a menu entry. With `start_from` its disk begins as that machine left its own, which must have
    ended. One with a `mac` has a network card in the network of the rehearsal, and stays on until all are done. `typed`
    begins when the login prompt is there. `answers` is an answers file for the wizard, on a stick in it; a path
    without a slash at its start begins at the topology's folder.
    """

    name: Name
    role: str
    firmware: Firmware = "uefi"
    medium: Medium = "cdrom"
    disk_gib: Annotated[int, Field(ge=1, le=16384)] = 100
    serial: Serial | None = None
    memory_mib: Annotated[int, Field(ge=64, le=1 << 20)] = 4096
    mac: Mac | None = None
    until: Milestone = "checked"
    after: Many[Name] = ()
    start_from: Name | None = None
    typed: Many[Typed] = ()
    answers: Annotated[Path, Field(strict=False)] | None = None

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Machines that must have come where they should before this one starts."""
        return (*self.after, *([self.start_from] if self.start_from else []))


class Topology(Table):
    """The machines, and seconds (with KVM; three times as many without) for milestones that need other limits."""

    version: Literal[1]
    machine: Annotated[Many[MachineWish], Field(min_length=1)]
    limits: dict[Milestone, Annotated[int, Field(ge=1, le=86400)]] = Field(default_factory=dict)


def load_topology(path: Path) -> Topology:
    """Read `path`. Raises DefinitionError with all mistakes."""
    topology = load_toml(path, Topology, "topology")
    if mistakes := list(_mistakes(topology)):
        raise DefinitionError(f"{path}: the machines do not go together", details=mistakes)
    machines = [
        machine.model_copy(update={"answers": path.parent / machine.answers}) if machine.answers else machine
        for machine in topology.machine
    ]
    return topology.model_copy(update={"machine": tuple(machines)})


def chosen(topology: Topology, names: tuple[str, ...]) -> Topology:
    """The topology with these machines and those that they wait for; all of it for no names.

    Raises DefinitionError for a name that is not there.
    """
    known = {machine.name: machine for machine in topology.machine}
    for name in names:
        if name not in known:
            raise DefinitionError(f"--machine: the topology has no {name!r}{did_you_mean(name, known)}")
    wanted, waiting = set[str](), list(names or known)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += known[name].waits_for
    return topology.model_copy(update={"machine": tuple(m for m in topology.machine if m.name in wanted)})


def _mistakes(topology: Topology) -> Iterator[str]:
    known: dict[str, MachineWish] = {}
    macs: dict[str, str] = {}
    for number, machine in enumerate(topology.machine, 1):
        where = f"machine[{number}]"
        if machine.name in known:
            yield f"{where}.name: {machine.name!r} is there already"
        if machine.mac and machine.mac in macs:
            yield f"{where}.mac: {macs[machine.mac]} has it already"
        for other in machine.waits_for:
            if other not in known:
                names = {each.name for each in topology.machine}
                said = "comes later, or is itself" if other in names else f"is no machine{did_you_mean(other, names)}"
                yield f"{where}: it waits for {other!r}, which {said}"
        base = known.get(machine.start_from or "")
        if base and (base.mac or MILESTONES.index(base.until) < MILESTONES.index("rebooted")):
            yield f"{where}.start-from: {base.name} must have no mac, and come to rebooted or further"
        for step, typed in enumerate(machine.typed, 1):
            try:
                re.compile(typed.expect)
            except re.error as error:
                yield f"{where}.typed[{step}].expect: no regular expression: {error}"
        known.setdefault(machine.name, machine)
        if machine.mac:
            macs.setdefault(machine.mac, machine.name)
