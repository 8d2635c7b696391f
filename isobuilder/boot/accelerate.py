"""Whether KVM really runs a guest here, or QEMU has to translate it."""

import platform
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from isobuilder.boot.hardware import Accelerator, Hardware
from isobuilder.boot.vm import processor_options, require
from isobuilder.progress import Progress

KVM_DEVICE = Path("/dev/kvm")
PROBE_SECONDS = 10.0


def accelerator(
    hardware: Hardware,
    progress: Progress,
    *,
    host: str | None = None,
    device: Path = KVM_DEVICE,
    runs: Callable[[Hardware, Accelerator, float], bool] | None = None,
    seconds: float = PROBE_SECONDS,
) -> Accelerator:
    """KVM when it really runs a guest within `seconds`, else QEMU's translator, as for machines unlike the `host`.

    That /dev/kvm opens proves nothing: nested or paravirtual KVM may emulate a guest instruction by instruction.
    """
    if hardware.arch != (host or platform.machine()) or not device.exists():
        return "tcg"
    progress.note("checking whether KVM runs a guest here")
    probe = runs or runs_a_guest
    return "kvm" if probe(hardware, "kvm", seconds) else "tcg"


def runs_a_guest(hardware: Hardware, accelerator: Accelerator, seconds: float) -> bool:
    """Boot a program that counts to 100 million; whether it came to its end within `seconds`."""
    require(hardware.qemu, hardware.package)
    probe = hardware.probe
    with tempfile.TemporaryDirectory(prefix="isobuilder-probe-") as folder:
        image = Path(folder) / "probe"
        image.write_bytes(probe.image)
        command = [hardware.qemu, *processor_options(hardware, accelerator), "-m", "64", "-nodefaults"]
        command += ["-display", "none", "-serial", "stdio", *probe.load(image)]
        try:
            finished = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return False
    return (finished.returncode, finished.stdout) == (probe.status, probe.says)
