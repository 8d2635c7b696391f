"""Machines of clouds against each other, as answers files tell of them: what no machine can see for itself."""

import ipaddress
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from .. import rules as machine_rules
from ..model import Answers
from . import editions, rules, sshkeys
from .network import Network
from .proposals import MODE
from .questions import FRONT_END_ADDRESS, NODES, PRIVATE_KEY


class Member(NamedTuple):
    """A machine of a cloud: where it is told of, its answers, its main address, and the networks that it is in."""

    place: str
    answers: Answers
    address: str
    networks: Tuple[Network, ...]


def across(machines: Sequence[Tuple[str, Answers]]) -> Iterator[str]:
    """What is wrong between machines: a line each. `machines` are places in files, and all answers there."""
    members = [_member(place, answers) for place, answers in machines]
    front_ends = [one for one in members if _is_front_end(one)]
    nodes = [one for one in members if _is_node(one)]
    for number, one in enumerate(front_ends):
        for other in front_ends[:number]:
            yield from _two_clouds(one, other)
        yield from _taken(one, members)
    if front_ends:
        for node in nodes:
            yield from _node(node, front_ends)


def _member(place: str, answers: Answers) -> Member:
    said = [(key, value) for key, value in answers.items() if key == "address" or key.startswith("address.")]
    networks = tuple(machine_rules.split(value)[1] for _, value in sorted(said) if "/" in value)
    address = answers.get("address", "")
    return Member(place, answers, address.partition("/")[0] if "/" in address else "", networks)


def _is_node(one: Member) -> bool:
    """A machine that is told of another as its front end. What stands in [all] is told to the front end as well."""
    said = one.answers.get(FRONT_END_ADDRESS, "")
    return MODE in one.answers and said != "" and said != one.address


def _is_front_end(one: Member) -> bool:
    return not _is_node(one) and ("public-addresses" in one.answers or NODES in one.answers)


def _ranges(one: Member, key: str) -> List[rules.Range]:
    said = one.answers.get(key, rules.NONE)
    return [] if said == rules.NONE else rules.ranges_of(said)


def _common(some: Sequence[rules.Range], others: Sequence[rules.Range]) -> str:
    """The first addresses that are in both, or ""."""
    for first, last in some:
        for start, end in others:
            if first <= end and start <= last:
                return rules.text_of((max(first, start), min(last, end)))
    return ""


def _two_clouds(one: Member, other: Member) -> Iterator[str]:
    pools = (("public-addresses", "public"), ("private-addresses", "private"))
    for key, what in pools:
        for other_key, other_what in pools:
            both = _common(_ranges(one, key), _ranges(other, other_key))
            if both:
                yield f"{one.place} {key}: {both} is among the {other_what} addresses of {other.place} as well"
        both = _common(_ranges(one, NODES), _ranges(other, key))
        if both:
            yield f"{one.place} nodes: {both} is among the {what} addresses of {other.place}"
    both = _common(_ranges(one, NODES), _ranges(other, NODES))
    if both:
        yield f"{one.place} nodes: {both} is a node of {other.place} as well"
    on_one_wire = any(mine.overlaps(theirs) for mine in one.networks for theirs in other.networks)
    prefixes = [member.answers.get("mac-prefix", "d0:0d") for member in (one, other)]
    if on_one_wire and prefixes[0] == prefixes[1]:
        yield f"{one.place} mac-prefix: {prefixes[0]} is that of {other.place} as well, and both are on one wire"


def _taken(cloud: Member, members: Sequence[Member]) -> Iterator[str]:
    """Addresses and networks of machines against those that a cloud gives to instances."""
    mode = editions.EVERY_MODE.get(cloud.answers.get(MODE, ""))
    for one in members:
        if one.place == cloud.place:
            continue
        own = [(int(ipaddress.IPv4Address(one.address)),) * 2] if one.address else []
        for key, what in (("public-addresses", "public"), ("private-addresses", "private")):
            both = _common(own, _ranges(cloud, key))
            if both:
                yield f"{cloud.place} {key}: {both} is the address of {one.place}, and no {what} one of instances"
        subnet = cloud.answers.get("private-subnet")
        if subnet and mode and "addresses-per-net" in mode.questions:
            for network in one.networks:
                if network.overlaps(Network(subnet)) and not any(network == mine for mine in cloud.networks):
                    yield f"{cloud.place} private-subnet: {subnet} overlaps {network}, which {one.place} is in"


def _node(node: Member, front_ends: Sequence[Member]) -> Iterator[str]:
    said = node.answers[FRONT_END_ADDRESS]
    mine = [one for one in front_ends if one.address == said]
    number = int(ipaddress.IPv4Address(node.address)) if node.address else 0
    listing = [one for one in front_ends if any(first <= number <= last for first, last in _ranges(one, NODES))]
    if said != rules.NONE and not mine and all(one.address for one in front_ends):
        yield f"{node.place} front-end: no front end has the address {said}"
    if node.address and not listing:
        yield f"{node.place} address: no front end has {node.address} among its nodes"
    for one in listing:
        if mine and one not in mine:
            yield f"{node.place} front-end: says {said}, and {one.place} has it among its nodes"
    for one in mine or listing:
        modes = [member.answers.get(MODE, "") for member in (node, one)]
        if "" not in modes and modes[0] != modes[1]:
            yield f"{node.place} {MODE}: is {modes[0]}, and {modes[1]} at {one.place}"
        yield from _near(node, one)
        yield from _keys(node, one)


def _keys(node: Member, front_end: Member) -> Iterator[str]:
    """The halves of a key that was made beforehand."""
    private = front_end.answers.get(PRIVATE_KEY, rules.NONE)
    public = node.answers.get("front-end-key", rules.NONE)
    if private != rules.NONE and public != sshkeys.public_key(private):
        what = "is not the public half of" if public != rules.NONE else "is missing, and its front end has"
        yield f"{node.place} front-end-key: {what} the front-end-private-key of {front_end.place}"


def _near(node: Member, front_end: Member) -> Iterator[str]:
    """A node is in the network that its front end, and in EDGE its instances, are in."""
    if not node.address:
        return
    address = ipaddress.IPv4Address(node.address)
    if front_end.networks and not any(address in network for network in front_end.networks):
        yield f"{node.place} address: {address} is in no network of its front end, {front_end.place}"
    mode = editions.EVERY_MODE.get(front_end.answers.get(MODE, ""))
    subnet = front_end.answers.get("private-subnet")
    if subnet and mode and "private-addresses" in mode.questions and address not in Network(subnet):
        yield f"{node.place} address: {address} is outside the private network of {front_end.place}, {subnet}"
