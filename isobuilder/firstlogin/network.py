"""What the answers about the network mean together, and on this machine: checks, and the layout that follows."""

import ipaddress
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from . import machine as machines
from . import probes, rules
from .effects import Effects
from .model import Answers, Machine, Problem
from .netstyles import Layout, PortLayout, is_up
from .questions import OTHER_PORT, main_port


def ports_of(answers: Answers) -> Dict[str, str]:
    """The answers for other ports than the main one, by port."""
    return {key[len(OTHER_PORT) :]: value for key, value in answers.items() if key.startswith(OTHER_PORT)}


def _is_static(address: str) -> bool:
    return "/" in address


def fits(answers: Answers) -> Iterator[Problem]:
    """What does not fit together in the answers themselves, on whatever machine."""
    address = answers.get("address", "")
    gateway = answers.get("gateway", "")
    if address == rules.DHCP and gateway not in ("", rules.NONE):
        yield Problem("gateway", "With dhcp the DHCP server says the gateway", "Leave the gateway out.")
    if _is_static(address) and gateway not in ("", rules.NONE):
        yield from _gateway_fits(address, gateway)
    if _is_static(address) and answers.get("dns") == rules.AUTO:
        yield Problem("dns", "auto takes the DNS servers from DHCP, and the address is not from there", "Give them.")
    if _is_static(address) and gateway == rules.NONE:
        yield from _reachable(answers)
    others = ports_of(answers)
    main = answers.get("interface")
    if main in others:
        yield Problem(OTHER_PORT + str(main), f"{main} is the main port; its address is another question", "Remove it.")
    bridge = answers.get("bridge", rules.NONE)
    if bridge != rules.NONE and bridge in [main, *others]:
        yield Problem("bridge", f"{bridge} is a port", "Give the bridge a name of its own, as in br0.")
    yield from _overlaps(
        [("address", "the main port", address)]
        + [(OTHER_PORT + name, name, other) for name, other in sorted(others.items())]
    )


def _gateway_fits(address: str, gateway: str) -> Iterator[Problem]:
    own, network = rules.split(address)
    inside = f"Give the router's address in {network}, or mend the address or its prefix."
    if gateway == own:
        yield Problem("gateway", f"The gateway {gateway} is this machine's own address", inside)
    elif ipaddress.IPv4Address(gateway) not in network:
        yield Problem("gateway", f"The gateway {gateway} is not in the network of {address}", inside)
    elif gateway in (str(network.network_address), str(network.broadcast_address)):
        yield Problem("gateway", f"{gateway} is the network or broadcast address of {network}", inside)


def _reachable(answers: Answers) -> Iterator[Problem]:
    networks = [rules.split(one)[1] for one in [answers["address"], *ports_of(answers).values()] if _is_static(one)]
    for server in answers.get("dns", "").split():
        if server != rules.AUTO and not any(ipaddress.IPv4Address(server) in network for network in networks):
            what = f"The DNS server {server} is in no network of this machine, and there is no gateway"
            yield Problem("dns", what, "Give a gateway, or another server.", warning=True)


def _overlaps(addresses: Sequence[Tuple[str, str, str]]) -> Iterator[Problem]:
    known: List[Tuple[str, str]] = []
    for key, name, address in addresses:
        if not _is_static(address):
            continue
        for other_name, other in known:
            if rules.split(address)[1].overlaps(rules.split(other)[1]):
                what = f"The network of {name} ({address}) overlaps that of {other_name} ({other})"
                yield Problem(key, what, "Two ports cannot be in one network: give one of them another, or off.")
        known.append((name, address))


def suits(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Problem]:
    """What does not fit this machine."""
    names = [port.name for port in machine.ports]
    if not names:
        yield Problem("", "This machine has no Ethernet port", "Is the driver of its card loaded?")
        return
    listed = "This machine has {}.".format(", ".join(names))
    port = main_port(machine, answers)
    if port is None:
        yield Problem("interface", "There is no port {}".format(answers.get("interface", "")), listed)
        return
    for name in ports_of(answers):
        if name not in names:
            yield Problem(OTHER_PORT + name, f"There is no port {name}", listed)
        elif name == port.name:
            what = f"{name} is the main port; its address is another question"
            yield Problem(OTHER_PORT + name, what, "Remove it.")
    if not port.link:
        what = f"No cable is in {port.name}, or nothing is at its other end"
        yield Problem("interface", what, f"Plug it in, or take another port. {listed}", warning=True)
    yield from _bridge_is_free(answers, machine, effects)
    yield from _kept_overlaps(answers, machine)


