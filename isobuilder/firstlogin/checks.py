"""What is looked at before anything is changed, and again at the end: does the machine do, and did it work?"""

from typing import Iterator, List

from . import machine as machines
from . import network, probes, rules, services
from .effects import Effects
from .model import FAIL, PASS, WARN, Answers, Line, Machine
from .questions import main_port

# What the system itself needs, in MiB.
_LEAST_MEMORY = 480
_LEAST_DISK = 200
_VIRTUALIZATION = ("vmx", "svm")
# A clock that is further off, in seconds, is worth a word.
_OFFSET = 60
_ASKED_AT_MOST = 3


def preflight(answers: Answers, machine: Machine, effects: Effects) -> List[Line]:
    """Memory, disk, CPU, address, gateway, name resolution, time: before anything is changed."""
    return [
        _memory(machine),
        _disk(machine),
        _cpu(machine),
        _address(answers, machine),
        *_gateway(answers, machine, effects),
        *_name_servers(answers, machine, effects),
        *_time(answers, machine, effects),
    ]


def _memory(machine: Machine) -> Line:
    what = f"memory: {machine.memory_mib} MiB"
    if machine.memory_mib < _LEAST_MEMORY:
        return Line(FAIL, what, f"The system itself needs {_LEAST_MEMORY} MiB: give this machine more.")
    if machine.memory_mib < machine.role.memory_mib:
        return Line(WARN, what, f"{machine.role.memory_mib} MiB are recommended for this role.")
    return Line(PASS, what)


def _disk(machine: Machine) -> Line:
    what = f"disk: {machine.disk_free_mib} MiB free in /var"
    if machine.disk_free_mib < _LEAST_DISK:
        return Line(FAIL, what, f"Make room: {_LEAST_DISK} MiB at least. See df -h.")
    if machine.disk_free_mib >> 10 < machine.role.disk_gib:
        return Line(WARN, what, f"{machine.role.disk_gib} GiB are recommended for this role.")
    return Line(PASS, what)


def _cpu(machine: Machine) -> Line:
    wanted = machine.role.cpu_flags
    there = [flag for flag in (*wanted, *_VIRTUALIZATION) if flag in machine.cpu_flags]
    if there:
        return Line(PASS, f"CPU: has {there[0]}")
    if wanted:
        remedy = "Switch virtualization on in the firmware's setup (VT-x, AMD-V, SVM)."
        return Line(WARN, "CPU: has none of {}".format(", ".join(wanted)), remedy)
    return Line(PASS, "CPU: cannot run virtual machines, and this role needs none")


def _address(answers: Answers, machine: Machine) -> Line:
    if answers["address"] == rules.DHCP:
        port = main_port(machine, answers)
        remedy = "Have the DHCP server keep one address for %s." % (port.mac if port else "this machine")
        return Line(WARN, "address: from DHCP, not static", remedy)
    return Line(PASS, "address: static, {}".format(answers["address"]))


def _gateway(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Line]:
    address = answers.get("gateway", rules.NONE)
    port = main_port(machine, answers)
    if address == rules.NONE or port is None:
        return
    said = probes.someone_has(effects, port.bridge or port.name, address)
    if said == probes.ANSWERED:
        yield Line(PASS, f"gateway: {address} answers")
    elif said == probes.SILENT:
        remedy = f"Is it switched on, and on the wire of {port.name}?"
        yield Line(WARN, f"gateway: nobody answers at {address}", remedy)
    else:
        yield Line(WARN, f"gateway: {address} could not be asked", "It is asked again at the end.")


def _name_servers(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Line]:
    servers = machine.name_servers if answers["dns"] == rules.AUTO else tuple(answers["dns"].split())
    if not servers:
        yield Line(WARN, "name resolution: no DNS server is known yet", "DHCP should say one.")
    for server in servers[:_ASKED_AT_MOST]:
        if probes.name_server_answers(effects, server, answers["hostname"]):
            yield Line(PASS, f"name resolution: {server} answers")
        else:
            remedy = "Is it reachable, and is its port 53 open to this machine?"
            yield Line(WARN, f"name resolution: {server} does not answer", remedy)


def _time(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Line]:
    if not machine.time_service:
        yield Line(WARN, "time: neither chrony nor ntpd is installed", "Machines of a cloud must agree on the time.")
        return
    servers = machine.time_servers if answers["ntp"] == rules.KEEP else tuple(answers["ntp"].split())
    for server in servers[:_ASKED_AT_MOST]:
        offset = probes.clock_offset(effects, server)
        if offset is None:
            continue
        if abs(offset) > _OFFSET:
            remedy = f"{machine.time_service} sets it; if it does not, set it with: date -s"
            yield Line(WARN, f"time: the clock is {int(abs(offset))} seconds off that of {server}", remedy)
        else:
            yield Line(PASS, f"time: the clock agrees with {server}")
        return
    remedy = "Is one of them reachable, and is UDP port 123 open to this machine?"
    yield Line(WARN, "time: no server answers (%s)" % (", ".join(servers[:_ASKED_AT_MOST]) or "none is set"), remedy)


def proofs(answers: Answers, machine: Machine, effects: Effects) -> List[Line]:
    """The machine as it is now, against the answers."""
    return [
        _has_name(answers, machine),
        *_has_address(answers, machine, effects),
        *_resolves(answers, effects),
        *_gateway(answers, machine, effects),
        *_name_servers(answers, machine, effects),
        *_keeps_time(machine, effects),
    ]


def _has_name(answers: Answers, machine: Machine) -> Line:
    if machine.hostname == answers["hostname"]:
        return Line(PASS, f"host name: {machine.hostname}")
    return Line(FAIL, f"host name: still {machine.hostname or 'none'}", "Run: hostname {}".format(answers["hostname"]))


def _has_address(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Line]:
    port = network.holder(answers, machine)
    if port is None:
        yield Line(FAIL, "address: the main port is gone", "Look at: ip link")
        return
    now = machines.addresses(effects).get(port.holder, ())
    if port.address == rules.DHCP and now:
        yield Line(PASS, f"address: {now[0]} on {port.holder}, from DHCP")
    elif port.address in now:
        yield Line(PASS, f"address: {port.address} on {port.holder}")
    else:
        yield Line(FAIL, "address: {} has {}".format(port.holder, ", ".join(now) or "none"), "Look at: ip addr; dmesg")
    interface, gateway = machines.default_route(effects)
    if port.gateway and (interface, gateway) != (port.holder, port.gateway):
        what = "default route: %s" % (f"through {gateway} on {interface}" if interface else "there is none")
        yield Line(FAIL, what, f"It should go through {port.gateway} on {port.holder}.")


def _resolves(answers: Answers, effects: Effects) -> Iterator[Line]:
    words = effects.run("getent", "hosts", answers["hostname"], timeout=30).output.split()
    expected = answers["address"].partition("/")[0]
    if "/" in answers["address"] and (not words or words[0] != expected):
        said = words[0] if words else "nothing"
        yield Line(FAIL, f"own name: leads to {said}, not to {expected}", "Look at /etc/hosts.")
    elif words:
        yield Line(PASS, f"own name: leads to {words[0]}")
    else:
        yield Line(WARN, "own name: leads nowhere", "Have the DNS server know {}.".format(answers["hostname"]))


def _keeps_time(machine: Machine, effects: Effects) -> Iterator[Line]:
    if not machine.time_service:
        return
    if services.is_so(machine.facts.init, "running", machine.time_service, effects):
        yield Line(PASS, f"time: {machine.time_service} is running")
    else:
        yield Line(WARN, f"time: {machine.time_service} is not running", "Look into its log.")
