"""The network of the installed system: one keyfile of NetworkManager for each network command."""

import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .tools import FailureError, Tools

_NAMES = ("ID_NET_NAME_ONBOARD", "ID_NET_NAME_SLOT", "ID_NET_NAME_PATH")


def load_drivers(tools: Tools, devices: Path = Path("/sys/devices")) -> None:
    """Load the driver of every device that stage 2 has one for: there is no udev to do so."""
    aliases = {path.read_text(encoding="ascii").strip() for path in devices.rglob("modalias")}
    # Most devices have no driver here, which is no failure.
    tools.attempt(["modprobe", "--all", "--quiet", *sorted(aliases - {""})])


def name_interfaces(tools: Tools, net: Path = Path("/sys/class/net")) -> None:
    """Give the interfaces the names that they have on the installed system, and switch them on, so that links show."""
    for folder in sorted(one for one in net.iterdir() if (one / "device").exists()):
        said = tools.attempt(["udevadm", "test-builtin", "net_id", f"/sys/class/net/{folder.name}"]).stdout
        found = dict(re.findall(r"^(ID_NET_NAME_\w+)=(\S+)$", said, re.MULTILINE))
        name = next((found[one] for one in _NAMES if one in found), folder.name)
        if name != folder.name:
            tools.run("ip", "link", "set", folder.name, "name", name)
        tools.run("ip", "link", "set", name, "up")


def set_network(handler: Any, root: Path, net: Path = Path("/sys/class/net")) -> list[str]:
    """Write what the network commands say; gives a line for each."""
    said = []
    for data in handler.network.network:
        if data.hostname:
            (root / "etc/hostname").write_text(f"{data.hostname}\n", encoding="utf-8")
            said.append(f"network: this machine is {data.hostname}")
        if not data.bootProto and not data.device:
            continue
        interface = _interface(data.device or "link", net)
        if interface is None:
            said.append("network: no interface has a link, and none is set up")
            continue
        keyfile = root / f"etc/NetworkManager/system-connections/{interface}.nmconnection"
        keyfile.parent.mkdir(parents=True, exist_ok=True)
        keyfile.write_text("\n".join(_lines(data, interface)) + "\n", encoding="utf-8")
        # NetworkManager reads none that others can.
        keyfile.chmod(0o600)
        said.append(f"network: {interface}, {data.bootProto}")
    return said


def _interface(wanted: str, net: Path) -> str | None:
    real = sorted(one for one in net.iterdir() if (one / "device").exists())
    if wanted != "link":
        by_address = {(one / "address").read_text().strip(): one.name for one in real}
        found = by_address.get(wanted.lower(), wanted)
        if found not in [one.name for one in real]:
            raise FailureError(f"network: there is no interface {wanted}")
        return found
    return next((one.name for one in real if _has_link(one)), None)


def _has_link(interface: Path) -> bool:
    try:
        return (interface / "carrier").read_text().strip() == "1"
    except OSError:
        # One that is switched off does not say.
        return False


def _lines(data: Any, interface: str) -> Sequence[str]:
    automatic = "true" if data.onboot else "false"
    name = uuid.uuid4()
    lines = ["[connection]", f"id={interface}", f"uuid={name}", "type=ethernet", f"autoconnect={automatic}"]
    lines += [f"interface-name={interface}", "", "[ipv4]"]
    if data.bootProto == "static":
        width = sum(int(number).bit_count() for number in data.netmask.split("."))
        gateway = f",{data.gateway}" if data.gateway else ""
        lines += [f"address1={data.ip}/{width}{gateway}", "method=manual"]
    elif data.bootProto == "dhcp":
        lines.append("method=auto")
    else:
        raise FailureError(f"line {data.lineno}: this stand-in knows no --bootproto={data.bootProto}")
    servers = data.nameserver or ""
    lines += [f"dns={servers.replace(',', ';')};"] if servers else []
    return [*lines, "", "[ipv6]", "method=auto"]
