"""What a single answer must be: pure functions from what was given to what will be used.

Each takes any text at all. It gives back the value in its one canonical form, printable ASCII without quotes or
anything else that a shell or a configuration file would take for more than a value; or raises AnswerError, which says
why, and what to give instead. They know no machine; the wizard, the answers file and the host that builds the ISO
share them.
"""

import ipaddress
import re
from typing import List, Tuple

from .text import shown

DHCP, KEEP, OFF, NONE, AUTO = "dhcp", "keep", "off", "none", "auto"

# HOST_NAME_MAX of Linux.
HOSTNAME_LIMIT = 64
# IFNAMSIZ of Linux less the final NUL.
_INTERFACE = r"[A-Za-z][A-Za-z0-9_.-]{0,14}"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# What people say where a name was asked for, and mean no name.
_NO_NAMES = ("yes", "y", "no", "n", "on", "true", "false", DHCP, KEEP, OFF, AUTO)
# MAXNS of glibc's resolver.
_NAME_SERVERS = 3
_TIME_SERVERS = 8
_LONGEST = 1000
# /31 and /32 have no addresses beside each other; a net wider than /8 is nobody's.
_PREFIXES = range(8, 31)

Network = ipaddress.IPv4Network


class AnswerError(ValueError):
    """A value that cannot be: `why`, and what to give `instead`."""

    def __init__(self, why: str, instead: str) -> None:
        super().__init__(f"{why}. {instead}")
        self.why = why
        self.instead = instead


def plain(value: str, instead: str) -> str:
    """`value` without spaces around it. Refuses what is empty, long, or not printable ASCII."""
    text = value.strip(" \t")
    if not text:
        raise AnswerError("Nothing was given", instead)
    if len(text) > _LONGEST:
        raise AnswerError(f"{shown(text)} is too long", instead)
    if not re.match(r"[ -~]+\Z", text):
        raise AnswerError(f"{shown(text)} has characters that are not plain ASCII", instead)
    return text


def hostname(value: str) -> str:
    """A fully qualified name in lower case, which fits into the kernel's 64 characters (RFC 952, RFC 1123)."""
    instead = "Give a name with its domain: letters, digits, hyphens and dots, as in front.example.org."
    text = plain(value, instead).lower()
    if text.endswith("."):
        text = text[:-1]
    if len(text) > HOSTNAME_LIMIT:
        raise AnswerError(f"{shown(text)} is longer than {HOSTNAME_LIMIT} characters", "Give a shorter name.")
    labels = text.split(".")
    for label in labels:
        if not re.match(_LABEL + r"\Z", label):
            raise AnswerError(f"{shown(text)} is not a host name", instead)
    if len(labels) < 2:
        raise AnswerError(f"{shown(text)} has no domain", f"Give it with its domain, as in {labels[0]}.example.org.")
    if not re.search("[a-z]", labels[-1]):
        raise AnswerError(f"{shown(text)} ends in digits, as an address does", instead)
    if labels[0] == "localhost" or text == "localhost.localdomain":
        raise AnswerError(f"{shown(text)} is what every machine calls itself", "Give this machine a name of its own.")
    return text


def _quad(text: str, instead: str) -> ipaddress.IPv4Address:
    """An address as dotted quad. Leading zeros are refused: some programs take them for octal."""
    if ":" in text and re.match(r"[0-9A-Fa-f:.]+\Z", text):
        raise AnswerError(f"{shown(text)} is an IPv6 address", "Give an IPv4 address.")
    if not re.match(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})\Z", text):
        raise AnswerError(f"{shown(text)} is not an IPv4 address", instead)
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise AnswerError(f"{shown(text)} is not an IPv4 address", "No part of it can be more than 255.") from None


