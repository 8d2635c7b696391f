"""What the machine proposes for an answer about a cloud, and what an answer comes to."""

import ipaddress
from typing import Callable, List, Optional

from .. import rules as machine_rules
from ..model import Answers, Machine
from ..questions import main_port
from . import editions, rules, sizes
from .editions import FRONT_END, Mode

MODE = "network-mode"


def mode_of(machine: Machine, answers: Answers) -> Optional[Mode]:
    """The networking mode that was answered, if this machine's cloud has it."""
    edition = editions.of_machine(machine)
    return edition.mode(answers.get(MODE, "")) if edition else None


def holder(machine: Machine, answers: Answers) -> str:
    """The interface that has the machine's address: the bridge, or the main port."""
    bridge = answers.get("bridge", rules.NONE)
    port = main_port(machine, answers)
    return bridge if bridge != rules.NONE else (port.name if port else "")


def own_networks(machine: Machine, answers: Answers) -> List[ipaddress.IPv4Network]:
    """The networks that this machine will be in, by its answers, or by what it has now where those say dhcp or keep."""
    found = []
    main = main_port(machine, answers)
    for port in machine.ports:
        is_main = main is not None and port.name == main.name
        said = answers.get("address" if is_main else f"address.{port.name}", machine_rules.KEEP)
        if "/" in said:
            found.append(machine_rules.split(said)[1])
        elif said != machine_rules.OFF:
            found += [machine_rules.split(one)[1] for one in port.addresses]
    return found


def main_network(machine: Machine, answers: Answers) -> Optional[ipaddress.IPv4Network]:
    return next(iter(own_networks(machine, answers)), None)


def taken_networks(machine: Machine, answers: Answers) -> List[ipaddress.IPv4Network]:
    """Networks that this machine is on or routes to."""
    others = [machine_rules.split(one)[1] for _, one in machine.others]
    return [*own_networks(machine, answers), *others, *(ipaddress.IPv4Network(one) for one, _ in machine.routes)]


def modes(machine: Machine) -> List[str]:
    edition = editions.of_machine(machine)
    return [f"{mode.name:<15} {mode.summary}" for mode in edition.modes] if edition else []


def first_mode(machine: Machine, _answers: Answers) -> str:
    edition = editions.of_machine(machine)
    return edition.mode_names[0] if edition else ""


def private_interface(machine: Machine, answers: Answers) -> str:
    mode = mode_of(machine, answers)
    others = [port.name for port in machine.ports if port.link and port.name != answers.get("public-interface")]
    second = [name for name in others if answers.get(f"address.{name}", machine_rules.OFF) != machine_rules.OFF]
    if second and mode and "VNET_PRIVINTERFACE" in mode.front_end and FRONT_END in machine.role.parts:
        return second[0]
    return answers.get("public-interface", holder(machine, answers))


def own_address(_machine: Machine, answers: Answers) -> str:
    """The static address that this machine gets, or ""."""
    said = answers.get("address", "")
    return said.partition("/")[0] if "/" in said else ""


def private_subnet(machine: Machine, answers: Answers) -> str:
    mode = mode_of(machine, answers)
    if mode and "private-addresses" in mode.questions:
        network = main_network(machine, answers)
        return str(network) if network else ""
    return sizes.free_subnet(taken_networks(machine, answers)) or ""


def instance_gateway(machine: Machine, answers: Answers) -> str:
    gateway = answers.get("gateway", machine.gateway)
    subnet = answers.get("private-subnet")
    if not subnet or gateway in ("", rules.NONE):
        return ""
    return gateway if ipaddress.IPv4Address(gateway) in ipaddress.IPv4Network(subnet) else ""


def instance_dns(machine: Machine, answers: Answers) -> str:
    said = answers.get("dns", rules.AUTO)
    servers = machine.name_servers if said == rules.AUTO else said.split()
    mode = mode_of(machine, answers)
    most = 3 if mode is None or mode.document else 1
    return " ".join([one for one in servers if not one.startswith("127.")][:most])


def domain(machine: Machine, answers: Answers) -> str:
    own = answers.get("hostname", machine.hostname).partition(".")[2]
    try:
        return machine_rules.hostname(f"cloud.{own}")
    except machine_rules.AnswerError:
        return ""


def per_net(_machine: Machine, answers: Answers) -> str:
    subnet = answers.get("private-subnet")
    return str(sizes.recommended_per_net(subnet)) if subnet else ""


def groups(_machine: Machine, answers: Answers) -> str:
    number, subnet = int(answers["addresses-per-net"]), answers.get("private-subnet")
    said = f"A security group can have {sizes.per_group(number)} instances"
    return f"{said}, and there can be {sizes.groups(subnet, number)} groups." if subnet else said + "."


def number_of(key: str, what: str) -> "Callable[[Machine, Answers], str]":
    """What says how many addresses an answer has."""
    return lambda _machine, answers: f"{rules.count(rules.ranges_of(answers[key]))} {what}."


def room(machine: Machine, answers: Answers) -> str:
    edition = editions.of_machine(machine)
    said = answers["instance-disk"]
    return (
        sizes.room(edition, machine, sizes.stores(machine)[0] if said == rules.AUTO else int(said)) if edition else ""
    )
