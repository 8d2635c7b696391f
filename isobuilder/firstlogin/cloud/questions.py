"""The questions about a cloud, a row each. Which of them arise, the edition, the mode and the machine's parts say."""

from typing import Callable, Dict, List, Optional, Sequence

from .. import rules as machine_rules
from ..model import Answers, Machine, Question
from . import editions, image, proposals, rules, sizes
from .editions import FRONT_END, NODE, Edition, Mode
from .proposals import MODE

# The key of the password's question is the mark that there is one, too.
PASSWORD, NODES, FRONT_END_ADDRESS = "admin-password", "nodes", "front-end"
IMAGE, PRIVATE_KEY = "image", "front-end-private-key"
_FRONT_END = ("zone", "cloud-domain", PASSWORD, NODES, IMAGE)
_NODE = ("front-end", "front-end-key")
_HYPERVISOR = ("instance-disk", "image-cache", "virtio", "huge-pages", "volume-cache")
_WITH_BGP: Sequence[str] = ("mido-peer", "mido-peer-asn", "mido-routes")
_WITHOUT_BGP: Sequence[str] = ("mido-router",)


def _in_mode(key: str, part: str = FRONT_END) -> "Callable[[Answers], bool]":
    """Whether a question arises, by answers alone: a machine that is told of its front end is a node."""

    def asked(answers: Answers) -> bool:
        mode = editions.EVERY_MODE.get(answers.get(MODE, ""))
        is_node = FRONT_END_ADDRESS in answers and NODES not in answers
        return mode is not None and part == (NODE if is_node else FRONT_END) and key in _of_mode(mode, answers)

    return asked


def _of_mode(mode: Mode, answers: Answers) -> List[str]:
    """The keys of a mode's questions at the front end, as far as the answers tell."""
    left_out: Sequence[str] = (*_WITH_BGP, *_WITHOUT_BGP)
    if "mido-asn" in answers:
        left_out = _WITH_BGP if answers["mido-asn"] == rules.NONE else _WITHOUT_BGP
    return [key for key in mode.questions if key not in left_out]


