"""The same lab for people who run libvirt: XML for its network and its domains, and the commands that use them."""

import shlex
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from isobuilder.boot.firmware import Firmware
from isobuilder.boot.hardware import Hardware
from isobuilder.errors import UsageError
from isobuilder.hosterrors import host_errors
from isobuilder.lab.state import Lab, mac_address

# Where libvirt keeps disks, and the network that it comes with, which leads out.
IMAGES = "/var/lib/libvirt/images"
DEFAULT_NETWORK = "default"
PROCESSORS = 2


@dataclass(frozen=True)
class Board:
    """What libvirt is told of a kind of machine: libvirt's names of its machine, and of what a CD is attached to."""

    machine: str
    cdrom_bus: str


_BOARDS: Mapping[str, Board] = {"x86_64": Board("q35", "sata"), "aarch64": Board("virt", "scsi")}


def libvirt_files(lab: Lab, hardware: Hardware) -> dict[str, str]:
    """The files of a lab, by name: one for its private network, one for each machine."""
    files = {f"{lab.name}-network.xml": _text(_network(lab))}
    for machine in lab.machines:
        files[f"{lab.name}-{machine.name}.xml"] = _text(_domain(lab, machine.name, hardware))
    return files


def write_files(files: Mapping[str, str], output: Path) -> None:
    """Write the files to the folder `output`. Raises UsageError when one is there already; HostError."""
    there = [str(output / name) for name in files if (output / name).exists()]
    if there:
        raise UsageError(
            "these files are there already", details=there, hint="Name another folder with --output, or remove them."
        )
    with host_errors(output):
        output.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (output / name).write_text(text, encoding="utf-8")


def commands(lab: Lab, output: Path) -> Iterator[str]:
    """What to run to have the lab, in this order, as a user who may ask libvirt for it."""
    network = f"{lab.name}-network"
    yield f"virsh net-define {shlex.quote(str(output / network))}.xml"
    yield f"virsh net-start {lab.name}"
    if lab.network_out:
        yield f"virsh net-start {DEFAULT_NETWORK}    # unless it runs"
    for machine in lab.machines:
        yield f"virsh vol-create-as default {lab.name}-{machine.name}.qcow2 {lab.disk_gib}G --format qcow2"
    for machine in lab.machines:
        yield f"virsh define {shlex.quote(str(output / f'{lab.name}-{machine.name}.xml'))}"
    for machine in lab.machines:
        yield f"virsh start {lab.name}-{machine.name}"
    for machine in lab.machines:
        yield f"virsh console {lab.name}-{machine.name}    # Ctrl-] leaves it"


def _network(lab: Lab) -> ET.Element:
    """A network without an address of the host, without DHCP and without a way out."""
    network = ET.Element("network")
    ET.SubElement(network, "name").text = lab.name
    return network


def _domain(lab: Lab, machine: str, hardware: Hardware) -> ET.Element:
    board = _BOARDS[hardware.arch]
    domain = ET.Element("domain", type="kvm")
    ET.SubElement(domain, "name").text = f"{lab.name}-{machine}"
    ET.SubElement(domain, "memory", unit="MiB").text = str(lab.memory_mib)
    ET.SubElement(domain, "vcpu").text = str(PROCESSORS)
    _firmware(domain, lab.firmware, hardware, board)
    features = ET.SubElement(domain, "features")
    for feature in ("acpi", *(("apic",) if hardware.arch == "x86_64" else ())):
        ET.SubElement(features, feature)
    if lab.firmware == "uefi-secure":
        ET.SubElement(features, "smm", state="on")
    # All that the host's processor can, VT-x and AMD-V among it where the host's kernel passes them on.
    ET.SubElement(domain, "cpu", mode="host-passthrough", check="none")
    ET.SubElement(domain, "on_reboot").text = "restart"
    devices = ET.SubElement(domain, "devices")
    _drive(devices, lab.iso, "cdrom", "raw", ("sda", board.cdrom_bus), 1)
    disk = _drive(devices, f"{IMAGES}/{lab.name}-{machine}.qcow2", "disk", "qcow2", ("vda", "virtio"), 2)
    ET.SubElement(disk, "serial").text = machine
    if board.cdrom_bus == "scsi":
        ET.SubElement(devices, "controller", type="scsi", model="virtio-scsi")
    _card(devices, lab.name, mac_address(lab.name, machine, "lan"))
    if lab.network_out:
        _card(devices, DEFAULT_NETWORK, mac_address(lab.name, machine, "out"))
    _serial(devices, lab.serial_port)
    rng = ET.SubElement(devices, "rng", model="virtio")
    ET.SubElement(rng, "backend", model="random").text = "/dev/urandom"
    return domain


def _firmware(domain: ET.Element, firmware: Firmware, hardware: Hardware, board: Board) -> None:
    system = ET.SubElement(domain, "os")
    if firmware != "bios":
        # libvirt looks for a firmware of this kind, and keeps the machine's variables.
        system.set("firmware", "efi")
    ET.SubElement(system, "type", arch=hardware.arch, machine=board.machine).text = "hvm"
    if firmware != "bios":
        secure = "yes" if firmware == "uefi-secure" else "no"
        chosen = ET.SubElement(system, "firmware")
        ET.SubElement(chosen, "feature", enabled=secure, name="secure-boot")


def _drive(devices: ET.Element, path: str, device: str, form: str, target: tuple[str, str], order: int) -> ET.Element:
    drive = ET.SubElement(devices, "disk", type="file", device=device)
    ET.SubElement(drive, "driver", name="qemu", type=form)
    ET.SubElement(drive, "source", file=path)
    ET.SubElement(drive, "target", dev=target[0], bus=target[1])
    if device == "cdrom":
        ET.SubElement(drive, "readonly")
    ET.SubElement(drive, "boot", order=str(order))
    return drive


def _card(devices: ET.Element, network: str, mac: str) -> None:
    card = ET.SubElement(devices, "interface", type="network")
    ET.SubElement(card, "mac", address=mac)
    ET.SubElement(card, "source", network=network)
    ET.SubElement(card, "model", type="virtio")


def _serial(devices: ET.Element, port: int) -> None:
    """Ports up to that of the menu, which is the console that virsh attaches to."""
    for number in range(port + 1):
        serial = ET.SubElement(devices, "serial", type="pty")
        ET.SubElement(serial, "target", port=str(number))
    console = ET.SubElement(devices, "console", type="pty")
    ET.SubElement(console, "target", type="serial", port=str(port))


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"
