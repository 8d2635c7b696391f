"""Stand-ins for the commands of a cloud: they keep state on disk, answer as the real ones do, and fail as those do.

What they say is from eucalyptus/eucalyptus (maint-4.2) and Corymbia/eucalyptus (maint-5): euserv-*, euctl, clcadmin-*
and clusteradmin-* tools; cluster/handlers.c and node/handlers.c for what a controller wants to find in eucalyptus.conf
before it starts; NetworkConfigurations for what a network document must be. Nothing of a cloud runs here: what is
registered, asked and refused is all that there is. Python 3.6 runs this as well.
"""

import ipaddress
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

from isobuilder.firstlogin.effects import Effects, Result
from tests.scratch_machine import Scratch

CONF = {
    "6": 'EUCALYPTUS="/"\nHYPERVISOR="kvm"\nNODES=""\nUSE_VIRTIO_ROOT="1"\nUSE_VIRTIO_DISK="1"\nUSE_VIRTIO_NET="1"\n'
    '#NC_WORK_SIZE=50000\nVNET_MODE="MANAGED-NOVLAN"\nVNET_PRIVINTERFACE="eth0"\nVNET_PUBINTERFACE="eth0"\n'
    'VNET_BRIDGE="br0"\n#VNET_PUBLICIPS="your-free-public-ip-1 ..."\nVNET_DHCPDAEMON="/usr/sbin/dhcpd"\n',
    "7": 'EUCALYPTUS="/"\nHYPERVISOR="kvm"\nNODES=""\nUSE_VIRTIO_ROOT="1"\nUSE_VIRTIO_DISK="1"\nUSE_VIRTIO_NET="1"\n'
    '#NC_WORK_SIZE=50000\n#VNET_MODE="EDGE"\nVNET_PUBINTERFACE="eth0"\nVNET_BRIDGE="br0"\n'
    'VNET_DHCPDAEMON="/usr/sbin/dhcpd"\n',
}
CLOUD = {"6": "eucalyptus-4.2", "7": "eucalyptus-5"}
SECRET_KEY = "Sg7wXq0TopSecretKeyOfTheCloud"
HOST_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ=="
# Seconds until the cloud controller answers, and a service that was registered is enabled.
BOOTING, ENABLING = 40, 15
_ZONE_KEYS = ("cluster-cert.pem", "cluster-pk.pem", "node-cert.pem", "node-pk.pem")
_CLOUD_COMMANDS = ("clcadmin-initialize-cloud", "euserv-register-service", "clusteradmin-register-nodes")
# Programs that are what they are: paths among their words are led below the root.
_PLAIN = ("test", "cmp", "cp", "find", "rm", "grep")


def role(parts: str, style: str) -> str:
    """What the kickstart of a role writes down for the wizard."""
    bridge = "BRIDGE=br0\n" if "nc" in parts else ""
    return f'ID=role\nTITLE="A role"\n{bridge}CPU_FLAGS="vmx svm"\nCLOUD={CLOUD[style]}\nPARTS="{parts}"\n'


class Clock:
    """Time that passes when somebody sleeps, and that a process which is cut off does not take along."""

    def __init__(self, path: str) -> None:
        self._path = path

    def now(self) -> float:
        try:
            return float(Path(self._path).read_text())
        except FileNotFoundError:
            return 1800000000.0

    def sleep(self, seconds: float) -> None:
        Path(self._path).write_text(str(self.now() + seconds))


