"""What answers about a cloud's network mean together, on this machine, and on its wire."""

import ipaddress
from typing import Iterator, List, Optional, Sequence, Set, Tuple

from .. import probes
from .. import rules as machine_rules
from ..effects import Effects
from ..model import Answers, Machine, Problem
from . import documents, editions, hypervisor, rules, sizes
from .editions import FRONT_END, NODE, Mode
from .proposals import MODE, holder, mode_of, own_networks, taken_networks
from .questions import NODES, keys
from .rules import Range

Network = ipaddress.IPv4Network
# Each address that is asked for takes seconds.
_ASKED_AT_MOST = 8


def fits(answers: Answers) -> Iterator[Problem]:
    """What does not fit together in the answers themselves, on whatever machine."""
    mode = editions.EVERY_MODE.get(answers.get(MODE, ""))
    yield from _apart(answers)
    if mode is None:
        return
    if "private-addresses" in mode.questions:
        yield from _flat(answers)
    if "addresses-per-net" in mode.questions:
        yield from _managed(answers)
    if "mido-gateway" in mode.questions:
        yield from _midonet(answers)


def _number(address: str) -> int:
    return int(ipaddress.IPv4Address(address))


def _inside(number: int, ranges: Sequence[Range]) -> bool:
    return any(first <= number <= last for first, last in ranges)


def _within(one: Range, network: Network) -> bool:
    return int(network.network_address) <= one[0] and one[1] <= int(network.broadcast_address)


def _ends_of(network: Network) -> Tuple[int, int]:
    return int(network.network_address), int(network.broadcast_address)


def _apart(answers: Answers) -> Iterator[Problem]:
    """Public, private and node addresses, this machine's own, and the gateway: all are different ones."""
    pools = [
        (key, what, rules.ranges_of(answers[key]))
        for key, what in (
            ("public-addresses", "the public addresses"),
            ("private-addresses", "the private addresses"),
            (NODES, "the nodes"),
        )
        if answers.get(key, rules.NONE) != rules.NONE
    ]
    for number, (key, what, ranges) in enumerate(pools):
        for other, other_what, other_ranges in pools[:number]:
            both = [one for one in ranges if any(one[0] <= end and start <= one[1] for start, end in other_ranges)]
            if both:
                said = f"{rules.text_of(both[0])} of {what} is among {other_what} as well"
                yield Problem(key, said, f"Give each address to one of them: see {other}.")
    single = [("this machine's own", answers.get("address", "").partition("/")[0])]
    single += [(name, answers.get(key, "")) for key, name in _SINGLE]
    for name, address in single:
        for key, what, ranges in pools:
            if address not in ("", rules.NONE, machine_rules.DHCP) and _inside(_number(address), ranges):
                yield Problem(key, f"{address} is {name}, and cannot be one of {what}", "Leave it out.")


_SINGLE = (
    ("gateway", "the gateway"),
    ("instance-gateway", "the gateway of instances"),
    ("front-end", "the front end"),
)


def _flat(answers: Answers) -> Iterator[Problem]:
    """EDGE: private addresses and their gateway are in the private subnet."""
    if "private-subnet" not in answers:
        return
    network = Network(answers["private-subnet"])
    gateway = answers.get("instance-gateway")
    if gateway and ipaddress.IPv4Address(gateway) not in network:
        yield Problem("instance-gateway", f"{gateway} is not in {network}", "Give the router of the private subnet.")
    elif gateway and _number(gateway) in _ends_of(network):
        yield Problem("instance-gateway", f"{gateway} is an end of {network} and no machine", "Give the router.")
    for one in rules.ranges_of(answers.get("private-addresses", "")):
        if not _within(one, network):
            yield Problem("private-addresses", f"{rules.text_of(one)} is not in {network}", "Give addresses in it.")
        elif any(one[0] <= end <= one[1] for end in _ends_of(network)):
            said = f"{rules.text_of(one)} has an end of {network} in it, which no machine can have"
            yield Problem("private-addresses", said, "Leave out the first and the last address of the network.")


def _managed(answers: Answers) -> Iterator[Problem]:
    """The managed modes: a subnet that nobody else uses, and room for groups in it."""
    if len(answers.get("instance-dns", "").split()) > 1:
        yield Problem("instance-dns", "This mode tells instances of one DNS server", "Give one address.")
    if "private-subnet" not in answers:
        return
    network = Network(answers["private-subnet"])
    for key, address in sorted(answers.items()):
        if (key == "address" or key.startswith("address.")) and "/" in address:
            other = machine_rules.split(address)[1]
            if network.overlaps(other):
                said = f"The private subnet {network} overlaps {other}, which this machine is in"
                yield Problem("private-subnet", said, "Give a network that nothing else uses, as in 172.16.0.0/16.")
    for one in rules.ranges_of(answers.get("public-addresses", "")):
        if _within(one, network) or network.network_address in (map(ipaddress.IPv4Address, one)):
            said = f"{rules.text_of(one)} is in the private subnet {network}"
            yield Problem("public-addresses", said, "Give addresses that are reached from outside.")
    if not any(_within(_ends_of(network), one) for one in rules.PRIVATE):
        said = f"{network} is not for private use (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)"
        yield Problem("private-subnet", said, "Instances will not reach who has these addresses.", warning=True)
    number = int(answers.get("addresses-per-net", "0"))
    if number and sizes.groups(str(network), number) < 1:
        said = f"{network} has no room for a single group of {number} addresses"
        yield Problem("addresses-per-net", said, "Give fewer addresses for each, or a larger private subnet.")