QUESTIONS = (
    Question(
        key=MODE,
        shared=True,
        prompt="Networking mode of the cloud",
        help="How instances get onto the network. All machines of a cloud have the same mode, and it does not change "
        "later without all instances being stopped.",
        example="EDGE",
        rule=rules.mode,
        default=proposals.first_mode,
        listing=proposals.modes,
    ),
    Question(
        key="public-interface",
        prompt="Public interface of the cloud",
        help="The interface that is on the network from which people reach instances.",
        example="eth0",
        rule=machine_rules.interface,
        default=proposals.holder,
    ),
    Question(
        key="private-interface",
        prompt="Private interface of the cloud",
        help="The interface that is on the network of the node controllers. It may be the public one.",
        example="eth1",
        rule=machine_rules.interface,
        default=proposals.private_interface,
    ),
    Question(
        key="public-addresses",
        shared=True,
        prompt="Public addresses for instances",
        help="Addresses that instances are reached at from outside: single ones, ranges, or both. They must be free, "
        "in a network that this machine is on, and outside any range that a DHCP server gives away.",
        example="192.168.1.50 192.168.1.60-192.168.1.80",
        rule=rules.public_addresses,
        default=lambda _machine, _answers: "",
        asked=_in_mode("public-addresses"),
        needed=True,
        meaning=proposals.number_of(
            "public-addresses", "addresses: so many instances can be reached from outside at a time"
        ),
    ),
    Question(
        key="private-subnet",
        shared=True,
        prompt="Private subnet of instances",
        help="The network of the private addresses of instances. In EDGE it is the network of the node controllers; in "
        "the managed modes the cloud alone uses it, and it must overlap no network that this machine knows.",
        example="172.16.0.0/16",
        rule=rules.subnet,
        default=proposals.private_subnet,
        asked=_in_mode("private-subnet"),
        needed=True,
    ),
    Question(
        key="instance-gateway",
        shared=True,
        prompt="Gateway of instances",
        help="The router of the private subnet, which instances send what goes elsewhere to.",
        example="172.16.0.1",
        rule=rules.address,
        default=proposals.instance_gateway,
        asked=_in_mode("instance-gateway"),
        needed=True,
    ),
    Question(
        key="private-addresses",
        shared=True,
        prompt="Private addresses for instances",
        help="Addresses in the private subnet that nobody else has, one for each instance: single ones, ranges, or "
        "both.",
        example="172.16.1.100-172.16.1.140",
        rule=rules.private_addresses,
        default=lambda _machine, _answers: "",
        asked=_in_mode("private-addresses"),
        needed=True,
        meaning=proposals.number_of("private-addresses", "addresses: so many instances can run at a time"),
    ),
    Question(
        key="addresses-per-net",
        shared=True,
        prompt="Addresses for each security group",
        help="How much of the private subnet each security group gets: a power of two from 16 to 2048. The cloud keeps "
        "ten of them for itself. Fewer for each group means more groups.",
        example="32",
        rule=rules.addresses_per_net,
        default=proposals.per_net,
        meaning=proposals.groups,
    ),
    Question(
        key="mido-gateway",
        prompt="Address of the MidoNet gateway",
        help="The internal address of the machine that is the gateway of MidoNet. One is set up here; more of them, up "
        "to six, can be written into the network document.",
        example="10.111.5.11",
        rule=rules.address,
        default=lambda _machine, answers: (
            answers.get("address", "").partition("/")[0] if "/" in answers.get("address", "") else ""
        ),
        asked=_in_mode("mido-gateway"),
        needed=True,
    ),
    Question(
        key="mido-device",
        prompt="External device of the gateway",
        help="The interface of the gateway that leads to the router outside. It belongs to MidoNet alone.",
        example="em1",
        rule=machine_rules.interface,
        default=lambda _machine, _answers: "",
        asked=_in_mode("mido-device"),
        needed=True,
    ),
    Question(
        key="mido-external-cidr",
        prompt="Network outside the gateway",
        help="The network that the gateway's external device and the router outside are in.",
        example="10.116.128.0/17",
        rule=rules.subnet,
        default=lambda _machine, _answers: "",
        asked=_in_mode("mido-external-cidr"),
        needed=True,
    ),
    Question(
        key="mido-external-address",
        prompt="Address of the gateway in it",
        help="The address that the gateway's external device gets; nobody else may have it.",
        example="10.116.133.11",
        rule=rules.address,
        default=lambda _machine, _answers: "",
        asked=_in_mode("mido-external-address"),
        needed=True,
    ),
    Question(
        key="mido-asn",
        prompt="BGP number of this cloud, or none",
        help="With BGP the gateway tells the router outside of the public addresses: the number of this cloud's "
        "autonomous system. With none the router outside has to be told of them by hand.",
        example="64512",
        rule=rules.as_number,
        default=lambda _machine, _answers: rules.NONE,
    ),
    Question(
        key="mido-peer",
        prompt="Address of the BGP peer",
        help="The router outside that the gateway speaks BGP with.",
        example="10.116.133.173",
        rule=rules.address,
        default=lambda _machine, _answers: "",
        asked=_in_mode("mido-peer"),
        needed=True,
    ),
    Question(
        key="mido-peer-asn",
        prompt="BGP number of the peer",
        help="The number of the autonomous system of the router outside.",
        example="65000",
        rule=rules.as_number,
        default=lambda _machine, _answers: "",
        asked=_in_mode("mido-peer-asn"),
        needed=True,
    ),
    Question(
        key="mido-routes",
        prompt="Networks that are announced",
        help="The networks that this cloud announces to the router outside. All public addresses are in them.",
        example="10.116.150.0/24",
        rule=rules.subnets,
        default=lambda _machine, _answers: "",
        asked=_in_mode("mido-routes"),
        needed=True,
    ),
    Question(
        key="mido-router",
        prompt="Address of the router outside",
        help="The router outside that instances' traffic goes to. It has to send the public addresses to the gateway.",
        example="10.116.133.173",
        rule=rules.address,
        default=lambda _machine, _answers: "",
        asked=_in_mode("mido-router"),
        needed=True,
    ),
    Question(
        key="instance-dns",
        shared=True,
        prompt="DNS servers for instances",
        help="Addresses of name servers that instances are told of: one in the managed modes, else up to three.",
        example="192.168.1.1",
        rule=rules.name_servers,
        default=proposals.instance_dns,
        asked=_in_mode("instance-dns"),
    ),
    Question(
        key="mac-prefix",
        shared=True,
        prompt="Beginning of instances' Ethernet addresses",
        help="Two bytes. Two clouds on one wire need different ones.",
        example="d0:0d",
        rule=rules.mac_prefix,
        default=lambda _machine, _answers: "d0:0d",
    ),
    Question(
        key="zone",
        prompt="Availability zone",
        help="The name of the zone that this machine's cluster makes; people choose it when they start instances.",
        example="zone-1",
        rule=rules.zone,
        default=lambda _machine, _answers: "zone-1",
    ),
    Question(
        key="cloud-domain",
        prompt="DNS domain of the cloud",
        help="Names of services and instances are in this domain. The cloud's own DNS answers for it; delegate it to "
        "this machine.",
        example="cloud.example.org",
        rule=rules.domain,
        default=proposals.domain,
    ),
    Question(
        key=PASSWORD,
        prompt="Password of the console's administrator (Enter makes one)",
        help="For the user administrator of the account eucalyptus, at the web console. Nobody has a password before "
        "this. Enter alone makes one and shows it, once.",
        example="a-long-one-of-your-own",
        rule=rules.password,
        default=lambda _machine, _answers: rules.made_password(),
        needed=True,
        secret=True,
        asked=lambda answers: NODES in answers,
    ),
    Question(
        key=NODES,
        prompt="Node controllers, or none",
        help="Addresses of the nodes that are set up already: single ones, ranges, or both. One that does not answer "
        "is skipped. More can be added at any time: cloud-setup nodes add ADDRESS...",
        example="192.168.1.11-192.168.1.14",
        rule=rules.nodes,
        default=lambda _machine, _answers: rules.NONE,
    ),
    Question(
        key=IMAGE,
        shared=True,
        prompt="Machine image to make: none, small, medium, large",
        help="A system for instances, made from the packages of the medium, which has to be in its drive. It has 1.5, "
        "4.5 or 9.5 GiB, and grows to the disk that its instance gets; that may not be smaller. Others can be made "
        "later: cloud-setup image make small",
        example="small",
        rule=rules.image,
        default=lambda machine, _answers: "small" if machine.role.medium in machine.media else rules.NONE,
    ),
    Question(
        key="front-end",
        shared=True,
        prompt="Address of the front end, or none",
        help="The front end that may log in here as root with its key, to give this node its certificates.",
        example="192.168.1.10",
        rule=rules.address_or_none,
        default=lambda _machine, _answers: rules.NONE,
    ),
    Question(
        key="front-end-key",
        shared=True,
        prompt="Public SSH key of the front end, or none",
        help="The line that `cloud-setup nodes key` shows there. With it the front end needs no password of this node, "
        "and may come in from its own address alone. With none it asks for the password when the node is added.",
        example="none",
        rule=rules.public_key,
        default=lambda _machine, _answers: rules.NONE,
    ),
    # Nobody is asked for this one: it is for racks, whose answers are all made beforehand.
    Question(
        key=PRIVATE_KEY,
        prompt="Private SSH key of this front end, or none",
        help="For a front end and nodes that are set up at one time: its key is made beforehand, with isobuilder "
        "answers key, so that the nodes can have the other half in front-end-key. It then waits for its nodes. Whoever "
        "reads it can log in to them from the front end's address. Without it the front end makes a key of its own.",
        example="none",
        rule=rules.private_key,
        default=lambda _machine, _answers: rules.NONE,
        secret=True,
    ),
    Question(
        key="instance-disk",
        prompt="Disk for instances, in MiB or as 50G",
        help="How much of the disk instances may have for their own disks. auto leaves it to the node controller.",
        example="51200",
        rule=rules.mebibytes,
        default=sizes.proposed_disk,
        meaning=proposals.room,
    ),
    Question(
        key="image-cache",
        prompt="Disk for the cache of images, in MiB or as 20G",
        help="Images that were used stay here, so that the next instance starts sooner. auto leaves it to the node "
        "controller.",
        example="20480",
        rule=rules.mebibytes,
        default=sizes.proposed_cache,
    ),
    Question(
        key="virtio",
        shared=True,
        prompt="Virtio devices for instances, yes or no",
        help="Virtual disks and network cards that are made for virtual machines, and fast. Guests of before 2009 or "
        "so do not know them: for those say no.",
        example="yes",
        rule=rules.yes_or_no,
        default=lambda _machine, _answers: rules.YES,
    ),
    Question(
        key="huge-pages",
        shared=True,
        prompt="Huge pages for instances, yes or no",
        help="Instances get their memory in pages of 2 MiB, and run a little faster. The host has to set such pages "
        "aside (vm.nr_hugepages), or no instance starts.",
        example="no",
        rule=rules.yes_or_no,
        default=lambda _machine, _answers: rules.NO,
    ),
    Question(
        key="volume-cache",
        shared=True,
        prompt="Host's page cache for volumes, yes or no",
        help="With yes the host keeps what instances read from volumes; each write still reaches the volume at once. "
        "Instances with it cannot be migrated while they run.",
        example="no",
        rule=rules.yes_or_no,
        default=lambda _machine, _answers: rules.NO,
    ),
)

