"""Machines of a cloud for tests: every version, mode and part, with answers that fit."""

from pathlib import Path

from tests.firstlogin_helpers import STATIC
from tests.standin_cloud import CloudMachine

FRONT_END, NODE, BOX = "frontend", "nc", "frontend nc"
MODES = {"6": ("EDGE", "MANAGED", "MANAGED-NOVLAN"), "7": ("EDGE", "VPCMIDO")}
PARTS = {"front-end": FRONT_END, "node": NODE, "box": BOX}
CASES = [(style, mode, part) for style, modes in MODES.items() for mode in modes for part in PARTS]
PASSWORD = "correct-Horse9battery"
KEY = "ssh-rsa " + "AAAAB3NzaC1yc2E" * 8

_MACHINE = {**STATIC, "hostname": "front.example.org", "ntp": "keep", "dns": "192.168.1.1"}
_CLOUD = {"zone": "zone-1", "cloud-domain": "cloud.example.org", "admin-password": PASSWORD, "nodes": "none"}
_MANAGED = {
    "public-addresses": "192.168.1.50 192.168.1.60-192.168.1.80",
    "private-subnet": "172.16.0.0/16",
    "addresses-per-net": "32",
    "instance-dns": "192.168.1.1",
}
_MODE = {
    "EDGE": {
        "public-addresses": "192.168.1.50 192.168.1.60-192.168.1.80",
        "private-subnet": "192.168.1.0/24",
        "instance-gateway": "192.168.1.1",
        "private-addresses": "192.168.1.100-192.168.1.140",
        "instance-dns": "192.168.1.1",
    },
    "MANAGED": _MANAGED,
    "MANAGED-NOVLAN": _MANAGED,
    "VPCMIDO": {
        "public-addresses": "10.116.150.10-10.116.150.250",
        "mido-gateway": "192.168.1.10",
        "mido-device": "eth1",
        "mido-external-cidr": "10.116.128.0/17",
        "mido-external-address": "10.116.133.11",
        "mido-asn": "64512",
        "mido-peer": "10.116.133.173",
        "mido-peer-asn": "65000",
        "mido-routes": "10.116.150.0/24",
        "instance-dns": "192.168.1.1",
    },
}
_HYPERVISOR = {"instance-disk": "512", "image-cache": "256"}


def answers(mode: str, part: str, **more: str) -> dict[str, str]:
    """Answers for a machine; those about disk are fixed, since the proposals are of the machine that tests run on."""
    values = {**_MACHINE, "network-mode": mode}
    if part != "node":
        values |= {**_MODE[mode], **_CLOUD}
    if part != "front-end":
        values |= {**_HYPERVISOR, "bridge": "br0"}
    if part == "node":
        values |= {"hostname": "node1.example.org", "address": "192.168.1.11/24"}
        values |= {"front-end": "192.168.1.10", "front-end-key": KEY}
    return {**values, **{key.replace("_", "-"): value for key, value in more.items()}}


def machine(root: Path, style: str, part: str, ports: int = 1) -> CloudMachine:
    """A machine with the packages of a part, as its installer leaves it."""
    return CloudMachine(str(root), style).make_part(PARTS[part], ports=ports)
