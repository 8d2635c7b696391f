"""What a stand-in for a cloud knows: what its commands answer, what they refuse, and what a registered service is.

What they say is from eucalyptus/eucalyptus (maint-4.2) and Corymbia/eucalyptus (maint-5): euserv-*, euctl, clcadmin-*
and clusteradmin-* tools; cluster/handlers.c and node/handlers.c for what a controller wants to find in eucalyptus.conf
before it starts; NetworkConfigurations for what a network document must be; and from eucalyptus/euca2ools. Nothing of a
cloud runs here: what is registered, asked and refused is all that there is. Python 3.6 runs this as well.
"""

import ipaddress
import json
import os
import re
import secrets
import subprocess
from abc import ABC, abstractmethod
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set

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

ACCOUNT = "000123456789"


class Answer(NamedTuple):
    """What a command says, and its exit code."""

    code: int
    output: str


NO_KEYS = Answer(
    1,
    "clcadmin-assume-system-credentials: failed to obtain access keys; ensure eucalyptus-cloud has finished starting\n",
)


class Cloud(ABC):
    """A cloud's commands on one machine. What the machine is, those say who derive from this.

    `style` 6 is version 4.2, 7 is version 5.
    """

    style = "7"

    # The machine.

    @abstractmethod
    def cloud(self) -> Dict[str, Any]:
        """All that the cloud knows."""

    @abstractmethod
    def save_cloud(self, table: Dict[str, Any]) -> None: ...

    def change(self, **values: Any) -> None:
        self.save_cloud({**self.cloud(), **values})

    @abstractmethod
    def now(self) -> float: ...

    @abstractmethod
    def path(self, name: str) -> str: ...

    @abstractmethod
    def read(self, name: str) -> str: ...

    @abstractmethod
    def write(self, name: str, text: str, mode: int = 0o644) -> None: ...

    @abstractmethod
    def is_running(self, service: str) -> bool: ...

    @abstractmethod
    def started(self) -> Optional[float]:
        """When the cloud controller was started; None while it does not run."""

    @abstractmethod
    def own_addresses(self) -> List[str]: ...

    @abstractmethod
    def node_answers(self, address: str) -> bool:
        """Whether the node controller there answers, and has the keys of this cloud."""

    def new_key(self) -> str:
        """What is another thing for each cloud."""
        return secrets.token_hex(16)

    # Commands.

    def is_up(self) -> bool:
        started = self.started()
        return started is not None and self.now() >= started + BOOTING

    def _initialise(self, _words: List[str], _given: str) -> Answer:
        name = "clcadmin-initialize-cloud"
        if self.is_running("eucalyptus-cloud"):
            return Answer(1, f"{name}: eucalyptus-cloud is running\n{name}: cloud initialization failed\n")
        if os.listdir(self.path("var/lib/eucalyptus/db")):
            return Answer(1, f"database already exists\n{name}: cloud initialization failed\n")
        self.write("var/lib/eucalyptus/db/data", "made\n")
        for key in ("cloud-cert.pem", "cloud-pk.pem", "euca.p12"):
            self.write(f"var/lib/eucalyptus/keys/{key}", f"{key}\n", 0o600)
        self.change(services={"eucalyptus": {"eucalyptus": ["eucalyptus", "", 0]}}, properties={}, users={})
        return Answer(0, "Database initialized.\n")

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
        """The assignments of eucalyptus.conf, as a shell has them after it read the file."""
        command = ["env", "-i", "sh", "-c", 'set -a; . "$1"; env', "sh", self.path("etc/eucalyptus/eucalyptus.conf")]
        lines = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def _administration(self, words: List[str], given: str) -> Answer:
        handlers: Dict[str, Callable[[List[str], str], Answer]] = {
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
            "euare-accountlist": self._list_accounts,
            "euca-describe-images": self._describe_images,
            "euca-install-image": self._install_image,
            "euca-modify-image-attribute": self._modify_image,
            "euca-deregister": self._deregister_image,
            "euca-delete-bundle": self._delete_bundle,
        }
        return handlers[words[0]](words, given) if words[0] in handlers else Answer(127, f"{words[0]}: not found")

    def _state_of(self, registered: float) -> str:
        return "enabled" if self.now() >= registered + ENABLING else "notready"

    def _describe_services(self, _words: List[str], _given: str) -> Answer:
        lines = []
        for kind, services in sorted(self.cloud()["services"].items()):
            for name, (_host, zone, registered) in sorted(services.items()):
                lines.append(f"SERVICE  {kind:<16}{zone:<8}{name:<16}{self._state_of(registered)}")
        return Answer(0, "\n".join(lines) + "\n")

    def _register_service(self, words: List[str], _given: str) -> Answer:
        options = dict(zip(words[1:-1:2], words[2:-1:2]))
        name, kind, zone = words[-1], options["-t"], options.get("-z", "")
        table = self.cloud()
        there = table["services"].setdefault(kind, {})
        error = "euserv-register-service: error (ServiceRegistrationException):"
        if name in there:
            return Answer(1, f"{error} Component with name={name} already exists with host={there[name][0]}\n")
        if (kind in ("cluster", "storage")) != bool(zone):
            return Answer(
                1, f"{error} a service of type {kind} {'is in no' if zone else 'needs an'} availability zone\n"
            )
        if kind == "cluster" and self.style == "6" and not self.is_running("eucalyptus-cc"):
            return Answer(1, f"{error} cannot reach {options['-h']}:8774\n")
        there[name] = [options["-h"], zone, self.now()]
        self.save_cloud(table)
        if kind == "cluster":
            for key in _ZONE_KEYS:
                self.write(f"var/lib/eucalyptus/keys/{zone}/{key}", f"{key} of {zone}: {self.new_key()}\n", 0o600)
        return Answer(0, "")

    def _deregister_service(self, words: List[str], _given: str) -> Answer:
        table = self.cloud()
        if words[-1] not in table["services"].get(words[2], {}):
            return Answer(1, "euserv-deregister-service: error (NoSuchElementException)\n")
        del table["services"][words[2]][words[-1]]
        self.save_cloud(table)
        return Answer(0, "")

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

    def _euctl(self, words: List[str], _given: str) -> Answer:
        table = self.cloud()
        name, sign, value = words[-1].partition("=")
        if words[1] == "-r":
            table["properties"].pop(name, None)
            self.save_cloud(table)
            return Answer(0, "")
        if not self._known(name):
            return Answer(1, f"euctl: error: no such variable: {name}\n")
        if sign:
            if value.startswith("@"):
                value = self.read(value[1:]).strip()
                mistake = document_mistake(value, self.cloud()["services"].get("cluster", {}))
                if mistake:
                    return Answer(1, f"euctl: error (ModifyPropertyValueException): {mistake}\n")
            table["properties"][name] = value
            self.save_cloud(table)
        value = table["properties"].get(name, "")
        if words[1] == "--dump":
            return Answer(0, value + "\n")
        return Answer(0, "" if name.endswith("network_configuration") else f"{name} = {value}\n")

    def _usercreate(self, words: List[str], _given: str) -> Answer:
        table = self.cloud()
        domain, user = words[2:]
        if user in table["users"]:
            return Answer(1, f"euare-usercreate: error (EntityAlreadyExists): user {user}\n")
        table["users"][user] = ""
        self.save_cloud(table)
        return Answer(0, f"[region {domain}]\nuser = {user}\n[user {user}]\nsecret-key = {SECRET_KEY}\n")

    def _userdel(self, words: List[str], _given: str) -> Answer:
        table = self.cloud()
        if table["users"].pop(words[-1], None) is None:
            return Answer(1, "euare-userdel: error (NoSuchEntity)\n")
        self.save_cloud(table)
        return Answer(0, "")

    def _add_password(self, words: List[str], given: str) -> Answer:
        table = self.cloud()
        first, second = given.split("\n")[:2]
        if table["users"].get(words[-1], "there is none"):
            return Answer(1, "euare-useraddloginprofile: error (EntityAlreadyExists)\n")
        if first != second:
            return Answer(1, "error: passwords do not match\n")
        table["users"][words[-1]] = first
        self.save_cloud(table)
        return Answer(0, "New password: \nRetype new password: \n")

    def _delete_password(self, words: List[str], _given: str) -> Answer:
        table = self.cloud()
        table["users"][words[-1]] = ""
        self.save_cloud(table)
        return Answer(0, "")

    def _node_list(self) -> List[str]:
        return self._conf()["NODES"].split()

    def _write_nodes(self, names: Set[str]) -> None:
        text = self.read("etc/eucalyptus/eucalyptus.conf")
        text = re.sub(r"(?m)^NODES=.*$", 'NODES="{}"'.format(" ".join(sorted(names, reverse=True))), text)
        self.write("etc/eucalyptus/eucalyptus.conf", text)

    def _register_nodes(self, words: List[str], _given: str) -> Answer:
        for one in words[1:]:
            if not re.fullmatch(r"[0-9]+(\.[0-9]+){3}", one):
                return Answer(0, f"Use only IPv4 addresses while registering new nodes. The {one} is not a valid IP.\n")
        self._write_nodes({*self._node_list(), *words[1:]})
        return Answer(0, "")

    def _deregister_nodes(self, words: List[str], _given: str) -> Answer:
        self._write_nodes(set(self._node_list()) - set(words[1:]))
        return Answer(0, "")

    def _zone(self) -> str:
        """The zone of the one cluster that there is; "-" while there is none."""
        return next((zone for _, zone, _ in self.cloud()["services"].get("cluster", {}).values()), "-")

    def _describe_nodes(self, _words: List[str], _given: str) -> Answer:
        lines = []
        zone = self._zone()
        for address in self._node_list():
            here = address in self.own_addresses() and any(map(self.is_running, ("eucalyptus-nc", "eucalyptus-node")))
            state = "enabled" if here or self.node_answers(address) else "notready"
            lines.append(f"NODE  {zone}  {address}  {state}  ")
        return Answer(0, "\n".join(lines) + "\n")

    def _describe_zones(self, _words: List[str], _given: str) -> Answer:
        zone = self._zone()
        lines = [f"AVAILABILITYZONE\t{zone}\t192.168.1.10 arn:euca:eucalyptus:{zone}:cluster:{zone}-cc/"]
        count = 4 * len(self._node_list())
        lines += [f"AVAILABILITYZONE\t|- {name}\t{count:04} / {count:04}   1    256     5" for name in ("m1.small",)]
        return Answer(0, "\n".join(lines) + "\n")

    # Images.

    def _describe_images(self, _words: List[str], _given: str) -> Answer:
        rows = ["IMAGE\temi-00000001\tothers/theirs.manifest.xml\t1\tavailable\n"] if self.cloud().get("others") else []
        for name, (number, public) in sorted(self.cloud().get("images", {}).items()):
            rows.append(f"IMAGE\t{number}\tmachine-images/{name}.manifest.xml\t{ACCOUNT}\tavailable\t{public}\n")
        for name, number in self.cloud().get("deregistered", []):
            rows.append(f"IMAGE\t{number}\tmachine-images/{name}.manifest.xml\t{ACCOUNT}\tderegistered\tpublic\n")
        return Answer(0, "".join(rows))

    def _list_accounts(self, _words: List[str], _given: str) -> Answer:
        return Answer(0, f"(eucalyptus)blockstorage\t000000000001\neucalyptus\t{ACCOUNT}\n")

    def _install_image(self, words: List[str], _given: str) -> Answer:
        options = dict(zip(words[1::2], words[2::2]))
        if options.get("--user") != ACCOUNT or not os.path.exists(options["--ec2cert"]):
            return Answer(1, "euca-install-image: error: missing account ID; please supply one with --user\n")
        if not os.path.exists(options["-i"]):
            return Answer(1, f"euca-install-image: error: no such file: {options['-i']}\n")
        images = self.cloud().get("images", {})
        if options["-n"] in images:
            return Answer(1, "euca-install-image: error (InvalidAMIName.Duplicate): AMI name is already in use\n")
        number = f"emi-{len(images) + len(self.cloud().get('deregistered', [])) + 0x12340000:08x}"
        bundles = sorted({*self.cloud().get("bundles", []), options["-p"]})
        self.change(images={**images, options["-p"]: [number, "private"]}, bundles=bundles)
        return Answer(0, f"IMAGE\t{number}\n")

    def _modify_image(self, words: List[str], _given: str) -> Answer:
        images = self.cloud().get("images", {})
        number = next(word for word in words if word.startswith("emi-"))
        self.change(
            images={name: [one, "public" if one == number else public] for name, (one, public) in images.items()}
        )
        return Answer(0, "")

    def _deregister_image(self, words: List[str], _given: str) -> Answer:
        images = self.cloud().get("images", {})
        # For some minutes it stays on the list (Images.deregisterImage, cleanDeregistered).
        gone = [[name, one[0]] for name, one in images.items() if one[0] == words[1]]
        left = {name: one for name, one in images.items() if one[0] != words[1]}
        self.change(images=left, deregistered=self.cloud().get("deregistered", []) + gone)
        return Answer(0, f"IMAGE\t{words[1]}\n")

    def _delete_bundle(self, words: List[str], _given: str) -> Answer:
        """As euca2ools' commands/bundle/deletebundle.py."""
        name = words[words.index("-p") + 1]
        bundles = self.cloud().get("bundles", [])
        if name not in bundles:
            said = f"manifest 'machine-images/{name}.manifest.xml' does not exist on the server"
            return Answer(1, f"euca-delete-bundle: error: {said}\n")
        self.change(bundles=[one for one in bundles if one != name])
        return Answer(0, "")


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
