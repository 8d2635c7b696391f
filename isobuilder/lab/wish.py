"""What is asked of a lab, and what it is then: a new one, or the one that is there."""

from dataclasses import dataclass
from pathlib import Path

from isobuilder.boot.firmware import Firmware
from isobuilder.errors import UsageError
from isobuilder.lab.medium import LabMedium, Role, read_lab_medium
from isobuilder.lab.state import FRONT_END, Lab, LabMachine, machine_names


@dataclass(frozen=True)
class Wish:
    """What is asked of a new lab; None where nothing was said. `front_end` and `node` are roles of the medium."""

    iso: Path | None
    name: str | None = None
    nodes: int | None = None
    memory_mib: int | None = None
    disk_gib: int | None = None
    firmware: Firmware | None = None
    network_out: bool | None = None
    unattended: bool = False
    front_end: str | None = None
    node: str | None = None


DEFAULT_NODES, DEFAULT_MEMORY_MIB, DEFAULT_DISK_GIB = 1, 4096, 100
DEFAULT_FIRMWARE: Firmware = "uefi"


def new_lab(name: str, wish: Wish) -> tuple[Lab, LabMedium]:
    if wish.iso is None:
        raise UsageError("there is no lab of this name yet", hint="Name the ISO that its machines start from.")
    firmware = wish.firmware or DEFAULT_FIRMWARE
    medium = read_lab_medium(wish.iso, firmware)
    nodes = DEFAULT_NODES if wish.nodes is None else wish.nodes
    lab = Lab(
        name=name,
        iso=str(medium.iso),
        arch=medium.hardware.arch,
        firmware=firmware,
        serial_port=medium.serial_port,
        memory_mib=wish.memory_mib or DEFAULT_MEMORY_MIB,
        disk_gib=wish.disk_gib or DEFAULT_DISK_GIB,
        network_out=bool(wish.network_out),
        machines=tuple(LabMachine(name=each) for each in machine_names(nodes)),
    )
    return lab, medium


def existing_lab(lab: Lab, wish: Wish) -> tuple[Lab, LabMedium]:
    """The lab that is there, when it is what is wished for."""
    asked = {
        "--name": (wish.name, lab.name),
        "ISO": (str(wish.iso.absolute()) if wish.iso else None, lab.iso),
        "--nodes": (wish.nodes, lab.nodes),
        "--memory": (wish.memory_mib, lab.memory_mib),
        "--disk-size": (wish.disk_gib, lab.disk_gib),
        "--firmware": (wish.firmware, lab.firmware),
        "--network-out": (wish.network_out, lab.network_out),
    }
    others = [f"{option}: it has {has}, not {want}" for option, (want, has) in asked.items() if want not in {None, has}]
    if wish.unattended or wish.front_end or wish.node:
        others.append("--unattended, --front-end, --node: roles are chosen when a lab is made, and installed by now")
    if others:
        raise UsageError(
            f"there is a lab {lab.name} already, and it is another",
            details=others,
            hint="Give the new one another --name; or remove this one: isobuilder lab down --remove-disks "
            f"--name {lab.name}",
        )
    return lab, read_lab_medium(Path(lab.iso), lab.firmware)


def roles_for(lab: Lab, medium: LabMedium, wish: Wish) -> dict[str, Role]:
    """Which role of the medium each machine is for, as far as anybody says."""
    find = medium.unattended_role if wish.unattended else medium.role
    front, node = find("frontend", wish.front_end), find("nc", wish.node) if lab.nodes else None
    chosen = {machine.name: front if machine.name == FRONT_END else node for machine in lab.machines}
    return {name: role for name, role in chosen.items() if role}
