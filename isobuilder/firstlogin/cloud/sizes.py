"""Figures that are proposed and explained: nets of security groups, room for instances. Numbers in, numbers out."""

import ipaddress
from typing import List, Optional, Tuple

from ..model import Answers, Machine
from . import editions
from .editions import Edition

# A cache of more images than this is no use; and what a file system keeps for itself.
_MOST_CACHE_MIB = 100 << 10
_USABLE_PERCENT = 95
# So many groups are enough for most, where the subnet has room for more addresses in each.
_GROUPS = 256
# What the host itself needs, and NC's own share for each instance (PER_INSTANCE_BUFFER_MB).
_HOST_MEMORY_MIB = 1024
_OVERHEAD_MIB = 20


def per_group(addresses_per_net: int) -> int:
    """How many instances a security group can have."""
    return addresses_per_net - editions.RESERVED_PER_GROUP


def groups(subnet: str, addresses_per_net: int) -> int:
    """How many security groups there can be: networks 2 to the last but one, of those that fit (net/vnetwork.c)."""
    fit = (ipaddress.IPv4Network(subnet).num_addresses - 1) // addresses_per_net
    return max(0, min(fit, editions.VLANS) - 2)


def recommended_per_net(subnet: str) -> int:
    """The power of two that gives many groups, and then large ones."""
    room = ipaddress.IPv4Network(subnet).num_addresses // _GROUPS
    wanted = max(editions.LEAST_PER_GROUP, min(editions.MOST_PER_GROUP, room))
    return 1 << (wanted.bit_length() - 1)


def free_subnet(taken: List[ipaddress.IPv4Network]) -> Optional[str]:
    """A /16 for private use that none of these networks overlaps."""
    for second in range(16, 32):
        one = ipaddress.IPv4Network(f"172.{second}.0.0/16")
        if not any(one.overlaps(other) for other in taken):
            return str(one)
    return None


def _file_system(machine: Machine, path: str) -> Tuple[str, int]:
    """Where the file system that has `path` is mounted, and what is free in it in MiB."""
    fitting = [one for one in machine.file_systems if (path + "/").startswith(one[0].rstrip("/") + "/")]
    return max(fitting, key=lambda one: len(one[0])) if fitting else ("", machine.disk_free_mib)


def stores(machine: Machine) -> Tuple[int, int]:
    """Sizes in MiB for ephemeral disks and for the cache of images, proposed from what is free."""
    work_place, work = _file_system(machine, editions.INSTANCES)
    cache_place, cache = _file_system(machine, editions.IMAGE_CACHE)
    work, cache = work * _USABLE_PERCENT // 100, cache * _USABLE_PERCENT // 100
    if work_place == cache_place:
        cache = min(work // editions.WORK_SHARE, _MOST_CACHE_MIB)
        work -= cache
    return max(work, editions.LEAST_STORE_MIB), max(cache, editions.LEAST_STORE_MIB)


def overfull(machine: Machine, work: int, cache: int) -> str:
    """What is too large for where it goes ("" for nothing)."""
    work_place, free = _file_system(machine, editions.INSTANCES)
    cache_place, cache_free = _file_system(machine, editions.IMAGE_CACHE)
    if work_place == cache_place and work + cache > free:
        return f"{work} MiB and a cache of {cache} MiB are more than the {free} MiB that are free"
    if work > free:
        return f"{work} MiB are more than the {free} MiB that are free for instances"
    if work_place != cache_place and cache > cache_free:
        return f"A cache of {cache} MiB is more than the {cache_free} MiB that are free for it"
    return ""


def room(edition: Edition, machine: Machine, work: int) -> str:
    """How many instances of each size fit on this machine, in words."""
    memory = max(0, machine.memory_mib - _HOST_MEMORY_MIB)
    said = []
    for size in edition.sizes:
        number = min(work // (size.disk_gib * 1024 + _OVERHEAD_MIB), memory // size.memory_mib)
        said.append(f"{number} of {size.name} ({size.disk_gib} GiB, {size.memory_mib} MiB of memory)")
    return "Room for {}.".format(" or ".join(said))


def proposed_disk(machine: Machine, _answers: Answers) -> str:
    return str(stores(machine)[0])


def proposed_cache(machine: Machine, _answers: Answers) -> str:
    return str(stores(machine)[1])
