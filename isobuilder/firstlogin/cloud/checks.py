"""How a part of a cloud is doing: before anything is changed, after it, and whenever somebody asks."""

import re
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from .. import services as machine_services
from ..effects import Effects
from ..model import FAIL, PASS, WARN, Answers, Line, Machine
from . import documents, editions, hypervisor, motd, nodes, proposals, services
from .admin import LOCAL, as_admin
from .editions import CONF, FRONT_END, NODE, Edition

# Services of these types must be enabled for a cloud to be of use.
_KINDS = ("eucalyptus", "user-api", "walrusbackend", "cluster", "storage")
_LOG = "Its log is in /var/log/eucalyptus."


def preflight(answers: Answers, machine: Machine, effects: Effects) -> Sequence[Line]:
    """Whether the cloud's software is there, and the machine can do what its part needs."""
    if not machine.role.parts:
        return []
    edition = editions.of_machine(machine)
    if edition is None:
        said = f"cloud: this wizard does not know {machine.role.cloud or 'which cloud this is'}"
        return [Line(WARN, said, "The machine's own part is set up, and nothing of the cloud.")]
    return [*_preflight(edition, answers, machine, effects)]


def _preflight(edition: Edition, answers: Answers, machine: Machine, effects: Effects) -> Iterator[Line]:
    commands = []
    if FRONT_END in machine.role.parts:
        commands += ["clcadmin-initialize-cloud", "euserv-register-service", "clusteradmin-register-nodes"]
    missing = [name for name in commands if not effects.has_command(name)]
    missing += [] if effects.exists(CONF) else [CONF]
    if missing:
        remedy = "Install the packages of this role again."
        yield Line(FAIL, "cloud: {} missing".format(" and ".join(missing)), remedy)
    else:
        yield Line(PASS, f"cloud: {edition.title} is installed")
    mode = proposals.mode_of(machine, answers)
    needed = documents.needed_variables(mode, machine.role.parts) if mode else []
    if "VNET_DHCPDAEMON" in needed and not effects.exists(documents.DHCP_DAEMON):
        yield Line(FAIL, f"cloud: {documents.DHCP_DAEMON} is missing", "Install the package dhcp.")
    if NODE in machine.role.parts:
        yield from hypervisor.preflight(machine, effects)
        yield from hypervisor.hook_lines(effects)


def cloud_services(effects: Effects) -> Optional[List[Tuple[str, str, str]]]:
    """Type, name and state of each service that the cloud knows; None where it says nothing."""
    result = effects.run(*services.DESCRIBE, timeout=120)
    if result.code:
        return None
    # The zone is left out where there is none.
    found = re.findall(r"(?m)^SERVICE\s+(\S+)\s+(?:\S+\s+)??(\S+)\s+([a-z]+)\s*$", result.output)
    return [(kind, name, state) for kind, name, state in found]


def proofs(answers: Answers, machine: Machine, effects: Effects) -> Sequence[Line]:
    """The cloud as it is now."""
    edition = editions.of_machine(machine)
    mode = proposals.mode_of(machine, answers)
    if edition is None or mode is None:
        return []
    lines: List[Line] = []
    if FRONT_END in machine.role.parts:
        lines += [*_front_end(effects)]
    names = services.readers(edition, mode, machine.role.parts)
    return [*lines, *(_runs(name, machine, effects) for name in names)]


def _runs(name: str, machine: Machine, effects: Effects) -> Line:
    if machine_services.is_so(machine.facts.init, "running", name, effects):
        return Line(PASS, f"service {name}: running")
    return Line(FAIL, f"service {name}: not running", _LOG)


def _front_end(effects: Effects) -> Iterator[Line]:
    found = cloud_services(effects)
    if found is None:
        yield Line(FAIL, "cloud: does not answer", "Is eucalyptus-cloud running? " + _LOG)
        return
    by_kind: Dict[str, List[str]] = {}
    for kind, _, state in found:
        by_kind.setdefault(kind, []).append(state)
    for kind in _KINDS:
        states = by_kind.get(kind, [])
        if "enabled" in states:
            yield Line(PASS, f"cloud: {kind} is enabled")
        else:
            yield Line(FAIL, "cloud: {} is {}".format(kind, ", ".join(states) or "not registered"), _LOG)
    lines = nodes.listed(effects)
    yield from lines
    if not lines:
        yield Line(WARN, "nodes: none yet", "Add one: cloud-setup nodes add ADDRESS")
    yield _room(effects)


def zones(effects: Effects) -> List[Tuple[str, int, int]]:
    """Sizes of instances, and of each how many more there is room for and how many at most, over all zones."""
    result = effects.run(*as_admin("euca-describe-availability-zones", "verbose", *LOCAL), timeout=120)
    found = re.findall(r"(?m)^AVAILABILITYZONE\s+\|-\s+(\S+)\s+0*([0-9]+)\s*/\s*0*([0-9]+)", result.output)
    return [(name, int(free), int(most)) for name, free, most in found] if result.code == 0 else []


def _room(effects: Effects) -> Line:
    rooms = zones(effects)
    fitting = [f"{free} {name}" for name, free, _ in rooms if free][:3]
    if fitting:
        return Line(PASS, "room: for {}".format(" or ".join(fitting)))
    remedy = "Add a node, or see why those that are there have none: cloud-setup nodes list"
    return Line(WARN, "room: for no instance" if rooms else "room: the cloud does not say", remedy)


def status(answers: Answers, machine: Machine, effects: Effects) -> Sequence[Tuple[str, str]]:
    """What this part of a cloud is and how it is doing, in a few words each."""
    edition = editions.of_machine(machine)
    if edition is None:
        return []
    parts = machine.role.parts
    rows = [
        ("cloud", f"{edition.title}: {motd.what_it_is(parts)}"),
        ("mode", answers.get(proposals.MODE, "not set up")),
    ]
    if FRONT_END in parts:
        found = cloud_services(effects)
        bad = [f"{kind} {state}" for kind, _, state in found or () if state not in ("enabled", "disabled")]
        said = "does not answer" if found is None else ", ".join(bad) or f"all {len(found)} as they should be"
        known, seen = nodes.registered(effects), nodes.states(effects) or {}
        up = [address for address in known if seen.get(address) == "enabled"]
        rows += [("services", said), ("nodes", f"{len(up)} of {len(known)} enabled")]
        rooms = " or ".join(f"{free} {name}" for name, free, _ in zones(effects)[:3])
        rows += [("room", rooms or "unknown"), ("console", f"https://{services.own_address(answers, machine)}/")]
    elif edition.node_services:
        name = edition.node_services[0]
        running = machine_services.is_so(machine.facts.init, "running", name, effects)
        rows.append((name, "running" if running else "not running"))
        rows.append(("front end", answers.get("front-end", "unknown")))
    return rows