def wire(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Problem]:
    """Whether other machines have an address that is to be ours."""
    main = main_port(machine, answers)
    for key, name in [("address", main.name if main else "")] + [(OTHER_PORT + one, one) for one in ports_of(answers)]:
        yield from _is_free(key, answers.get(key, ""), name, machine, effects)


def _bridge_is_free(answers: Answers, machine: Machine, effects: Effects) -> Iterator[Problem]:
    name = answers.get("bridge", rules.NONE)
    place = f"/sys/class/net/{name}"
    if name != rules.NONE and effects.exists(place) and not effects.exists(place + "/bridge"):
        yield Problem("bridge", f"{name} is an interface of this machine already, and no bridge", "Give another name.")
    if name != rules.NONE and machine.facts.network == "ifcfg" and not effects.has_command("brctl"):
        yield Problem("bridge", "A bridge takes the command brctl, and it is not installed", "Install bridge-utils.")


def _kept_overlaps(answers: Answers, machine: Machine) -> Iterator[Problem]:
    """What was answered, against networks of interfaces that stay as they are."""
    others = ports_of(answers)
    ours = {port.bridge for port in machine.ports} | {answers.get("bridge", "")}
    kept = [("address", name, one) for name, one in machine.others if name not in ours]
    for port in machine.ports:
        if others.get(port.name) == rules.KEEP:
            kept += [(OTHER_PORT + port.name, port.name, one) for one in port.addresses]
    given = [answers.get("address", ""), *others.values()]
    for key, name, one in kept:
        for address in filter(_is_static, given):
            if rules.split(address)[1].overlaps(rules.split(one)[1]):
                what = f"{name} has {one}, and the network of {address} overlaps that"
                yield Problem(key, what, "Two interfaces cannot be in one network: change one of them.")


def _is_free(key: str, address: str, name: str, machine: Machine, effects: Effects) -> Iterator[Problem]:
    if not _is_static(address):
        return
    own = {one.partition("/")[0] for port in machine.ports for one in port.addresses}
    port = machine.port(name)
    wanted = address.partition("/")[0]
    if wanted in own or port is None or not port.link:
        return
    said = probes.someone_has(effects, port.bridge or name, wanted)
    if said == probes.ANSWERED:
        yield Problem(key, f"Another machine on the wire of {name} has {wanted}", "Give one that is free.")
    elif said == probes.UNKNOWN:
        what = f"Nobody could be asked whether {wanted} is free"
        yield Problem(key, what, "Make sure that no other machine has it.", warning=True)


def layout(answers: Answers, machine: Machine) -> Layout:
    """The ports as they shall be; those that are kept are not in it."""
    main = main_port(machine, answers)
    wanted = ports_of(answers)
    ports: List[PortLayout] = []
    leftover: List[str] = []
    for port in machine.ports:
        bridge = ""
        if main is not None and port.name == main.name:
            bridge = answers.get("bridge", rules.NONE).replace(rules.NONE, "")
            ports.append(_main_layout(answers, port.name, port.mac, bridge))
        elif wanted.get(port.name, rules.KEEP) != rules.KEEP:
            ports.append(PortLayout(port.name, port.mac, wanted[port.name]))
        else:
            continue
        if port.bridge and port.bridge != bridge:
            leftover.append(port.bridge)
    return Layout(tuple(ports), tuple(leftover), answers["hostname"])


def _main_layout(answers: Answers, name: str, mac: str, bridge: str) -> PortLayout:
    gateway = answers.get("gateway", rules.NONE)
    servers = answers.get("dns", rules.AUTO)
    return PortLayout(
        name,
        mac,
        answers["address"],
        main=True,
        gateway="" if gateway == rules.NONE or answers["address"] == rules.DHCP else gateway,
        name_servers=() if servers == rules.AUTO else tuple(servers.split()),
        domain=answers["hostname"].partition(".")[2],
        bridge=bridge,
    )


def wanted(answers: Answers, machine: Machine, effects: Effects) -> List[object]:
    """What is to be done for the network."""
    shape = layout(answers, machine)
    now = machines.addresses(effects)
    default = machines.default_interface(effects)
    up = all(is_up(port, now, default) for port in shape.ports) and all(
        not port.bridge or machines.bridge_of(effects, port.name) == port.bridge for port in shape.ports
    )
    rows = machines.STYLES[machine.facts.network].wanted(shape, machine, effects, up=up and not shape.leftover_bridges)
    return list(rows)


def holder(answers: Answers, machine: Machine) -> Optional[PortLayout]:
    """The main port as it shall be."""
    return next((port for port in layout(answers, machine).ports if port.main), None)
