"""The questions of the machine part, a row each, in the order in which they are asked.

The same rows make the dialogue, the answers file and its documentation. A question of a port other than the main one
exists once for each: its key is `address.` and the port's name.
"""

import ipaddress
from typing import Callable, Dict, List, Optional, Sequence

from . import rules
from .model import Answers, Machine, Port, Question

OTHER_PORT = "address."


def _default_hostname(machine: Machine, _answers: Answers) -> str:
    try:
        return rules.hostname(machine.hostname)
    except rules.AnswerError:
        return ""


def main_port(machine: Machine, answers: Answers) -> Optional[Port]:
    """The port that leads to the gateway: the one that was answered, or the one that looks like it."""
    return machine.port(answers.get("interface", machine.main))


def _default_address(machine: Machine, answers: Answers) -> str:
    port = main_port(machine, answers)
    return (port.configured if port else "") or rules.DHCP


def _default_gateway(machine: Machine, answers: Answers) -> str:
    address = answers.get("address", rules.DHCP)
    if address == rules.DHCP:
        return ""
    own, network = rules.split(address)
    if machine.gateway and machine.gateway != own and ipaddress.IPv4Address(machine.gateway) in network:
        return machine.gateway
    # Where routers usually are.
    first = str(network[1])
    return first if first != own else str(network[-2])


def _ports(machine: Machine) -> List[str]:
    rows = []
    for port in machine.ports:
        state = "cable in" if port.link else "no cable"
        rows.append(f"{port.name:<15} {port.mac}  {state}  {', '.join(port.addresses)}".rstrip())
    return rows


def _default_name_servers(machine: Machine, answers: Answers) -> str:
    if answers.get("address") == rules.DHCP:
        return rules.AUTO
    usable = [one for one in machine.name_servers if not one.startswith("127.")]
    if usable:
        return " ".join(usable[:3])
    router = answers.get("gateway", rules.NONE)
    return "" if router == rules.NONE else router


def _default_time_servers(_machine: Machine, _answers: Answers) -> str:
    return rules.KEEP


def _default_time_zone(machine: Machine, _answers: Answers) -> str:
    return machine.time_zone or "UTC"


def _default_bridge(machine: Machine, answers: Answers) -> str:
    port = main_port(machine, answers)
    return (port.bridge if port else "") or machine.role.bridge or rules.NONE


def _is_static(answers: Answers) -> bool:
    return answers.get("address", rules.DHCP) != rules.DHCP


QUESTIONS = (
    Question(
        key="hostname",
        prompt="Host name",
        help="The full name of this machine, with its domain. Other machines and people call it by this name, and it "
        "should stay the same as long as the machine lives.",
        example="front.example.org",
        rule=rules.hostname,
        default=_default_hostname,
        needed=True,
    ),
    Question(
        key="interface",
        prompt="Main network port",
        help="The port that leads to the gateway, and so to other networks. The machine has one default route, and it "
        "goes through this port.",
        example="eth0",
        rule=rules.interface,
        default=lambda machine, _answers: machine.main,
        listing=_ports,
    ),
    Question(
        key="address",
        prompt="Address of {port}: dhcp, or ADDRESS/PREFIX",
        help="dhcp asks a server on the network for an address each time. An address of your own comes with the length "
        "of its network's prefix; a netmask will do as well. Machines of a cloud know each other by their addresses: "
        "take one that never changes, or one that the DHCP server keeps for this machine alone.",
        example="192.168.1.10/24 (the same as 192.168.1.10/255.255.255.0)",
        rule=rules.main_address,
        default=_default_address,
        needed=True,
    ),
    Question(
        key="gateway",
        shared=True,
        prompt="Gateway, or none",
        help="The router in this machine's network that leads to all other networks. With none, the machine reaches "
        "only what is in its own networks.",
        example="192.168.1.1",
        rule=rules.gateway,
        default=_default_gateway,
        asked=_is_static,
        needed=True,
    ),
    Question(
        key="dns",
        shared=True,
        prompt="DNS servers",
        help="One to three addresses of name servers, with a space between them. auto takes those that DHCP gives.",
        example="192.168.1.1 192.168.1.2",
        rule=rules.name_servers,
        default=_default_name_servers,
        needed=True,
    ),
    Question(
        key="bridge",
        prompt="Bridge for virtual machines, or none",
        help="Virtual machines on this machine reach the network through a bridge. The address moves from the port to "
        "the bridge, and the port becomes one of its ends. A machine that runs none needs no bridge.",
        example="br0",
        rule=rules.bridge,
        default=_default_bridge,
    ),
    Question(
        key="ntp",
        shared=True,
        prompt="Time servers, or keep",
        help="Names or addresses of NTP servers, with a space between them. All machines of a cloud must agree on the "
        "time, so give all of them the same servers. keep leaves those of this machine's configuration.",
        example="ntp1.example.org ntp2.example.org",
        rule=rules.time_servers,
        default=_default_time_servers,
    ),
    Question(
        key="timezone",
        shared=True,
        prompt="Time zone",
        help="The time zone that this machine shows times in, by its name in the time zone database. The clock itself "
        "runs in UTC.",
        example="Europe/Rome, America/New_York, UTC",
        rule=rules.time_zone,
        default=_default_time_zone,
    ),
)

_PORT_QUESTION = Question(
    key=OTHER_PORT + "PORT",
    prompt="Address of {port}: keep, off, dhcp, or ADDRESS/PREFIX",
    help="Another port of this machine. keep leaves its configuration as it is; off means that it is not used. The "
    "default route never goes through it.",
    example="10.0.0.10/24",
    rule=rules.port_address,
    default=lambda _machine, _answers: rules.KEEP,
)

_BY_KEY: Dict[str, Question] = {question.key: question for question in QUESTIONS}


def documented() -> Sequence[Question]:
    """Every question once, for documentation: that of other ports under the key address.PORT."""
    rows = list(QUESTIONS)
    rows.insert([row.key for row in rows].index("dns"), _PORT_QUESTION)
    return rows


def question(key: str) -> Optional[Question]:
    """The question that has this key in an answers file, or None."""
    if key in _BY_KEY:
        return _BY_KEY[key]
    if not key.startswith(OTHER_PORT):
        return None
    try:
        name = rules.interface(key[len(OTHER_PORT) :])
    except rules.AnswerError:
        return None
    return of_port(name) if OTHER_PORT + name == key else None


def of_port(name: str) -> Question:
    """The question of another port."""
    return _PORT_QUESTION._replace(key=OTHER_PORT + name)


def rule_of(key: str) -> Optional[Callable[[str], str]]:
    """The rule for a key of an answers file, or None."""
    found = question(key)
    return found.rule if found else None


def known_keys() -> List[str]:
    return [row.key for row in documented()]


def for_machine(machine: Machine, answers: Answers) -> List[Question]:
    """The questions that arise on this machine, as far as the answers so far tell."""
    rows: List[Question] = []
    main = answers.get("interface", machine.main)
    for row in QUESTIONS:
        if row.key == "dns":
            rows += [of_port(port.name) for port in machine.ports if port.name != main]
        if row.key == "interface" and len(machine.ports) < 2 and "interface" not in answers:
            continue
        if row.key == "bridge" and not machine.role.bridge and "bridge" not in answers:
            continue
        if row.asked(answers):
            rows.append(row)
    return rows
