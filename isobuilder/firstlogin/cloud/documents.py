"""The files that tell a cloud of its network: eucalyptus.conf, and the document that the cloud itself keeps.

Values come from answers that are complete and fit. What is not ours in a file stays as it is.
"""

import ipaddress
import json
import re
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from ..effects import Effects
from ..model import Answers
from ..shelltext import assigned, variables
from . import editions, rules
from .editions import FRONT_END, NODE, Mode

DHCP_DAEMON = "/usr/sbin/dhcpd"


class Current(NamedTuple):
    """What the files say now: public and private addresses as canonical ranges, and the private subnet."""

    public: str
    private: str
    subnet: str


def needed_variables(mode: Mode, parts: Sequence[str]) -> List[str]:
    """The variables of eucalyptus.conf that these parts of a cloud need in this mode."""
    names = (mode.front_end if FRONT_END in parts else ()) + (mode.node if NODE in parts else ())
    return list(dict.fromkeys(names))


def network_variables(mode: Mode, parts: Sequence[str], answers: Answers) -> Dict[str, str]:
    """Those variables with their values."""
    subnet = answers.get("private-subnet")
    network = ipaddress.IPv4Network(subnet) if subnet else None
    values = {
        "VNET_MODE": mode.name,
        "VNET_PUBINTERFACE": answers.get("public-interface", ""),
        "VNET_PRIVINTERFACE": answers.get("private-interface", ""),
        "VNET_BRIDGE": answers.get("bridge", ""),
        "VNET_PUBLICIPS": answers.get("public-addresses", ""),
        "VNET_SUBNET": str(network.network_address) if network else "",
        "VNET_NETMASK": str(network.netmask) if network else "",
        "VNET_DNS": answers.get("instance-dns", ""),
        "VNET_ADDRSPERNET": answers.get("addresses-per-net", ""),
        "VNET_MACPREFIX": answers.get("mac-prefix", ""),
        "VNET_DHCPDAEMON": DHCP_DAEMON,
    }
    return {name: values[name] for name in needed_variables(mode, parts)}


def configuration(before: str, wanted: Dict[str, str], absent: Sequence[str]) -> str:
    """eucalyptus.conf with these variables and without those that are to be absent."""
    text = before
    for name in absent:
        text = re.sub(rf"(?m)^[ \t]*{name}=.*\n?", "", text)
    for name, value in wanted.items():
        if variables(text).get(name) != value:
            text = assigned(text, name, f'"{value}"')
    return text


def document(mode: Mode, answers: Answers) -> str:
    """The network document as JSON, which both versions read (5 takes YAML as well)."""
    table: Dict[str, Any] = {
        "Mode": mode.name,
        "InstanceDnsServers": answers["instance-dns"].split(),
        "MacPrefix": answers["mac-prefix"],
        "PublicIps": answers["public-addresses"].split(),
    }
    table.update(_vpc(answers) if "mido-gateway" in mode.questions else _flat(answers))
    return json.dumps(table, indent=2) + "\n"


def _flat(answers: Answers) -> Dict[str, Any]:
    network = ipaddress.IPv4Network(answers["private-subnet"])
    subnet = {
        "Name": str(network.network_address),
        "Subnet": str(network.network_address),
        "Netmask": str(network.netmask),
        "Gateway": answers["instance-gateway"],
    }
    cluster = {
        "Name": answers["zone"],
        "MacPrefix": answers["mac-prefix"],
        "Subnet": subnet,
        "PrivateIps": answers["private-addresses"].split(),
    }
    return {"Clusters": [cluster]}


def _vpc(answers: Answers) -> Dict[str, Any]:
    gateway: Dict[str, Any] = {
        "Ip": answers["mido-gateway"],
        "ExternalDevice": answers["mido-device"],
        "ExternalCidr": answers["mido-external-cidr"],
        "ExternalIp": answers["mido-external-address"],
    }
    if answers["mido-asn"] == rules.NONE:
        gateway["ExternalRouterIp"] = answers["mido-router"]
        return {"Mido": {"Gateways": [gateway]}}
    gateway["BgpPeerIp"] = answers["mido-peer"]
    gateway["BgpPeerAsn"] = answers["mido-peer-asn"]
    gateway["BgpAdRoutes"] = answers["mido-routes"].split()
    return {"Mido": {"BgpAsn": answers["mido-asn"], "Gateways": [gateway]}}


def current(effects: Effects) -> Current:
    """What the cloud on this machine was told before; empty where it was not."""
    values = variables(effects.read(editions.CONF) or "")
    public, subnet = values.get("VNET_PUBLICIPS", ""), values.get("VNET_SUBNET", "")
    try:
        table = json.loads(effects.read(editions.DOCUMENT) or "{}")
    except ValueError:
        table = {}
    clusters = table.get("Clusters") or [{}]
    return Current(
        " ".join(table.get("PublicIps") or [public]),
        " ".join(clusters[0].get("PrivateIps") or []),
        "{}/{}".format(*_network(subnet, values.get("VNET_NETMASK", ""))) if subnet else "",
    )


def _network(subnet: str, mask: str) -> Tuple[str, str]:
    try:
        return subnet, str(ipaddress.IPv4Network(f"{subnet}/{mask}").prefixlen)
    except ValueError:
        return subnet, mask