def _midonet(answers: Answers) -> Iterator[Problem]:
    """VPCMIDO: what is outside the gateway is in one network, and public addresses are announced."""
    outside = answers.get("mido-external-cidr")
    network = Network(outside) if outside else None
    own = answers.get("mido-external-address")
    for key, name in (
        ("mido-external-address", "the gateway's address"),
        ("mido-peer", "the peer"),
        ("mido-router", "the router"),
    ):
        address = answers.get(key)
        if not address or network is None:
            continue
        if ipaddress.IPv4Address(address) not in network or _number(address) in _ends_of(network):
            yield Problem(key, f"{address}, {name}, is not an address in {network}", "Give one in that network.")
        elif key != "mido-external-address" and address == own:
            yield Problem(key, f"{address} is the gateway's own address", "Give that of the other side.")
    if answers.get("mido-peer-asn") == rules.NONE:
        yield Problem("mido-peer-asn", "A BGP peer has a number", "Give it, as in 65000.")
    if "mido-routes" not in answers or answers.get("mido-asn", rules.NONE) == rules.NONE:
        return
    routes = [Network(one) for one in answers["mido-routes"].split()]
    for one in rules.ranges_of(answers.get("public-addresses", "")):
        home = next((route for route in routes if _within(one, route)), None)
        if home is None:
            said = f"The public addresses {rules.text_of(one)} are in none of the networks that are announced"
            yield Problem("mido-routes", said, "Announce a network that has them.")
        elif any(one[0] <= end <= one[1] for end in _ends_of(home)):
            said = f"{rules.text_of(one)} has an end of {home} in it, which no machine can have"
            yield Problem("public-addresses", said, "Leave it out.")


def suits(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Problem]:
    """What does not fit this machine."""
    edition = editions.of_machine(machine)
    if edition is None:
        return
    mode = mode_of(machine, answers)
    if mode is None:
        if MODE in answers:
            said = f"{edition.title} has no mode {answers[MODE]}"
            yield Problem(MODE, said, "It has {}.".format(", ".join(edition.mode_names)))
        return
    arising = keys(edition, machine.role.parts, answers, machine.marks)
    own = {key: value for key, value in answers.items() if key in arising}
    yield from _interfaces(own, answers, machine)
    if mode.bridged and NODE in machine.role.parts and answers.get("bridge") == rules.NONE:
        said = f"In {mode.name} instances reach the network through a bridge"
        yield Problem("bridge", said, "Give it a name, as in br0.")
    now = documents.current(effects)
    if FRONT_END in machine.role.parts:
        yield from _reachable(own, answers, machine, mode)
        yield from _overlaps(own, answers, machine, mode, now)
        yield from _nodes_near(own, answers, machine)
    if NODE in machine.role.parts:
        yield from hypervisor.suits(own, machine, effects)


def _interfaces(own: Answers, answers: Answers, machine: Machine) -> Iterator[Problem]:
    bridge = answers.get("bridge", rules.NONE)
    there = [name for name in machine.interfaces if name != "lo"]
    for key in ("public-interface", "private-interface"):
        name = own.get(key)
        if name is None:
            continue
        if name not in there and name != bridge:
            yield Problem(key, f"There is no interface {name}", "This machine has {}.".format(", ".join(there)))
        elif bridge not in (rules.NONE, name) and holder(machine, dict(answers, bridge=rules.NONE)) == name:
            said = f"{name} will be an end of the bridge {bridge}, which has the address"
            yield Problem(key, said, f"Give {bridge}, unless you know better.", warning=True)


def _reachable(own: Answers, answers: Answers, machine: Machine, mode: Mode) -> Iterator[Problem]:
    """Public addresses are in networks of this machine, unless somebody routes them to MidoNet."""
    networks = own_networks(machine, answers)
    if "mido-gateway" in mode.questions or not networks:
        return
    mine = {_number(one.partition("/")[0]) for port in machine.ports for one in port.addresses}
    listed = ", ".join(map(str, networks))
    for one in rules.ranges_of(own.get("public-addresses", "")):
        home = next((network for network in networks if _within(one, network)), None)
        if home is None:
            said = f"{rules.text_of(one)} is in no network of this machine ({listed})"
            yield Problem("public-addresses", said, "Give addresses in one of those.")
        elif any(one[0] <= end <= one[1] for end in _ends_of(home)):
            said = f"{rules.text_of(one)} has an end of {home} in it, which no machine can have"
            yield Problem("public-addresses", said, "Leave out the first and the last address of the network.")
        elif answers.get("address") == machine_rules.DHCP and any(one[0] <= number <= one[1] for number in mine):
            yield Problem("public-addresses", "This machine's own address is among them", "Leave it out.")