_BY_KEY: Dict[str, Question] = {row.key: row for row in QUESTIONS}


def question(key: str) -> Optional[Question]:
    """The question that has this key in an answers file, or None."""
    return _BY_KEY.get(key)


def documented() -> Sequence[Question]:
    return QUESTIONS


def keys(edition: Edition, parts: Sequence[str], answers: Answers, marks: Sequence[str]) -> List[str]:
    """The questions that arise for these parts, in their order."""
    mode = edition.mode(answers.get(MODE, ""))
    found = [MODE]
    if mode is None:
        return found
    if FRONT_END in parts:
        found += [*_of_mode(mode, answers), *_FRONT_END]
    if NODE in parts:
        found += mode.node_questions
        found += [*_HYPERVISOR] if FRONT_END in parts else [*_NODE, *_HYPERVISOR]
    return [key for key in dict.fromkeys(found) if key != PASSWORD or PASSWORD not in marks]


def for_machine(machine: Machine, answers: Answers) -> List[Question]:
    """The questions that arise on this machine, as far as the answers so far tell."""
    edition = editions.of_machine(machine)
    if edition is None:
        return []
    found = keys(edition, machine.role.parts, answers, machine.marks)
    return [_BY_KEY[key] for key in found if key != IMAGE or image.is_offered(machine)]
