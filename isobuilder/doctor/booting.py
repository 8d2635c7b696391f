"""What booting a medium takes: QEMU for its architecture, firmware, and KVM, which makes it fast."""

import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from isobuilder.boot.accelerate import KVM_DEVICE, PROBE_SECONDS, runs_a_guest
from isobuilder.boot.firmware import Firmware
from isobuilder.boot.hardware import KINDS, Hardware
from isobuilder.doctor.check import Check, packages
from isobuilder.doctor.programs import Run, said
from isobuilder.progress import Progress

# Older ones have no `-netdev dgram`, by which machines of a lab talk.
LAB_QEMU: Final = (7, 2)
_FEDORA_QEMU: Final = MappingProxyType({"x86_64": "qemu-system-x86", "aarch64": "qemu-system-aarch64"})
_UEFI: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {"x86_64": packages("ovmf", "edk2-ovmf"), "aarch64": packages("qemu-efi-aarch64", "edk2-aarch64")}
)
_FIRMWARES: Final[Mapping[Firmware, str]] = MappingProxyType({"uefi": "UEFI", "uefi-secure": "Secure Boot"})


@dataclass(frozen=True)
class BootingHost:
    """How this machine is asked: tests have others."""

    which: Callable[[str], str | None] = shutil.which
    run: Run = said
    arch: str = field(default_factory=platform.machine)
    kvm: Path = KVM_DEVICE
    runs_a_guest: Callable[[Hardware], bool] = lambda hardware: runs_a_guest(hardware, "kvm", PROBE_SECONDS)
    firmware: Callable[[Hardware, Firmware], tuple[Path, Path] | None] = lambda hardware, name: hardware.firmware.pair(
        name
    )


def booting(host: BootingHost, progress: Progress) -> Iterator[Check]:
    """Look at all that boots and labs take. KVM is tried with a small guest, up to ten seconds long."""
    every, lasting = ("boot", "rehearse", "lab"), ("rehearse", "lab")
    for arch, hardware in KINDS.items():
        yield _qemu(arch, hardware, host, every)
        for firmware, title in _FIRMWARES.items():
            if firmware in hardware.firmware:
                yield _firmware(f"{title}, {arch}", host.firmware(hardware, firmware), every, _UEFI[arch])
    yield _tool("qemu-img", host, lasting, packages("qemu-utils", "qemu-img"))
    yield _tool("setpriv", host, ("boot", "rehearse"), packages("util-linux", "util-linux"))
    yield _kvm(host, every, progress)


def _tool(name: str, host: BootingHost, commands: tuple[str, ...], get: Mapping[str, str]) -> Check:
    found = host.which(name)
    return Check("booting", name, "there" if found else "lacks", found or "no such program", commands, get)


def _firmware(title: str, pair: tuple[Path, Path] | None, commands: tuple[str, ...], get: Mapping[str, str]) -> Check:
    if pair is None:
        return Check("booting", title, "lacks", "no file of it in any usual place", commands, get)
    return Check("booting", title, "there", str(pair[0]), commands)


def _qemu(arch: str, hardware: Hardware, host: BootingHost, commands: tuple[str, ...]) -> Check:
    title = f"QEMU, {arch}"
    # EL has QEMU under another name alone (qemu-kvm), which no command here looks for.
    get = packages(hardware.package, _FEDORA_QEMU[arch], in_el=False)
    path = host.which(hardware.qemu)
    if path is None:
        return Check("booting", title, "lacks", f"no program {hardware.qemu}", commands, get)
    version = re.search(r"version ((\d+)\.(\d+)[.\d]*)", host.run([path, "--version"]) or "")
    if version is None:
        return Check("booting", title, "lacks", f"{path} does not run", commands, get)
    if (int(version[2]), int(version[3])) < LAB_QEMU:
        wanted = ".".join(map(str, LAB_QEMU))
        return Check("booting", title, "care", f"{version[1]}; labs and rehearsals take {wanted}", commands, get)
    return Check("booting", title, "there", version[1], commands)


def _kvm(host: BootingHost, commands: tuple[str, ...], progress: Progress) -> Check:
    def slow(found: str, how: str) -> Check:
        return Check("booting", "KVM", "care", f"{found}; a tenth of the speed", commands, {"to have it": how})

    hardware = KINDS.get(host.arch)
    if hardware is None:
        return slow(f"not for media here, on {host.arch}", "a computer with x86_64 or aarch64")
    if not host.kvm.exists():
        return slow(f"no {host.kvm}", "switch on VT-x or AMD-V in the firmware, or in the host")
    if not os.access(host.kvm, os.R_OK | os.W_OK):
        return slow(f"{host.kvm} is not yours to use", "usermod --append --groups kvm USER, and log in again")
    if host.which(hardware.qemu) is None:
        return slow("not tried without QEMU", f"{hardware.qemu}, as above")
    progress.note("checking whether KVM runs a guest here")
    if not host.runs_a_guest(hardware):
        return slow(f"no guest ran with {host.kvm}", "no virtual machine, or one with nested KVM that works")
    return Check("booting", "KVM", "there", "ran a guest", commands)
