"""The machine part: host name, network, time. Every role of every product has it."""

from typing import Iterator, List

from . import checks, network, questions, rules, services, systemfiles
from . import machine as machines
from .effects import Effects
from .model import Answers, Command, File, Link, Machine, Part, Problem
from .shelltext import assigned


def suits(answers: Answers, machine: Machine, effects: Effects) -> List[Problem]:
    """What does not fit this machine."""
    return [
        *network.suits(answers, machine, effects),
        *_zone_exists(answers, effects),
        *_time_service_exists(answers, machine),
        *_stays_the_same(answers, machine),
    ]


def _zone_exists(answers: Answers, effects: Effects) -> Iterator[Problem]:
    zone = answers.get("timezone", "UTC")
    data = effects.read_bytes(f"{machines.ZONES}/{zone}", limit=4)
    # Without the database nobody can tell.
    if effects.names(machines.ZONES) and (data is None or data[:4] != b"TZif"):
        near = _zones_like(zone, effects)
        instead = "Is it one of {}?".format(", ".join(near)) if near else f"The names are those below {machines.ZONES}."
        yield Problem("timezone", f"There is no time zone {zone}", instead)


def _zones_like(zone: str, effects: Effects) -> List[str]:
    """Zones whose places begin alike: in the area that was given, or else anywhere."""
    area, _, place = zone.lower().rpartition("/")
    names = [
        f"{folder}/{name}"
        for folder in effects.names(machines.ZONES)
        # posix and right have all of it once more.
        if folder[:1].isupper()
        for name in effects.names(f"{machines.ZONES}/{folder}")
        if name[:3].lower() == place[:3]
    ]
    near = [name for name in names if name.lower().startswith(f"{area}/")] or names
    return sorted(near, key=lambda name: name.lower().rpartition("/")[2] != place)[:5]


def _time_service_exists(answers: Answers, machine: Machine) -> Iterator[Problem]:
    if answers.get("ntp", rules.KEEP) != rules.KEEP and not machine.time_service:
        yield Problem("ntp", "Neither chrony nor ntpd is installed", "Install one, or say keep.")


def _stays_the_same(answers: Answers, machine: Machine) -> Iterator[Problem]:
    port = questions.main_port(machine, answers)
    address = answers.get("address")
    if port is None or address is None:
        return
    if "/" in port.configured and port.configured != address:
        what = f"The address changes, from {port.configured} to {address}"
        yield Problem("address", what, "A cloud that knows this machine by the old one loses it.", warning=True)
    if address == rules.DHCP:
        what = "The address comes from DHCP, and must not change later"
        yield Problem("address", what, f"Have the DHCP server keep it for {port.mac}.", warning=True)


def wanted(answers: Answers, machine: Machine, effects: Effects) -> List[object]:
    """What makes the machine what the answers say. The network comes last: it may cut off who is looking."""
    return [
        *_hostname(answers, machine, effects),
        *_time_zone(answers, machine, effects),
        *_time_servers(answers, machine, effects),
        *network.wanted(answers, machine, effects),
    ]


def _hostname(answers: Answers, machine: Machine, effects: Effects) -> List[object]:
    name = answers["hostname"]
    address = answers["address"].partition("/")[0] if "/" in answers["address"] else ""
    hosts = systemfiles.hosts(effects.read("/etc/hosts") or "", name, address, _old_names(machine, name))
    rows: List[object] = [File("/etc/hosts", hosts)]
    # On 6 it stands in a file of the network's, and is written with those.
    if machine.facts.init == "systemd":
        rows.append(File("/etc/hostname", name + "\n"))
    if machine.hostname != name:
        undo = (("hostname", machine.hostname),) if machine.hostname else ()
        rows.append(Command(("hostname", name), "the running system takes the name", needed=True, undo=undo))
    return rows


def _old_names(machine: Machine, name: str) -> List[str]:
    old = machine.hostname
    return [old, old.partition(".")[0]] if old and old != name else []


def _time_zone(answers: Answers, machine: Machine, effects: Effects) -> List[object]:
    zone = answers["timezone"]
    rows: List[object] = [Link("/etc/localtime", f"../usr/share/zoneinfo/{zone}")]
    if machine.facts.init == "sysv":
        before = effects.read("/etc/sysconfig/clock") or ""
        rows.append(File("/etc/sysconfig/clock", assigned(before, "ZONE", f'"{zone}"')))
    return rows


def _time_servers(answers: Answers, machine: Machine, effects: Effects) -> List[object]:
    if answers["ntp"] == rules.KEEP or not machine.time_service:
        return []
    name, init = machine.time_service, machine.facts.init
    path = dict(machines.TIME_SERVICES)[name]
    text = systemfiles.time_configuration(effects.read(path) or "", name, answers["ntp"].split())
    running = services.is_so(init, "running", name, effects)
    stop, start = services.command(init, "stop", name), services.command(init, "start", name)
    # Stopped before and started after, so that on the way back it starts with its old file.
    stops = [Command(stop, "it reads its servers when it starts", (path,), undo=(start,))] if running else []
    return [
        *services.enabled(init, name, effects),
        *stops,
        *([File(path, text, effects.mode(path))] if text is not None else []),
        Command(start, f"it asks {answers['ntp']}", (path,), needed=not running, undo=(stop,)),
    ]


PART = Part(
    question=questions.question,
    documented=questions.documented,
    questions=questions.for_machine,
    fits=network.fits,
    suits=suits,
    wire=network.wire,
    preflight=checks.preflight,
    wanted=wanted,
    proofs=checks.proofs,
)