def _overlaps(
    own: Answers, answers: Answers, machine: Machine, mode: Mode, now: documents.Current
) -> Iterator[Problem]:
    """The private subnet against networks that this machine is on or routes to."""
    subnet = own.get("private-subnet")
    if subnet is None or subnet == now.subnet:
        # What the cloud itself has put there is not in its way.
        return
    network = Network(subnet)
    taken = list(dict.fromkeys(taken_networks(machine, answers)))
    if "private-addresses" in mode.questions:
        if network in taken:
            return
        for other in (one for one in taken if one.overlaps(network)):
            said = f"{network} overlaps {other}, which this machine is in or has a route to, and is not the same"
            yield Problem("private-subnet", said, f"In {mode.name} it is the nodes' own network, as in {other}.")
        if not any(one.overlaps(network) for one in taken):
            said = f"This machine is not in {network}"
            yield Problem("private-subnet", said, "Nodes have to be in it, and to be reached from here.", warning=True)
        return
    for other in (one for one in taken if one.overlaps(network)):
        said = f"The private subnet {network} overlaps {other}, which this machine is in or has a route to"
        yield Problem("private-subnet", said, "Give a network that nothing else uses.")


def _nodes_near(own: Answers, answers: Answers, machine: Machine) -> Iterator[Problem]:
    networks = own_networks(machine, answers)
    for one in rules.ranges_of("" if own.get(NODES) in (None, rules.NONE) else own[NODES]):
        if networks and not any(_within(one, network) for network in networks):
            said = f"The nodes {rules.text_of(one)} are in no network of this machine"
            yield Problem(NODES, said, "They have to be reached without a router in most modes.", warning=True)


def wire(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Problem]:
    """Whether other machines have addresses that instances are to get."""
    mode = mode_of(machine, answers)
    if mode is None or FRONT_END not in machine.role.parts or "mido-gateway" in mode.questions:
        return
    now = documents.current(effects)
    known = {"public-addresses": now.public, "private-addresses": now.private}
    for key in ("public-addresses", "private-addresses"):
        if key in mode.questions and key in answers:
            yield from _are_free(key, answers[key], known[key], answers, machine, effects)


def _are_free(
    key: str, value: str, known: str, answers: Answers, machine: Machine, effects: Effects
) -> Iterator[Problem]:
    # Those that the cloud has already, its instances may answer for.
    old = rules.ranges_of(known)
    numbers = [one for first, last in rules.ranges_of(value) for one in range(first, last + 1) if not _inside(one, old)]
    for address in sorted(_neighbours(effects) & {str(ipaddress.IPv4Address(number)) for number in numbers}):
        yield Problem(key, f"This machine has heard of another one that has {address}", "Leave it out.")
    asked = _spread(numbers)
    unknown = False
    for number in asked:
        address = str(ipaddress.IPv4Address(number))
        interface = _interface_to(address, answers, machine)
        if interface is None:
            continue
        said = probes.someone_has(effects, interface, address)
        if said == "answered":
            yield Problem(key, f"Another machine on the wire of {interface} has {address}", "Leave it out.")
        unknown = unknown or said == "unknown"
    if unknown:
        yield Problem(key, "Nobody could be asked whether they are free", "Make sure of it.", warning=True)
    elif len(asked) < len(numbers):
        said = f"{len(asked)} of {len(numbers)} addresses were asked for on the wire"
        yield Problem(key, said, "Make sure that all of them are free.", warning=True)


def _neighbours(effects: Effects) -> Set[str]:
    """Addresses that others have, as the kernel remembers: those with a complete entry (flag 2)."""
    lines = [line.split() for line in (effects.read("/proc/net/arp") or "").splitlines()[1:]]
    return {words[0] for words in lines if len(words) > 3 and int(words[2], 16) & 2}


def _spread(numbers: List[int]) -> List[int]:
    """The first, the last, and some between."""
    if len(numbers) <= _ASKED_AT_MOST:
        return numbers
    last = len(numbers) - 1
    return [numbers[last * place // (_ASKED_AT_MOST - 1)] for place in range(_ASKED_AT_MOST)]


def _interface_to(address: str, answers: Answers, machine: Machine) -> Optional[str]:
    """The interface on whose wire an address would be, of those that have a cable in now."""
    for port in machine.ports:
        said = answers.get("address" if port.name == answers.get("interface", machine.main) else f"address.{port.name}")
        given = [said] if said and "/" in said else list(port.addresses)
        if port.link and any(ipaddress.IPv4Address(address) in machine_rules.split(one)[1] for one in given):
            return port.bridge or port.name
    return None