def of_a_machine(text: str, instead: str) -> ipaddress.IPv4Address:
    """An address that one machine can have."""
    found = _quad(text, instead)
    kinds = (
        (found.is_loopback, "never leaves a machine (127.0.0.0/8)"),
        (found.is_link_local, "is link-local (169.254.0.0/16): machines give it to themselves when DHCP fails"),
        (found.is_multicast, "is a multicast address (224.0.0.0/4)"),
        (int(found) >> 24 == 0, "is in 0.0.0.0/8, which means no address"),
        (int(found) >> 28 == 15, "is in 240.0.0.0/4, which nobody uses; all ones is broadcast"),
    )
    for is_so, what in kinds:
        if is_so:
            raise AnswerError(f"{text} {what}", instead)
    return found


def interface_address(value: str) -> str:
    """ADDRESS/PREFIX, also from ADDRESS/NETMASK and ADDRESS NETMASK."""
    instead = "Give an address and a prefix, as in 192.168.1.10/24."
    text = plain(value, instead)
    parts = re.split(r"\s*/\s*|\s+", text)
    if len(parts) == 1:
        of_a_machine(parts[0], instead)
        raise AnswerError(f"{text} has no prefix", f"Add it, as in {text}/24 for the netmask 255.255.255.0.")
    if len(parts) != 2:
        raise AnswerError(f"{shown(text)} is not an address with a prefix", instead)
    address = of_a_machine(parts[0], instead)
    length = prefix(parts[1])
    network = ipaddress.IPv4Network((int(address), length), strict=False)
    if address == network.network_address:
        raise AnswerError(f"{address} is the name of the network {network} itself", "Give one between its ends.")
    if address == network.broadcast_address:
        raise AnswerError(f"{address} is the broadcast address of {network}", "Give one between its ends.")
    return f"{address}/{length}"


def prefix(text: str) -> int:
    """The length of a network's prefix, from that or from a netmask."""
    instead = f"Give a prefix from {_PREFIXES[0]} to {_PREFIXES[-1]}, as in /24, or a netmask, as in 255.255.255.0."
    if re.match(r"[0-9]{1,3}\Z", text):
        length = int(text)
    else:
        mask = int(_quad(text, instead))
        ones = bin(mask).count("1")
        if mask != (0xFFFFFFFF << (32 - ones)) & 0xFFFFFFFF:
            raise AnswerError(f"{shown(text)} is not a netmask", instead)
        length = ones
    if length not in _PREFIXES:
        raise AnswerError(f"/{length} cannot be the prefix of a machine's network", instead)
    return length


def main_address(value: str) -> str:
    """`dhcp`, or ADDRESS/PREFIX."""
    if value.strip().lower() == DHCP:
        return DHCP
    try:
        return interface_address(value)
    except AnswerError as refused:
        raise AnswerError(refused.why, f"{refused.instead} Or say dhcp.") from None


def port_address(value: str) -> str:
    """`keep`, `off`, `dhcp`, or ADDRESS/PREFIX: what another network port than the main one gets."""
    word = value.strip().lower()
    if word in (KEEP, OFF, DHCP):
        return word
    try:
        return interface_address(value)
    except AnswerError as refused:
        raise AnswerError(refused.why, f"{refused.instead} Or say keep, dhcp or off.") from None


def gateway(value: str) -> str:
    """The address of a router, or `none`."""
    instead = "Give the address of the router in this network, as in 192.168.1.1, or say none."
    text = plain(value, instead)
    if text.lower() == NONE:
        return NONE
    return str(of_a_machine(text, instead))


def words(value: str, instead: str, most: int) -> List[str]:
    """Words with spaces or commas between them, at least one and at most so many, each once."""
    found = [word for word in re.split(r"[\s,]+", plain(value, instead)) if word]
    if not found:
        raise AnswerError("Nothing was given", instead)
    if len(found) > most:
        raise AnswerError(f"These are {len(found)}, and {most} is the most", instead)
    if len(set(found)) < len(found):
        raise AnswerError("One of them is there twice", "Give each once.")
    return found


def name_servers(value: str) -> str:
    """Up to three addresses with a space between them, or `auto`: those that DHCP says."""
    instead = "Give one to three addresses, as in 192.168.1.1 192.168.1.2, or say auto for those that DHCP gives."
    if value.strip().lower() == AUTO:
        return AUTO
    return " ".join(str(of_a_machine(word, instead)) for word in words(value, instead, _NAME_SERVERS))


