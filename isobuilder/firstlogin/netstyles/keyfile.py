"""NetworkManager's keyfiles (CentOS Stream 8 and later)."""

import re
import uuid
from typing import Dict, List, Tuple

from .. import rules
from ..effects import Effects
from ..model import Absent, Command, File, Machine
from . import Configured, Layout, PortLayout, ifcfg

FOLDER = "/etc/NetworkManager/system-connections"
_HEADER = "# Written by cloud-setup. Run cloud-setup to change it."
# A namespace of our own: the same port has the same profile, whenever it is written.
_NAMESPACE = uuid.UUID("6f3c1a52-5b0e-4b8e-9d0a-2f1d6c7e9a10")


def configured(effects: Effects) -> Dict[str, Configured]:
    """What the files ask for, by interface: keyfiles, and the ifcfg files that NetworkManager of 8 still reads."""
    found = ifcfg.configured(effects)
    names = {}
    profiles = []
    for name in effects.names(FOLDER):
        if name.startswith(".") or name.endswith("~"):
            continue
        path = f"{FOLDER}/{name}"
        values = settings(effects.read(path) or "")
        connection = values.get("connection", {})
        device = connection.get("interface-name", "")
        names[connection.get("uuid", "")] = device
        if device and connection.get("type") in ("ethernet", "802-3-ethernet", "bridge"):
            profiles.append((device, path, values))
    for device, path, values in profiles:
        connection = values["connection"]
        master = connection.get("controller") or connection.get("master", "")
        files = found[device].files if device in found else ()
        found[device] = Configured(_address(values.get("ipv4", {})), names.get(master, master), (*files, path))
    return found


def settings(text: str) -> Dict[str, Dict[str, str]]:
    """The sections of a keyfile."""
    found: Dict[str, Dict[str, str]] = {}
    section: Dict[str, str] = {}
    for line in text.splitlines():
        if re.match(r"\[.*\]\s*\Z", line):
            section = found.setdefault(line.strip()[1:-1], {})
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section[key.strip()] = value.strip()
    return found


def _address(ipv4: Dict[str, str]) -> str:
    if ipv4.get("method") == "auto":
        return rules.DHCP
    first = re.split("[,;]", ipv4.get("address1") or ipv4.get("addresses", ""))[0]
    try:
        return rules.interface_address(first)
    except rules.AnswerError:
        return ""


def wanted(layout: Layout, machine: Machine, effects: Effects, *, up: bool) -> List[object]:
    """What is to be done for `layout`; `up`: the machine is as it wants already, and only files may differ."""
    files: List[object] = []
    for port in layout.ports:
        files += _files(port)
    paths = tuple(one.path for one in files if isinstance(one, File))
    now = configured(effects)
    ours = {port.name for port in layout.ports} | {port.bridge for port in layout.ports if port.bridge}
    ours.update(layout.leftover_bridges)
    stale = [path for name in sorted(ours & set(now)) for path in now[name].files if path not in paths]
    changing = paths + tuple(stale)
    reload = ("nmcli", "connection", "reload")
    return [
        # Before the files for the way back, on which it comes after them.
        Command(
            reload,
            "NetworkManager knows what there is",
            changing,
            needed=not up,
            undo=(reload, *_reconnections(layout)),
        ),
        *_disconnections(layout, machine),
        *files,
        *(Absent(path) for path in stale),
        Command(reload, "NetworkManager reads its new files", changing, needed=not up),
        *(command for port in layout.ports for command in _activation(port, changing, needed=not up)),
        *(
            Command(("nmcli", "device", "delete", bridge), "the bridge goes away", needed=True)
            for bridge in layout.leftover_bridges
            if effects.exists(f"/sys/class/net/{bridge}")
        ),
    ]


def _reconnections(layout: Layout) -> List[Tuple[str, ...]]:
    return [("nmcli", "--wait", "60", "device", "connect", port.name) for port in layout.ports]


def _disconnections(layout: Layout, machine: Machine) -> List[Command]:
    """Ports that are not used any more, as long as NetworkManager knows them as connected."""
    off = [port.name for port in layout.ports if port.address == rules.OFF]
    used = [port.name for port in machine.ports if port.name in off and port.addresses]
    why = "it is not used any more"
    return [Command(("nmcli", "device", "disconnect", name), why, needed=True, cuts=True) for name in used]


def _activation(port: PortLayout, changing: Tuple[str, ...], *, needed: bool) -> List[Command]:
    if port.address == rules.OFF:
        # Its profile was taken away, and the new one does not start by itself.
        return []
    why = f"{port.holder} starts, as its new file says"
    up = ("nmcli", "--wait", "90", "connection", "up", "id", _id(port.holder))
    return [Command(up, why, changing, needed=needed, cuts=True, timeout=120)]


def _id(name: str) -> str:
    return f"cloud-setup-{name}"


def _uuid(name: str, port: PortLayout) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{name} {port.mac}"))


def _files(port: PortLayout) -> List[File]:
    if not port.bridge:
        return [_file(port.name, port, "ethernet", [], _ip(port))]
    member = [("master", _uuid(port.bridge, port)), ("slave-type", "bridge")]
    bridge = [("bridge", [("stp", "false")]), *_ip(port)]
    # Starting the bridge starts its port too: without one it would wait for a carrier.
    return [
        _file(port.bridge, port, "bridge", [("autoconnect-slaves", "1")], bridge),
        _file(port.name, port, "ethernet", member, []),
    ]


_Lines = List[Tuple[str, str]]


def _file(name: str, port: PortLayout, kind: str, member: _Lines, rest: "List[Tuple[str, _Lines]]") -> File:
    connection = [
        ("id", _id(name)),
        ("uuid", _uuid(name, port)),
        ("type", kind),
        ("interface-name", name),
        # Wins over a profile for any port.
        ("autoconnect-priority", "10"),
        *([("autoconnect", "false")] if port.address == rules.OFF else []),
        *member,
    ]
    sections = [("connection", connection)]
    if kind == "ethernet":
        sections.append(("ethernet", [("mac-address", port.mac.upper())]))
    blocks = [
        "[{}]\n{}".format(title, "".join("{}={}\n".format(*line) for line in lines)) for title, lines in sections + rest
    ]
    path = f"{FOLDER}/{_id(name)}.nmconnection"
    # NetworkManager takes no file that others may read.
    return File(path, "{}\n\n{}".format(_HEADER, "\n".join(blocks)), mode=0o600)


def _ip(port: PortLayout) -> "List[Tuple[str, _Lines]]":
    if port.address == rules.OFF:
        return [("ipv4", [("method", "disabled")]), ("ipv6", [("method", "ignore")])]
    lines: _Lines = []
    if port.address == rules.DHCP:
        lines.append(("method", "auto"))
    else:
        lines += [("method", "manual"), ("address1", ",".join(filter(None, (port.address, port.gateway))))]
    if port.name_servers:
        lines += [("dns", "".join(server + ";" for server in port.name_servers)), ("dns-search", port.domain + ";")]
    if port.address == rules.DHCP and (port.name_servers or not port.main):
        lines.append(("ignore-auto-dns", "true"))
    if not port.main:
        lines.append(("never-default", "true"))
    lines.append(("may-fail", "false"))
    return [("ipv4", lines), ("ipv6", [("method", "auto"), *([] if port.main else [("never-default", "true")])])]
