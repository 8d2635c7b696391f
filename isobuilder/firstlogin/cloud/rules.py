"""What a single answer about a cloud must be. As the rules of the machine part: any text in, a harmless value out."""

import ipaddress
import re
import secrets
from typing import List, Sequence, Tuple

from .. import rules
from ..rules import AnswerError
from ..text import shown
from . import editions, imagefacts, sshkeys

Range = Tuple[int, int]

YES, NO, NONE, AUTO = "yes", "no", rules.NONE, rules.AUTO
_RANGES = 256
_NODES = 1000
# Networks for private use (RFC 1918).
PRIVATE = tuple(ipaddress.IPv4Network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_PASSWORD = range(8, 73)
# Without those that look like others.
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_MADE = 20


def mode(value: str) -> str:
    """A networking mode of any version, in capitals."""
    names = sorted(editions.EVERY_MODE)
    instead = "The modes are {}.".format(", ".join(names))
    text = rules.plain(value, instead).upper().replace("_", "-")
    if text not in names:
        raise AnswerError(f"{shown(text)} is no networking mode", instead)
    return text


def yes_or_no(value: str) -> str:
    word = value.strip().lower()
    if word in ("y", "yes", "true", "on"):
        return YES
    if word in ("n", "no", "false", "off"):
        return NO
    raise AnswerError(f"{shown(value.strip())} is neither yes nor no", "Say yes or no.")


def image(value: str) -> str:
    word = value.strip().lower()
    if word in (NONE, *imagefacts.SIZES):
        return word
    raise AnswerError(f"{shown(value.strip())} is no size of an image", "Say none, small, medium or large.")


def ranges_of(value: str) -> List[Range]:
    """The first and last address, as numbers, of each word of a canonical list of addresses and ranges."""
    found = []
    for word in value.split():
        first, _, last = word.partition("-")
        found.append((int(ipaddress.IPv4Address(first)), int(ipaddress.IPv4Address(last or first))))
    return found


def count(ranges: Sequence[Range]) -> int:
    """How many addresses ranges have."""
    return sum(last - first + 1 for first, last in ranges)


def text_of(one: Range) -> str:
    first, last = (str(ipaddress.IPv4Address(number)) for number in one)
    return first if first == last else f"{first}-{last}"


def _ranges(value: str, instead: str, most: int) -> str:
    text = re.sub(r"\s*-\s*", "-", rules.plain(value, instead))
    found: List[Range] = []
    for word in rules.words(text, instead, _RANGES):
        first, sign, last = word.partition("-")
        # 192.168.1.10-20 is what people write for 192.168.1.10-192.168.1.20.
        if sign and re.match(r"[0-9]{1,3}\Z", last):
            last = "{}.{}".format(first.rpartition(".")[0], last)
        start = int(rules.of_a_machine(first, instead))
        end = int(rules.of_a_machine(last, instead)) if sign else start
        if end < start:
            raise AnswerError(f"{shown(word)} ends before it begins", "Give the lower address first.")
        for other in found:
            if start <= other[1] and other[0] <= end:
                raise AnswerError(f"{text_of((start, end))} and {text_of(other)} overlap", "Give each address once.")
        found.append((start, end))
        if count(found) > most:
            raise AnswerError(f"These are {count(found)} addresses, and {most} is the most", instead)
    return " ".join(text_of(one) for one in found)


def public_addresses(value: str) -> str:
    """Addresses and ranges of them with a space between, up to 2048 addresses in all."""
    instead = "Give addresses or ranges, as in 192.168.1.50 192.168.1.60-192.168.1.80."
    return _ranges(value, instead, editions.MOST_PUBLIC_ADDRESSES)


def private_addresses(value: str) -> str:
    """As public addresses; instances get them beside the public ones."""
    instead = "Give addresses or ranges, as in 192.168.1.100-192.168.1.140."
    return _ranges(value, instead, 1 << 16)


def subnet(value: str) -> str:
    """NETWORK/PREFIX, also from NETWORK NETMASK; the network must be the start of itself."""
    instead = "Give a network and a prefix, as in 172.16.0.0/16."
    parts = re.split(r"\s*/\s*|\s+", rules.plain(value, instead))
    if len(parts) != 2:
        raise AnswerError(f"{shown(value.strip())} is not a network with a prefix", instead)
    address = rules.of_a_machine(parts[0], instead)
    prefix = rules.prefix(parts[1])
    network = ipaddress.IPv4Network((int(address), prefix), strict=False)
    if address != network.network_address:
        raise AnswerError(f"{address}/{prefix} is not where a network begins", f"That one begins as {network}.")
    return str(network)


def addresses_per_net(value: str) -> str:
    """A power of two from 16 to 2048."""
    instead = "Give a power of two: 16, 32, 64, 128, 256, 512, 1024 or 2048."
    text = rules.plain(value, instead)
    if not re.match(r"[0-9]{1,6}\Z", text):
        raise AnswerError(f"{shown(text)} is not a number", instead)
    number = int(text)
    if number & (number - 1) or not editions.LEAST_PER_GROUP <= number <= editions.MOST_PER_GROUP:
        raise AnswerError(f"{number} cannot be the number of addresses of a net", instead)
    return str(number)


def address(value: str) -> str:
    """The address of one machine."""
    instead = "Give an address, as in 192.168.1.10."
    return str(rules.of_a_machine(rules.plain(value, instead), instead))


def address_or_none(value: str) -> str:
    return NONE if value.strip().lower() == NONE else address(value)


def name_servers(value: str) -> str:
    """One to three addresses. auto is of no use here: the document takes addresses."""
    if value.strip().lower() == AUTO:
        raise AnswerError("Instances cannot find out by themselves", "Give addresses of DNS servers.")
    return rules.name_servers(value)


def mac_prefix(value: str) -> str:
    """Two bytes that Ethernet addresses of instances begin with, in lower case."""
    instead = "Give two bytes, as in d0:0d."
    text = rules.plain(value, instead).lower()
    if not re.match(r"[0-9a-f]{2}:[0-9a-f]{2}\Z", text):
        raise AnswerError(f"{shown(text)} is not the beginning of an Ethernet address", instead)
    if int(text[:2], 16) & 1:
        raise AnswerError(f"{text} would make multicast addresses", "Give an even first byte, as in d0:0d.")
    return text


def zone(value: str) -> str:
    """The name of an availability zone."""
    instead = "Give a short name of letters, digits and hyphens, as in zone-1."
    text = rules.plain(value, instead).lower()
    if not re.match(r"[a-z][a-z0-9-]{0,30}[a-z0-9]\Z", text):
        raise AnswerError(f"{shown(text)} is not a name for a zone", instead)
    return text


def domain(value: str) -> str:
    """The DNS domain of a cloud."""
    return rules.hostname(value)


def nodes(value: str) -> str:
    """Addresses and ranges of node controllers, or `none`."""
    if value.strip().lower() == NONE:
        return NONE
    return _ranges(value, "Give addresses or ranges of nodes, as in 192.168.1.11-192.168.1.14, or none.", _NODES)


def mebibytes(value: str) -> str:
    """A size in MiB, also as 20G or 20 GiB; or `auto`."""
    instead = "Give a size, as in 50G or 51200 (in MiB), or say auto."
    text = rules.plain(value, instead).lower().replace(" ", "")
    if text == AUTO:
        return AUTO
    match = re.match(r"([0-9]{1,9})(|m|mb|mib|g|gb|gib|t|tb|tib)\Z", text)
    if match is None:
        raise AnswerError(f"{shown(text)} is not a size", instead)
    size = int(match.group(1)) << {"": 0, "m": 0, "g": 10, "t": 20}[match.group(2)[:1]]
    if not editions.LEAST_STORE_MIB <= size < 1 << 30:
        raise AnswerError(f"{size} MiB is no size for it", f"Give {editions.LEAST_STORE_MIB} MiB at least.")
    return str(size)


def public_key(value: str) -> str:
    """A public SSH key of one line without its comment, or `none`."""
    instead = "Give the line of a file such as id_rsa.pub on the front end, or say none."
    text = value.strip()
    if text.lower() == NONE:
        return NONE
    match = re.match(
        r"(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp[0-9]{3}) +([A-Za-z0-9+/]{60,900}={0,2})(?: [ -~]{0,200})?\Z", text
    )
    if match is None:
        raise AnswerError(f"{shown(text)} is not a public SSH key", instead)
    return f"{match.group(1)} {match.group(2)}"


def private_key(value: str) -> str:
    """A private RSA key in one word, or `none`. No message has any of it: it is a secret."""
    text = value.strip()
    if text.lower() == NONE:
        return NONE
    try:
        sshkeys.public_key(text)
    except ValueError:
        raise AnswerError(
            "This is no private RSA key in one word", "Have a pair made: isobuilder answers key, or say none."
        ) from None
    return text


def as_number(value: str) -> str:
    """The number of an autonomous system, or `none`."""
    instead = "Give a number from 1 to 4294967295, as in 64512, or say none."
    text = rules.plain(value, instead).lower()
    if text == NONE:
        return NONE
    if not re.match(r"[0-9]{1,10}\Z", text) or not 1 <= int(text) <= 0xFFFFFFFF:
        raise AnswerError(f"{shown(text)} is not the number of an autonomous system", instead)
    return str(int(text))


def subnets(value: str) -> str:
    """Networks with a space between, none of them twice."""
    instead = "Give networks with their prefixes, as in 10.116.150.0/24 10.116.151.0/24."
    found: List[str] = []
    for word in rules.words(rules.plain(value, instead), instead, _RANGES):
        one = subnet(word)
        if any(ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other)) for other in found):
            raise AnswerError(f"{one} overlaps another of them", "Give each once.")
        found.append(one)
    return " ".join(found)


def password(value: str) -> str:
    """A password of 8 to 72 printable ASCII characters, none of them a space at an end."""
    instead = f"Give {_PASSWORD[0]} to {_PASSWORD[-1]} characters, or nothing to have one made."
    # What was typed is in no message: this one is a secret.
    if not re.match(r"[!-~](?:[ -~]*[!-~])?\Z", value) or len(value) not in _PASSWORD:
        raise AnswerError("This cannot be the password", instead)
    if value.lower() in ("password", "eucalyptus", "admin123", "administrator", "12345678"):
        raise AnswerError("This is what anybody would try", instead)
    return value


def made_password() -> str:
    """A new password that nobody can guess."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_MADE))