def time_servers(value: str) -> str:
    """Up to eight names or addresses with a space between them, or `keep`: what the machine has."""
    instead = "Give names or addresses, as in ntp1.example.org 192.168.1.1, or say keep."
    if value.strip().lower() == KEEP:
        return KEEP
    return " ".join(_time_server(word, instead) for word in words(value, instead, _TIME_SERVERS))


def _time_server(word: str, instead: str) -> str:
    if re.match(r"[0-9.]+\Z", word) or ":" in word:
        return str(of_a_machine(word, instead))
    name = word.lower().rstrip(".")
    if len(name) > 253 or not all(re.match(_LABEL + r"\Z", label) for label in name.split(".")):
        raise AnswerError(f"{shown(word)} is neither a name nor an address", instead)
    return name


def time_zone(value: str) -> str:
    """A name of the time zone database. Whether it has that name, the machine knows."""
    instead = "Give a name such as UTC, Europe/Rome or America/New_York."
    text = plain(value, instead)
    if not re.match(r"[A-Za-z][A-Za-z0-9+_-]{0,30}(?:/[A-Za-z0-9+_-]{1,30}){0,2}\Z", text):
        raise AnswerError(f"{shown(text)} is not the name of a time zone", instead)
    return text


def interface(value: str) -> str:
    """The name of a network port, as the kernel has them."""
    instead = "Give the name of a port, as in eth0 or enp3s0."
    text = plain(value, instead)
    if not re.match(_INTERFACE + r"\Z", text) or text == "lo":
        raise AnswerError(f"{shown(text)} is not the name of a network port", instead)
    return text


def bridge(value: str) -> str:
    """The name of a bridge, or `none`."""
    instead = "Give a name such as br0, or say none."
    text = plain(value, instead)
    if text.lower() == NONE:
        return NONE
    # Not any name of a port: that of a file with a dot would stand for an alias or a VLAN.
    if not re.match(r"[A-Za-z][A-Za-z0-9_-]{0,14}\Z", text) or text == "lo":
        raise AnswerError(f"{shown(text)} is not the name of a bridge", instead)
    if text.lower() in _NO_NAMES:
        raise AnswerError(f"{shown(text)} would be its name, and no bridge is called so", instead)
    return text


def mac(value: str) -> str:
    """An Ethernet address of one port, in lower case with colons."""
    instead = "Give the address of a port, as in 52:54:00:12:34:56."
    text = plain(value, instead).lower().replace("-", ":")
    if not re.match(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}\Z", text):
        raise AnswerError(f"{shown(value)} is not an Ethernet address", instead)
    if int(text[:2], 16) & 1 or text == "00:00:00:00:00:00":
        raise AnswerError(f"{text} is no address of one port", instead)
    return text


def serial(value: str) -> str:
    """The serial number that a machine's firmware says (dmidecode -s system-serial-number)."""
    instead = "Give the serial number as `dmidecode -s system-serial-number` shows it."
    text = plain(value, instead)
    if not re.match(r"[A-Za-z0-9][A-Za-z0-9 ._/+-]{0,63}\Z", text):
        raise AnswerError(f"{shown(text)} is not a serial number", instead)
    return text


def machine_name(value: str) -> str:
    """The name of a machine as the title of a section: a host name, with or without its domain."""
    text = plain(value, "Give a host name.").lower()
    labels = text.split(".")
    if len(text) > HOSTNAME_LIMIT or not all(re.match(_LABEL + r"\Z", label) for label in labels):
        raise AnswerError(f"{shown(text)} is not a host name", "Give one as in node1 or node1.example.org.")
    return text


def split(address: str) -> Tuple[str, Network]:
    """A canonical ADDRESS/PREFIX as its address and its network."""
    return address.partition("/")[0], ipaddress.IPv4Network(address, strict=False)
