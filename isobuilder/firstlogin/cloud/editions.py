"""Versions of clouds as data: networking modes, what each of them needs where, services, sizes. No behaviour.

Sources: eucalyptus.conf, cluster/handlers.c, net/vnetwork.c, node/handlers.c and VmTypes of eucalyptus/eucalyptus
(maint-4.2) and Corymbia/eucalyptus (maint-5); the install guide of Corymbia/eucalyptus-documentation. None of it could
be tried on a real cloud.
"""

from typing import Dict, NamedTuple, Optional, Tuple

from ..model import Machine, Role

FRONT_END, NODE = "frontend", "nc"

CONF = "/etc/eucalyptus/eucalyptus.conf"
DOCUMENT = "/etc/eucalyptus/network.json"
STYLESHEET = "/etc/eucalyptus/libvirt.xsl"
HOOKS = "/etc/eucalyptus/nc-hooks"
STATE = "/var/lib/eucalyptus"
KEYS = STATE + "/keys"
INSTANCES = STATE + "/instances"
IMAGE_CACHE = INSTANCES + "/cache"
# Beside each other on one disk, NC itself gives a third to work, two thirds to the cache (WORK_BS_PERCENT).
WORK_SHARE = 3
# What no blobstore may be smaller than, in MiB (NC_WORK_SIZE, NC_CACHE_SIZE).
LEAST_STORE_MIB = 10
# NUMBER_OF_PUBLIC_IPS.
MOST_PUBLIC_ADDRESSES = 2048
# Of each group's addresses those with index 9 to n - 2 are given to instances (addrIndexMin, addrIndexMax). The comment
# in eucalyptus.conf of 4.2 says that one less is left.
RESERVED_PER_GROUP = 10
LEAST_PER_GROUP, MOST_PER_GROUP = 16, 2048
# Networks of groups are VLANs from 2 on, below 4096.
VLANS = 4096
MIDO_GATEWAYS = 6


class Mode(NamedTuple):
    """A networking mode: the keys of its questions, and the variables of eucalyptus.conf that each part needs.

    `document`: the rest is in the cloud's network document. `bridged`: nodes need a bridge. `daemon`: the parts that
    run eucanetd. A variable's value is worked out by its name.
    """

    name: str
    summary: str
    questions: Tuple[str, ...]
    front_end: Tuple[str, ...]
    node: Tuple[str, ...]
    node_questions: Tuple[str, ...]
    document: bool
    bridged: bool
    daemon: Tuple[str, ...]


class Size(NamedTuple):
    """A size of instances: its ephemeral disk in GiB and its memory in MiB."""

    name: str
    disk_gib: int
    memory_mib: int


class Edition(NamedTuple):
    """One version of a cloud.

    `cloud_services` are started first, `cluster_services` once the cloud controller is there, `node_services` on nodes.
    Those of the cluster and of nodes, and the `daemon`, read eucalyptus.conf when they start. `console` is the service
    of the web console.
    """

    id: str
    title: str
    modes: Tuple[Mode, ...]
    cloud_services: Tuple[str, ...]
    cluster_services: Tuple[str, ...]
    node_services: Tuple[str, ...]
    daemon: str
    console: str
    sizes: Tuple[Size, ...]

    def mode(self, name: str) -> Optional[Mode]:
        return next((mode for mode in self.modes if mode.name == name), None)

    @property
    def mode_names(self) -> Tuple[str, ...]:
        return tuple(mode.name for mode in self.modes)


_MANAGED_QUESTIONS = (
    "public-interface",
    "private-interface",
    "public-addresses",
    "private-subnet",
    "addresses-per-net",
    "instance-dns",
    "mac-prefix",
)
_MANAGED_FRONT_END = (
    "VNET_MODE",
    "VNET_PUBINTERFACE",
    "VNET_PRIVINTERFACE",
    "VNET_PUBLICIPS",
    "VNET_SUBNET",
    "VNET_NETMASK",
    "VNET_DNS",
    "VNET_ADDRSPERNET",
    "VNET_MACPREFIX",
    "VNET_DHCPDAEMON",
)
_EDGE_NODE = ("VNET_MODE", "VNET_PUBINTERFACE", "VNET_PRIVINTERFACE", "VNET_BRIDGE", "VNET_DHCPDAEMON")