class CloudMachine(Scratch):
    """A machine with the packages of a cloud's `parts` on it; `style` 6 is version 4.2, 7 is version 5."""

    def __init__(self, root: str, style: str) -> None:
        super().__init__(root, style)
        self.clock = Clock(root + ".clock")

    def make_part(self, parts: str, ports: int = 1, stylesheet: str = "") -> "CloudMachine":
        self.make(ports=ports, role=role(parts, self.style))
        self.write("etc/eucalyptus/eucalyptus.conf", CONF[self.style])
        self.write("usr/sbin/dhcpd", "", 0o755)
        self.write("etc/motd", "Authorized people only.\n")
        self.write("dev/kvm", "")
        self.write("etc/eucalyptus/libvirt.xsl", stylesheet or STYLESHEET)
        for folder in ("db", "keys", "bukkits", "volumes", "instances/cache"):
            os.makedirs(self.path(f"var/lib/eucalyptus/{folder}"))
        if "frontend" in parts:
            for name in _CLOUD_COMMANDS:
                self.write(f"usr/sbin/{name}", "", 0o755)
        self.save_cloud({"services": {}, "properties": {}, "users": {}, "nodes": {}, "fail": {}, "started": None})
        return self

    # State.

    def cloud(self) -> Dict[str, Any]:
        table: Dict[str, Any] = json.loads(Path(self.root + ".cloud").read_text())
        return table

    def save_cloud(self, table: Dict[str, Any]) -> None:
        Path(self.root + ".cloud").write_text(json.dumps(table, sort_keys=True))

    def change(self, **values: Any) -> None:
        self.save_cloud({**self.cloud(), **values})

    def fail(self, command: str, times: int = 1, said: str = "it will not") -> None:
        """The next `times` calls of a command fail."""
        self.change(fail={**self.cloud()["fail"], command: [times, said]})

    def add_node(self, address: str, **more: Any) -> None:
        """A node on the wire: `up`, `trusts` the front end's key, or takes this `password`."""
        node = {"up": True, "trusts": True, "password": "", "keys": False, **more}
        self.change(nodes={**self.cloud()["nodes"], address: node})

    def effects(self, **more: Any) -> Effects:
        values: Dict[str, Any] = {"now": self.clock.now, "sleep": self.clock.sleep, **more}
        return super().effects(**values)

    # Commands.

    def run(self, argv: Sequence[str], given: str, timeout: int) -> Result:
        words = list(argv)
        if words[0] == "cloud-admin":
            return self._as_admin(words[1:], given)
        if words[0] in _PLAIN:
            return self._plain(words)
        if words[0] == "sh":
            return self._same_document(words[4], words[5])
        handler = self._handler(words[0])
        if handler is None:
            return super().run(argv, given, timeout)
        if words[0] != "ssh-keyscan":
            self._record(words)
        return self._failing(words[0]) or handler(words, given)

    def _handler(self, name: str) -> Optional[Callable[[List[str], str], Result]]:
        return {
            "clcadmin-initialize-cloud": self._initialise,
            "clusteradmin-register-nodes": self._register_nodes,
            "clusteradmin-deregister-nodes": self._deregister_nodes,
            "clusteradmin-copy-keys": self._copy_keys,
            "ssh-keygen": self._ssh_keygen,
            "ssh-keyscan": self._ssh_keyscan,
            "ssh": self._ssh,
            "env": self._ssh_with_password,
        }.get(name)

    def _failing(self, name: str) -> Optional[Result]:
        table = self.cloud()
        times, said = table["fail"].get(name, (0, ""))
        if times <= 0:
            return None
        table["fail"][name] = [times - 1, said]
        self.save_cloud(table)
        return Result(1, f"{name}: {said}\n")

    def _plain(self, words: List[str]) -> Result:
        if words[0] in ("cp", "rm"):
            self._record(words)
        mapped = [words[0], *(self.path(word) if word.startswith("/") else word for word in words[1:])]
        done = subprocess.run(mapped, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return Result(done.returncode, done.stdout.decode().replace(self.root, ""))

    def _initialise(self, _words: List[str], _given: str) -> Result:
        name = "clcadmin-initialize-cloud"
        if "eucalyptus-cloud" in self.state()["running"]:
            return Result(1, f"{name}: eucalyptus-cloud is running\n{name}: cloud initialization failed\n")
        if os.listdir(self.path("var/lib/eucalyptus/db")):
            return Result(1, f"database already exists\n{name}: cloud initialization failed\n")
        self.write("var/lib/eucalyptus/db/data", "made\n")
        for key in ("cloud-cert.pem", "cloud-pk.pem", "euca.p12"):
            self.write(f"var/lib/eucalyptus/keys/{key}", f"{key}\n", 0o600)
        self.change(services={"eucalyptus": {"eucalyptus": ["eucalyptus", "", 0]}}, properties={}, users={})
        return Result(0, "Database initialized.\n")

    def _service(self, words: List[str]) -> Result:
        """Starting a service of the cloud: it looks at its files first."""
        action, name = (words[1], words[2]) if words[0] == "systemctl" else (words[2], words[1])
        refused = self._failing(f"start {name}") if action == "start" else None
        said = self._refuses(name) if action == "start" else ""
        if refused or said:
            return refused or Result(1, said + "\n")
        if name == "eucalyptus-cloud" and action in ("start", "stop"):
            self.change(started=self.clock.now() if action == "start" else None)
        return super()._service(words)

    def _refuses(self, name: str) -> str:
        conf = self._conf()
        mode = conf.get("VNET_MODE")
        interfaces = os.listdir(self.path("sys/class/net"))
        if name == "eucalyptus-cloud" and not os.path.exists(self.path("var/lib/eucalyptus/keys/cloud-cert.pem")):
            return "the cloud was never initialized"
        if name == "eucalyptus-cc" and mode in ("MANAGED", "MANAGED-NOVLAN"):
            missing = [
                key
                for key in ("VNET_SUBNET", "VNET_NETMASK", "VNET_DNS", "VNET_ADDRSPERNET", "VNET_PUBLICIPS")
                if not conf.get(key)
            ]
            missing += [conf[key] for key in ("VNET_PUBINTERFACE", "VNET_PRIVINTERFACE") if conf[key] not in interfaces]
            return f"bad network parameters ({missing}), must fix before system will work" if missing else ""
        if name in ("eucalyptus-nc", "eucalyptus-node"):
            wanted = {
                "EDGE": ["VNET_PUBINTERFACE", "VNET_PRIVINTERFACE", "VNET_BRIDGE"],
                "MANAGED": ["VNET_PUBINTERFACE"],
            }
            lacking = [key for key in wanted.get(mode or "", ["VNET_BRIDGE"]) if conf.get(key) not in interfaces]
            return f"cannot verify {lacking}, please check parameters" if lacking else ""
        return ""

    def _conf(self) -> Dict[str, str]:
        return self._sourced(self.path("etc/eucalyptus/eucalyptus.conf"))

    # What the administrator's keys are for.

    def _as_admin(self, words: List[str], given: str) -> Result:
        helper = Path(self.path("usr/sbin/cloud-admin"))
        if not helper.exists() or not helper.stat().st_mode & 0o100:
            return Result(127, "cloud-admin: No such file or directory")
        into = ""
        if words[0] == "--into":
            into, words = words[1], words[2:]
        if not words[0].startswith(("euserv-describe", "euca-describe")) and not (
            words[0] == "euctl" and "=" not in words[-1]
        ):
            self._record(["cloud-admin", *(["--into", into] if into else []), *words])
        started = self.cloud()["started"]
        if started is None or self.clock.now() < started + BOOTING:
            name = "clcadmin-assume-system-credentials"
            return Result(1, f"{name}: failed to obtain access keys; ensure eucalyptus-cloud has finished starting\n")
        result = self._failing(words[0]) or self._administration(words, given)
        if into and result.code == 0:
            self.write(into, result.output, 0o600)
            return Result(0, "")
        return result

    def _administration(self, words: List[str], given: str) -> Result:
        handlers: Dict[str, Callable[[List[str], str], Result]] = {
            "euserv-describe-services": self._describe_services,
            "euserv-register-service": self._register_service,
            "euserv-deregister-service": self._deregister_service,
            "euserv-describe-node-controllers": self._describe_nodes,
            "euca-describe-availability-zones": self._describe_zones,
            "euctl": self._euctl,
            "euare-usercreate": self._usercreate,
            "euare-userdel": self._userdel,
            "euare-useraddloginprofile": self._add_password,
            "euare-userdelloginprofile": self._delete_password,
        }
        return handlers[words[0]](words, given) if words[0] in handlers else Result(127, f"{words[0]}: not found")

    def _state_of(self, registered: float) -> str:
        return "enabled" if self.clock.now() >= registered + ENABLING else "notready"

    def _describe_services(self, _words: List[str], _given: str) -> Result:
        lines = []
        for kind, services in sorted(self.cloud()["services"].items()):
            for name, (_host, zone, registered) in sorted(services.items()):
                lines.append(f"SERVICE  {kind:<16}{zone:<8}{name:<16}{self._state_of(registered)}")
        return Result(0, "\n".join(lines) + "\n")

    def _register_service(self, words: List[str], _given: str) -> Result:
        options = dict(zip(words[1:-1:2], words[2:-1:2]))
        name, kind, zone = words[-1], options["-t"], options.get("-z", "")
        table = self.cloud()
        there = table["services"].setdefault(kind, {})
        error = "euserv-register-service: error (ServiceRegistrationException):"
        if name in there:
            return Result(1, f"{error} Component with name={name} already exists with host={there[name][0]}\n")
        if (kind in ("cluster", "storage")) != bool(zone):
            return Result(
                1, f"{error} a service of type {kind} {'is in no' if zone else 'needs an'} availability zone\n"
            )
        if kind == "cluster" and self.style == "6" and "eucalyptus-cc" not in self.state()["running"]:
            return Result(1, f"{error} cannot reach {options['-h']}:8774\n")
        there[name] = [options["-h"], zone, self.clock.now()]
        self.save_cloud(table)
        if kind == "cluster":
            for key in _ZONE_KEYS:
                self.write(f"var/lib/eucalyptus/keys/{zone}/{key}", f"{key} of {zone}\n", 0o600)
        return Result(0, "")

    def _deregister_service(self, words: List[str], _given: str) -> Result:
        table = self.cloud()
        if words[-1] not in table["services"].get(words[2], {}):
            return Result(1, "euserv-deregister-service: error (NoSuchElementException)\n")
        del table["services"][words[2]][words[-1]]
        self.save_cloud(table)
        return Result(0, "")

    def _known(self, name: str) -> bool:
        zone, _, rest = name.partition(".")
        if rest == "storage.blockstoragemanager":
            storage = self.cloud()["services"].get("storage", {}).values()
            return any(one[1] == zone and self._state_of(one[2]) == "enabled" for one in storage)
        return name in (
            "objectstorage.providerclient",
            "system.dns.dnsdomain",
            "bootstrap.webservices.use_instance_dns",
            "bootstrap.webservices.use_dns_delegation",
            "cloud.network.network_configuration",
        )

    def _euctl(self, words: List[str], _given: str) -> Result:
        table = self.cloud()
        name, sign, value = words[-1].partition("=")
        if words[1] == "-r":
            table["properties"].pop(name, None)
            self.save_cloud(table)
            return Result(0, "")
        if not self._known(name):
            return Result(1, f"euctl: error: no such variable: {name}\n")
        if sign:
            if value.startswith("@"):
                value = self.read(value[1:]).strip()
                mistake = document_mistake(value, self.cloud()["services"].get("cluster", {}))
                if mistake:
                    return Result(1, f"euctl: error (ModifyPropertyValueException): {mistake}\n")
            table["properties"][name] = value
            self.save_cloud(table)
        value = table["properties"].get(name, "")
        if words[1] == "--dump":
            return Result(0, value + "\n")
        return Result(0, "" if name.endswith("network_configuration") else f"{name} = {value}\n")

    def _same_document(self, name: str, path: str) -> Result:
        result = self._as_admin(["euctl", "--dump", "--format=raw", name], "")
        same = result.code == 0 and result.output.rstrip("\n") == self.read(path).rstrip("\n")
        return Result(0 if same else 1, "")

    def _usercreate(self, words: List[str], _given: str) -> Result:
        table = self.cloud()
        domain, user = words[2:]
        if user in table["users"]:
            return Result(1, f"euare-usercreate: error (EntityAlreadyExists): user {user}\n")
        table["users"][user] = ""
        self.save_cloud(table)
        return Result(0, f"[region {domain}]\nuser = {user}\n[user {user}]\nsecret-key = {SECRET_KEY}\n")

    def _userdel(self, words: List[str], _given: str) -> Result:
        table = self.cloud()
        if table["users"].pop(words[-1], None) is None:
            return Result(1, "euare-userdel: error (NoSuchEntity)\n")
        self.save_cloud(table)
        return Result(0, "")

    def _add_password(self, words: List[str], given: str) -> Result:
        table = self.cloud()
        first, second = given.split("\n")[:2]
        if table["users"].get(words[-1], "there is none"):
            return Result(1, "euare-useraddloginprofile: error (EntityAlreadyExists)\n")
        if first != second:
            return Result(1, "error: passwords do not match\n")
        table["users"][words[-1]] = first
        self.save_cloud(table)
        return Result(0, "New password: \nRetype new password: \n")

    def _delete_password(self, words: List[str], _given: str) -> Result:
        table = self.cloud()
        table["users"][words[-1]] = ""
        self.save_cloud(table)
        return Result(0, "")

    # Nodes.

    def _node_list(self) -> List[str]:
        return self._conf()["NODES"].split()

    def _write_nodes(self, names: Set[str]) -> None:
        text = self.read("etc/eucalyptus/eucalyptus.conf")
        text = re.sub(r"(?m)^NODES=.*$", 'NODES="{}"'.format(" ".join(sorted(names, reverse=True))), text)
        self.write("etc/eucalyptus/eucalyptus.conf", text)

    def _register_nodes(self, words: List[str], _given: str) -> Result:
        for one in words[1:]:
            if not re.fullmatch(r"[0-9]+(\.[0-9]+){3}", one):
                return Result(0, f"Use only IPv4 addresses while registering new nodes. The {one} is not a valid IP.\n")
        self._write_nodes({*self._node_list(), *words[1:]})
        return Result(0, "")

    def _deregister_nodes(self, words: List[str], _given: str) -> Result:
        self._write_nodes(set(self._node_list()) - set(words[1:]))
        return Result(0, "")

    def _copy_keys(self, words: List[str], _given: str) -> Result:
        table = self.cloud()
        node = table["nodes"].get(words[1])
        name = "clusteradmin-copy-keys"
        if not os.path.exists(self.path("var/lib/eucalyptus/keys/node-pk.pem")):
            return Result(1, f"{name}: cannot access /var/lib/eucalyptus/keys/node-pk.pem: No such file or directory\n")
        if node is None or not node["up"] or not node["trusts"]:
            said = "rsync error: unexplained error (code 255)\n"
            return Result(1, f"{said}{name}: failed to copy /var/lib/eucalyptus/keys/cloud-cert.pem to {words[1]}\n")
        node["keys"] = True
        self.save_cloud(table)
        return Result(0, "")

    def _describe_nodes(self, _words: List[str], _given: str) -> Result:
        own = [address.partition("/")[0] for one in self.state()["addresses"].values() for address in one]
        lines = []
        for address in self._node_list():
            node = self.cloud()["nodes"].get(address, {})
            here = address in own and {"eucalyptus-nc", "eucalyptus-node"} & set(self.state()["running"])
            up = here or (node.get("up") and node.get("keys"))
            lines.append(f"NODE  zone-1  {address}  {'enabled' if up else 'notready'}  ")
        return Result(0, "\n".join(lines) + "\n")

    def _describe_zones(self, _words: List[str], _given: str) -> Result:
        lines = ["AVAILABILITYZONE\tzone-1\t192.168.1.10 arn:euca:eucalyptus:zone-1:cluster:zone-1-cc/"]
        count = 4 * len(self._node_list())
        lines += [f"AVAILABILITYZONE\t|- {name}\t{count:04} / {count:04}   1    256     5" for name in ("m1.small",)]
        return Result(0, "\n".join(lines) + "\n")

    def _ssh_keygen(self, words: List[str], _given: str) -> Result:
        if "-R" in words:
            path = self.path("root/.ssh/known_hosts")
            lines = Path(path).read_text().splitlines(keepends=True) if os.path.exists(path) else []
            Path(path).write_text("".join(line for line in lines if not line.startswith(words[-1] + " ")))
            return Result(0, "")
        if os.path.exists(self.path(words[-1])):
            return Result(1, f"{words[-1]} already exists.\nOverwrite (y/n)? ")
        self.write(words[-1], "PRIVATE\n", 0o600)
        self.write(words[-1] + ".pub", "ssh-rsa " + "AAAAB3NzaC1yc2E" * 8 + " front end\n")
        return Result(0, "")

    def _ssh_keyscan(self, words: List[str], _given: str) -> Result:
        node = self.cloud()["nodes"].get(words[-1])
        return Result(0, f"{words[-1]} {HOST_KEY}\n" if node and node["up"] else "")

    def _ssh(self, words: List[str], _given: str) -> Result:
        address = next(word for word in words if word.startswith("root@"))[5:]
        node = self.cloud()["nodes"].get(address)
        if node is None or not node["up"]:
            return Result(255, f"ssh: connect to host {address} port 22: No route to host\n")
        known = self.read("root/.ssh/known_hosts") if os.path.exists(self.path("root/.ssh/known_hosts")) else ""
        if f"{address} {HOST_KEY}" not in known:
            return Result(255, "Host key verification failed.\n")
        if not node["trusts"]:
            return Result(255, "Permission denied (publickey,gssapi-keyex,gssapi-with-mic,password).\n")
        return Result(0, "")

    def _ssh_with_password(self, words: List[str], given: str) -> Result:
        address = next(word for word in words if word.startswith("root@"))[5:]
        table = self.cloud()
        askpass = next(word for word in words if word.startswith("SSH_ASKPASS=")).partition("=")[2]
        done = subprocess.run(
            [askpass, "Password:"], input=given.encode(), stdout=subprocess.PIPE, check=True, cwd=self.root
        )
        password = done.stdout.decode().rstrip("\n")
        if password != table["nodes"][address]["password"]:
            return Result(255, "Permission denied, please try again.\n")
        table["nodes"][address]["trusts"] = True
        table["nodes"][address]["authorized"] = given.partition("\n")[2]
        self.save_cloud(table)
        return Result(0, "")


def document_mistake(text: str, clusters: Dict[str, Any]) -> str:
    """What a cloud says of a network document that it does not take ("": it takes it)."""
    try:
        table = json.loads(text)
    except ValueError as error:
        return f"Invalid configuration: {error}"
    known = {"Mode", "InstanceDnsServers", "MacPrefix", "PublicIps", "Clusters", "Mido"}
    if set(table) - known:
        return f"Unexpected fields {sorted(set(table) - known)}"
    if not re.fullmatch("[0-9a-f]{2}:[0-9a-f]{2}", table["MacPrefix"]):
        return "Invalid MacPrefix"
    for word in table["PublicIps"]:
        for address in word.split("-"):
            ipaddress.IPv4Address(address)
    return _vpc_mistake(table) if table["Mode"] == "VPCMIDO" else _edge_mistake(table, clusters)


def _edge_mistake(table: Dict[str, Any], clusters: Dict[str, Any]) -> str:
    for cluster in table["Clusters"]:
        if clusters and cluster["Name"] not in {one[1] for one in clusters.values()}:
            return f"No cluster {cluster['Name']}"
        net = cluster["Subnet"]
        network = ipaddress.ip_network(f"{net['Subnet']}/{net['Netmask']}")
        if ipaddress.ip_address(net["Gateway"]) not in network or net["Gateway"] == net["Subnet"]:
            return f"Invalid gateway {net['Gateway']}"
        for word in cluster["PrivateIps"]:
            if not all(ipaddress.ip_address(address) in network for address in word.split("-")):
                return f"Invalid private IP {word}"
    return ""


def _vpc_mistake(table: Dict[str, Any]) -> str:
    if "Clusters" in table:
        return "Clusters are not for VPCMIDO"
    gateways = table["Mido"]["Gateways"]
    if not 1 <= len(gateways) <= 6:
        return "Invalid number of gateways"
    for gateway in gateways:
        for key in ("Ip", "ExternalCidr", "ExternalDevice", "ExternalIp"):
            if not gateway.get(key):
                return f"Missing {key}"
        wanted = {"BgpPeerIp", "BgpPeerAsn", "BgpAdRoutes"} if "BgpAsn" in table["Mido"] else {"ExternalRouterIp"}
        if wanted - set(gateway):
            return f"Missing {sorted(wanted - set(gateway))}"
    return ""


# A stylesheet of the shape of libvirt.xsl: a domain of a description of an instance, a disk of one of a volume.
STYLESHEET = """\
<?xml version="1.0" encoding="UTF-8"?>
<xsl:transform xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0">
    <xsl:output encoding="UTF-8" indent="yes" method="xml"/>
    <xsl:template match="/instance">
        <domain>
            <xsl:attribute name="type"><xsl:value-of select="/instance/hypervisor/@type"/></xsl:attribute>
            <name><xsl:value-of select="/instance/name"/></name>
            <memory>
                <xsl:value-of select="/instance/memoryKB"/>
            </memory>
            <devices>
                <xsl:for-each select="/instance/disks/diskPath">
                    <disk>
                        <driver cache="none"/>
                        <source><xsl:attribute name="file"><xsl:value-of select="."/></xsl:attribute></source>
                        <xsl:choose>
                            <xsl:when test="/instance/os/@virtioRoot = 'true'"><target bus="virtio"/></xsl:when>
                            <xsl:otherwise><target bus="scsi"/></xsl:otherwise>
                        </xsl:choose>
                    </disk>
                </xsl:for-each>
            </devices>
        </domain>
    </xsl:template>
    <xsl:template match="/volume">
      <disk type="block">
        <driver cache="none">
          <xsl:attribute name="name">qemu</xsl:attribute>
        </driver>
        <source><xsl:attribute name="dev"><xsl:value-of select="/volume/diskPath"/></xsl:attribute></source>
      </disk>
    </xsl:template>
</xsl:transform>
"""


if __name__ == "__main__":
    # As a program: ROOT STYLE COMMAND WORDS..., for whoever wants to try it by hand.
    machine = CloudMachine(sys.argv[1], sys.argv[2])
    machine.effects()
    outcome = machine.run(shlex.split(" ".join(sys.argv[3:])), "", 0)
    sys.stdout.write(outcome.output)
    sys.exit(outcome.code)
