"""What the machine is: read from /sys, /proc, its configuration and `ip`, through the effects. It changes nothing."""

import ipaddress
import json
import re
from typing import Dict, List, Optional, Tuple

from . import journal, netstyles, rules
from .effects import Effects
from .model import Facts, Machine, Port, Role
from .netstyles import ifcfg, keyfile
from .shelltext import variables

FACTS = "/usr/share/cloud-setup/facts.json"
ROLE = "/etc/cloud-setup/role"
ZONES = "/usr/share/zoneinfo"
LABELS = "/dev/disk/by-label"
_SYS = "/sys/class/net"
_ETHERNET = "1"
# Processes through which remote people come in. A multiplexer keeps to itself who looks at it.
_REMOTE = ("sshd", "sshd-session", "in.telnetd", "telnetd", "in.rlogind", "mosh-server", "cockpit-bridge")
_MULTIPLEXERS = ("screen", "tmux", "tmux: server")

STYLES = {"ifcfg": ifcfg, "networkmanager": keyfile}
TIME_SERVICES = (("chronyd", "/etc/chrony.conf"), ("ntpd", "/etc/ntp.conf"))


def look(effects: Effects) -> Machine:
    """The machine as it is now."""
    facts = _facts(effects)
    now = addresses(effects)
    route, gateway = default_route(effects)
    ports = _ports(effects, facts, now)
    main = _main(ports, route)
    names = {port.name for port in ports} | {port.bridge for port in ports}
    service, servers = _time(effects)
    return Machine(
        facts=facts,
        role=_role(effects),
        hostname=(effects.read("/proc/sys/kernel/hostname") or "").strip(),
        serial=(effects.read("/sys/class/dmi/id/product_serial") or "").strip(),
        ports=ports,
        others=tuple((name, one) for name in sorted(now) if name not in names for one in now[name]),
        main=main,
        gateway=gateway,
        name_servers=tuple(re.findall(r"(?m)^nameserver\s+([0-9.]+)\s*$", effects.read("/etc/resolv.conf") or "")),
        time_zone=_zone(effects),
        time_service=service,
        time_servers=servers,
        memory_mib=_memory(effects),
        disk_free_mib=effects.free_mib("/var"),
        cpu_flags=_cpu_flags(effects),
        session=_session(effects),
        interfaces=tuple(effects.names(_SYS)),
        routes=_routes(effects),
        file_systems=_file_systems(effects),
        marks=tuple(effects.names(journal.MARKS)),
        media=tuple(effects.names(LABELS)),
    )


def addresses(effects: Effects) -> Dict[str, Tuple[str, ...]]:
    """ADDRESS/PREFIX of every interface that has one, but of the loopback. `ip -j` is newer than CentOS 7."""
    found: Dict[str, Tuple[str, ...]] = {}
    for line in effects.run("ip", "-o", "-4", "addr", "show").output.splitlines():
        match = re.match(r"[0-9]+:\s+([^\s@]+)(?:@\S+)?\s+inet\s+([0-9.]+/[0-9]+)\s", line)
        if match and match.group(1) != "lo":
            found[match.group(1)] = (*found.get(match.group(1), ()), match.group(2))
    return found


def default_route(effects: Effects) -> Tuple[str, str]:
    """The interface and the gateway of the best default route, or two empty strings."""
    best: Optional[Tuple[int, str, str]] = None
    for line in (effects.read("/proc/net/route") or "").splitlines()[1:]:
        words = line.split()
        # Numbers there are hexadecimal, in the byte order of the machine; flag 2 is a gateway.
        if len(words) > 7 and words[1] == "00000000" and words[7] == "00000000" and int(words[3], 16) & 2:
            number = bytes.fromhex(words[2])[::-1]
            one = (int(words[6]), words[0], ".".join(map(str, number)))
            best = one if best is None else min(best, one)
    return (best[1], best[2]) if best else ("", "")


def default_interface(effects: Effects) -> str:
    """Where the default route goes, with a gateway or without."""
    return default_route(effects)[0]


def _routes(effects: Effects) -> Tuple[Tuple[str, str], ...]:
    """Networks that there is a route to, but the default one: NETWORK/PREFIX and the interface."""
    found = []
    for line in (effects.read("/proc/net/route") or "").splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[7] != "00000000":
            network, mask = (ipaddress.IPv4Address(bytes.fromhex(word)[::-1]) for word in (words[1], words[7]))
            found.append((f"{network}/{bin(int(mask)).count('1')}", words[0]))
    return tuple(found)


def _file_systems(effects: Effects) -> Tuple[Tuple[str, int], ...]:
    """File systems of disks: where they are mounted, and what is free there in MiB."""
    lines = [line.split() for line in (effects.read("/proc/mounts") or "").splitlines()]
    places = [words[1] for words in lines if len(words) > 1 and words[0].startswith("/dev/") and "\\" not in words[1]]
    return tuple((place, effects.free_mib(place)) for place in dict.fromkeys(places))


