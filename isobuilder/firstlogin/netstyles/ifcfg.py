"""ifcfg files, which the service `network` reads (CentOS 6 and 7)."""

import re
from typing import Dict, List, Tuple

from .. import rules, services
from ..effects import Effects
from ..model import Absent, Command, File, Machine
from ..shelltext import assigned, variables
from . import Configured, Layout, PortLayout

FOLDER = "/etc/sysconfig/network-scripts"
_NETWORK = "/etc/sysconfig/network"
_RESOLV = "/etc/resolv.conf"
_HEADER = "# Written by cloud-setup. Run cloud-setup to change it.\n"


def configured(effects: Effects) -> Dict[str, Configured]:
    """What the files ask for, by interface; aliases, which have a colon, are not looked at."""
    by_mac = {
        (effects.read(f"/sys/class/net/{name}/address") or "").strip().lower(): name
        for name in effects.names("/sys/class/net")
        if effects.exists(f"/sys/class/net/{name}/device")
    }
    found: Dict[str, Configured] = {}
    for name in effects.names(FOLDER):
        if not re.match(r"ifcfg-[^:]+\Z", name) or name.endswith((".bak", ".orig", ".rpmnew", ".rpmsave", "~")):
            continue
        path = f"{FOLDER}/{name}"
        values = variables(effects.read(path) or "")
        device = values.get("DEVICE") or by_mac.get(values.get("HWADDR", "").lower(), "")
        if device and device != "lo" and values.get("TYPE", "Ethernet") in ("Ethernet", "Bridge"):
            earlier = found.get(device)
            files = (*(earlier.files if earlier else ()), path)
            found[device] = Configured(_address(values), values.get("BRIDGE", ""), files)
    return found


def _address(values: Dict[str, str]) -> str:
    if values.get("BOOTPROTO", "").lower() in ("dhcp", "bootp"):
        return rules.DHCP
    address = values.get("IPADDR") or values.get("IPADDR0", "")
    prefix = values.get("PREFIX") or values.get("PREFIX0") or values.get("NETMASK") or values.get("NETMASK0", "")
    try:
        return rules.interface_address(f"{address}/{prefix}")
    except rules.AnswerError:
        return ""


def wanted(layout: Layout, machine: Machine, effects: Effects, *, up: bool) -> List[object]:
    """What is to be done for `layout`; `up`: the machine is as it wants already, and only files may differ."""
    now = configured(effects)
    files: List[object] = []
    for port in layout.ports:
        files += _files(port)
    files += _network_file(layout, machine, effects)
    files += _resolv_file(layout, effects)
    paths = tuple(one.path for one in files if isinstance(one, File))
    ours = {port.name for port in layout.ports} | {port.bridge for port in layout.ports if port.bridge}
    ours.update(layout.leftover_bridges)
    stale = [path for name in sorted(ours & set(now)) for path in now[name].files if path not in paths]
    files += [Absent(path) for path in stale]
    changing = paths + tuple(stale)
    init = machine.facts.init
    stop = services.command(init, "stop", "network")
    start = services.command(init, "start", "network")
    why = "the network starts, by its new files"
    start_anew = Command(start, why, changing, needed=not up, undo=(stop,), cuts=True, timeout=300)
    return [
        Command(stop, "the network stops, by its old files", changing, needed=not up, undo=(start,), cuts=True),
        *files,
        *_let_go(machine, effects, changing, needed=not up),
        *_bridges_go(layout, effects),
        *services.enabled(init, "network", effects),
        start_anew,
    ]


def _let_go(machine: Machine, effects: Effects, changing: Tuple[str, ...], *, needed: bool) -> List[Command]:
    """NetworkManager of 7 runs beside the service, and does not look at files before it is told to."""
    if machine.facts.init != "systemd" or not services.is_so("systemd", "running", "NetworkManager", effects):
        return []
    reload = ("nmcli", "connection", "reload")
    return [Command(reload, "NetworkManager lets go of these ports", changing, needed=needed, undo=(reload,))]


def _bridges_go(layout: Layout, effects: Effects) -> List[Command]:
    gone = [name for name in layout.leftover_bridges if effects.exists(f"/sys/class/net/{name}")]
    commands = [(("ip", "link", "set", name, "down"), ("brctl", "delbr", name)) for name in gone]
    return [Command(argv, "the bridge goes away", needed=True) for both in commands for argv in both]


def _files(port: PortLayout) -> List[File]:
    own = [("DEVICE", port.name), ("TYPE", "Ethernet"), ("HWADDR", port.mac.upper())]
    if port.bridge:
        own += [("ONBOOT", "yes"), ("NM_CONTROLLED", "no"), ("BOOTPROTO", "none"), ("BRIDGE", port.bridge)]
        bridge = [("DEVICE", port.bridge), ("TYPE", "Bridge"), ("STP", "off"), ("DELAY", "0"), *_ip(port)]
        return [_file(port.bridge, bridge), _file(port.name, own)]
    return [_file(port.name, own + _ip(port))]


def _ip(port: PortLayout) -> List[Tuple[str, str]]:
    lines = [("ONBOOT", "no" if port.address == rules.OFF else "yes"), ("NM_CONTROLLED", "no")]
    if port.address == rules.OFF:
        return [*lines, ("BOOTPROTO", "none")]
    if port.address == rules.DHCP:
        lines.append(("BOOTPROTO", "dhcp"))
    else:
        address, _, prefix = port.address.partition("/")
        lines += [("BOOTPROTO", "none"), ("IPADDR", address), ("PREFIX", prefix)]
    if port.gateway:
        lines.append(("GATEWAY", port.gateway))
    lines.append(("DEFROUTE", "yes" if port.main else "no"))
    # Name servers that were asked for are in resolv.conf, and DHCP shall not write over them.
    given = port.address == rules.DHCP and bool(port.name_servers)
    lines.append(("PEERDNS", "yes" if port.main and not given else "no"))
    if port.main and not given:
        lines += [(f"DNS{number}", server) for number, server in enumerate(port.name_servers, start=1)]
        lines += [("DOMAIN", port.domain)] if port.name_servers else []
    return lines


def _file(name: str, lines: List[Tuple[str, str]]) -> File:
    return File(f"{FOLDER}/ifcfg-{name}", _HEADER + "".join("{}={}\n".format(*line) for line in lines))


def _network_file(layout: Layout, machine: Machine, effects: Effects) -> List[object]:
    """The file of the service itself: a gateway there would be a second one, and on 6 it has the host name."""
    text = effects.read(_NETWORK) or ""
    kept = "".join(line for line in text.splitlines(keepends=True) if not re.match(r"\s*GATEWAY(DEV)?=", line))
    if machine.facts.init == "sysv":
        kept = assigned(assigned(kept, "NETWORKING", "yes"), "HOSTNAME", layout.hostname)
    return [File(_NETWORK, kept)] if kept != text else []


def _resolv_file(layout: Layout, effects: Effects) -> List[object]:
    main = next((port for port in layout.ports if port.main and port.name_servers), None)
    if main is None:
        return []
    before = effects.read(_RESOLV) or ""
    kept = [line for line in before.splitlines() if re.match(r"(options|sortlist)\s", line)]
    lines = [f"search {main.domain}"] + [f"nameserver {server}" for server in main.name_servers] + kept
    return [File(_RESOLV, _HEADER + "".join(line + "\n" for line in lines))]