_EDGE = Mode(
    name="EDGE",
    summary="instances in the nodes' network; each node routes for its own",
    questions=(
        "public-addresses",
        "private-subnet",
        "instance-gateway",
        "private-addresses",
        "instance-dns",
        "mac-prefix",
    ),
    front_end=("VNET_MODE",),
    node=_EDGE_NODE,
    node_questions=("public-interface", "private-interface"),
    document=True,
    bridged=True,
    daemon=(NODE,),
)
_MANAGED = Mode(
    name="MANAGED",
    summary="a network and a VLAN for each security group; switches must pass VLANs",
    questions=_MANAGED_QUESTIONS,
    front_end=_MANAGED_FRONT_END,
    node=("VNET_MODE", "VNET_PUBINTERFACE"),
    node_questions=("public-interface",),
    document=False,
    bridged=False,
    daemon=(FRONT_END,),
)
_MANAGED_NOVLAN = _MANAGED._replace(
    name="MANAGED-NOVLAN",
    summary="a network for each security group, on one wire; the front end routes",
    node=("VNET_MODE", "VNET_BRIDGE"),
    node_questions=(),
    bridged=True,
)
_VPCMIDO = Mode(
    name="VPCMIDO",
    summary="virtual private clouds on MidoNet, which must be installed already",
    questions=(
        "public-addresses",
        "mido-gateway",
        "mido-device",
        "mido-external-cidr",
        "mido-external-address",
        "mido-asn",
        "mido-peer",
        "mido-peer-asn",
        "mido-routes",
        "mido-router",
        "instance-dns",
        "mac-prefix",
    ),
    front_end=("VNET_MODE",),
    node=("VNET_MODE", "VNET_BRIDGE"),
    node_questions=(),
    document=True,
    bridged=True,
    daemon=(FRONT_END,),
)
# Variables that are only there in a mode that names them.
OPTIONAL = ("VNET_PUBLICIPS", "VNET_SUBNET", "VNET_NETMASK", "VNET_DNS", "VNET_ADDRSPERNET", "VNET_MACPREFIX")

EDITIONS = (
    Edition(
        id="eucalyptus-4.2",
        title="Eucalyptus 4.2",
        modes=(_EDGE, _MANAGED, _MANAGED_NOVLAN),
        cloud_services=("tgtd", "eucalyptus-cloud"),
        cluster_services=("eucalyptus-cc",),
        node_services=("eucalyptus-nc",),
        daemon="eucanetd",
        console="eucaconsole",
        sizes=(Size("m1.small", 5, 256), Size("m1.medium", 10, 512), Size("m2.xlarge", 10, 2048)),
    ),
    Edition(
        id="eucalyptus-5",
        title="Eucalyptus 5",
        modes=(_EDGE, _VPCMIDO),
        cloud_services=("tgtd", "eucalyptus-cloud"),
        cluster_services=(),
        node_services=("eucalyptus-node",),
        daemon="eucanetd",
        console="eucaconsole",
        sizes=(Size("t1.micro", 5, 628), Size("c4.large", 10, 3840), Size("m1.small", 160, 1741)),
    ),
)
BY_ID: Dict[str, Edition] = {edition.id: edition for edition in EDITIONS}
EVERY_MODE: Dict[str, Mode] = {mode.name: mode for edition in EDITIONS for mode in edition.modes}


def of_role(role: Role) -> Optional[Edition]:
    """The cloud that a machine of this role is a part of, or None: it is of none, or of one that is not known here."""
    return BY_ID.get(role.cloud) if role.parts else None


def of_machine(machine: Machine) -> Optional[Edition]:
    return of_role(machine.role)