def is_physical(effects: Effects, name: str) -> bool:
    """Whether an interface is an Ethernet port of hardware, virtual hardware included, and no radio."""
    place = f"{_SYS}/{name}"
    return (
        effects.exists(place + "/device")
        and (effects.read(place + "/type") or "").strip() == _ETHERNET
        and not effects.exists(place + "/phy80211")
        and not effects.exists(place + "/bonding_slave")
    )


def bridge_of(effects: Effects, name: str) -> str:
    """The bridge that a port is in, or ""."""
    target = effects.target(f"{_SYS}/{name}/brport/bridge") or ""
    return target.rpartition("/")[2]


def _facts(effects: Effects) -> Facts:
    table = json.loads(effects.read(FACTS) or "{}")
    return Facts(table.get("title", "this system"), table["network"], table["init"])


def _role(effects: Effects) -> Role:
    values = variables(effects.read(ROLE) or "")
    return Role(
        id=values.get("ID", ""),
        title=values.get("TITLE", ""),
        bridge=values.get("BRIDGE", ""),
        memory_mib=_number(values.get("MEMORY_MIB", "")),
        disk_gib=_number(values.get("DISK_GIB", "")),
        cpu_flags=tuple(values.get("CPU_FLAGS", "").split()),
        cloud=values.get("CLOUD", ""),
        parts=tuple(values.get("PARTS", "").split()),
        medium=values.get("MEDIUM", ""),
        image=values.get("IMAGE", ""),
        medium_path=values.get("MEDIUM_PATH", ""),
        root_path=values.get("ROOT_PATH", ""),
    )


def _number(text: str) -> int:
    return int(text) if re.match(r"[0-9]{1,9}\Z", text) else 0


def _ports(effects: Effects, facts: Facts, now: Dict[str, Tuple[str, ...]]) -> Tuple[Port, ...]:
    configured = STYLES[facts.network].configured(effects)
    return tuple(_port(effects, name, now, configured) for name in effects.names(_SYS) if is_physical(effects, name))


def _port(
    effects: Effects, name: str, now: Dict[str, Tuple[str, ...]], configured: Dict[str, netstyles.Configured]
) -> Port:
    own = configured.get(name)
    # Between two steps of ours only one of them may say it.
    bridge = bridge_of(effects, name) or (own.bridge if own else "")
    holder = configured.get(bridge) if bridge else own
    return Port(
        name=name,
        mac=(effects.read(f"{_SYS}/{name}/address") or "").strip().lower(),
        # Without a carrier, or of a port that is down, there is no 1 to read.
        link=(effects.read(f"{_SYS}/{name}/carrier") or "").strip() == "1",
        addresses=now.get(bridge or name, ()),
        bridge=bridge,
        configured=holder.address if holder else "",
    )


def _main(ports: Tuple[Port, ...], route: str) -> str:
    ranked = sorted(ports, key=lambda port: (route not in (port.name, port.bridge), not port.addresses, not port.link))
    return ranked[0].name if ranked else ""


def _zone(effects: Effects) -> str:
    target = effects.target("/etc/localtime") or ""
    name = target.partition("/zoneinfo/")[2]
    if not name:
        name = variables(effects.read("/etc/sysconfig/clock") or "").get("ZONE", "")
    try:
        return rules.time_zone(name)
    except rules.AnswerError:
        return ""


def _time(effects: Effects) -> Tuple[str, Tuple[str, ...]]:
    for service, path in TIME_SERVICES:
        text = effects.read(path)
        if text is not None:
            return service, tuple(re.findall(r"(?m)^[ \t]*(?:server|pool|peer)[ \t]+(\S+)", text))
    return "", ()


def _memory(effects: Effects) -> int:
    match = re.search(r"MemTotal:\s+([0-9]+) kB", effects.read("/proc/meminfo") or "")
    return int(match.group(1)) >> 10 if match else 0


def _cpu_flags(effects: Effects) -> Tuple[str, ...]:
    match = re.search(r"(?m)^(?:flags|Features)\s*:\s*(.*)$", effects.read("/proc/cpuinfo") or "")
    return tuple(match.group(1).split()) if match else ()


def _session(effects: Effects) -> str:
    """The machine's own address in a remote session; `su -` forgets it, and then the parents tell."""
    words = effects.environ.get("SSH_CONNECTION", "").split()
    if len(words) == 4:
        return words[2]
    return "?" if any(name in _REMOTE + _MULTIPLEXERS for name in _parents(effects)) else ""


def _parents(effects: Effects) -> List[str]:
    names: List[str] = []
    pid = effects.pid
    while pid > 1 and len(names) < 100:
        # PID (NAME) STATE PARENT; a name can hold anything.
        match = re.match(r"(?s)[0-9]+ \((.*)\) \S (-?[0-9]+) ", effects.read(f"/proc/{pid}/stat") or "")
        if match is None:
            break
        names.append(match.group(1))
        pid = int(match.group(2))
    return names
