"""The machines of a lab in QEMU: the command for one, and the connections to its control and its serial line."""

import contextlib
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from isobuilder.boot.check import FATAL, KERNEL_STARTED
from isobuilder.boot.control import Control
from isobuilder.boot.drives import KeptDisk, disk_arguments
from isobuilder.boot.firmware import firmware_arguments
from isobuilder.boot.hardware import Accelerator, Hardware
from isobuilder.boot.menu import DRAWING_SECONDS, BootMenu, MenuLine
from isobuilder.boot.serialconsole import SerialLine
from isobuilder.boot.switch import port_arguments
from isobuilder.boot.vm import KEY_MILLISECONDS, KEY_PAUSE, board_arguments, medium_arguments
from isobuilder.errors import BootError, HostError
from isobuilder.lab.processes import last_words, spawn
from isobuilder.lab.state import SWITCH, Lab, LabMachine, mac_address

# In the folder of a machine. Those of the first row are kept, those of the second are there while it runs.
DISK, VARIABLES, CONSOLE_LOG, LOG = "disk.qcow2", "variables", "console.log", "qemu.log"
CONSOLE, CONTROL, PORT, PID, CONSOLE_LOCK = "console", "control", "port", "pid", "console.lock"
KEPT = (DISK, VARIABLES, CONSOLE_LOG, LOG)
PASSING = (CONSOLE, CONTROL, PORT, PID, CONSOLE_LOCK)

# With two processors, the translator of QEMU 7.2 was seen to crash while the guest mapped its devices.
PROCESSORS: dict[Accelerator, int] = {"kvm": 2, "tcg": 1}
# How long a machine may take from power on to the kernel of the entry that is chosen for it.
CHOOSING_SECONDS = 180.0
SSH = 22
# What is told of a console whose machine did not choose what it should.
LAST_LINES = 10


def machine_command(
    lab: Lab, machine: LabMachine, folder: Path, hardware: Hardware, accelerator: Accelerator, control: int
) -> list[str]:
    """QEMU's command for a machine of the lab in `folder`, which it is to be started in.

    `control` is the file descriptor of the listening socket for QEMU's protocol.
    """
    place = folder / machine.name
    lan = port_arguments("lan", f"{machine.name}/{PORT}", SWITCH, mac_address(lab.name, machine.name, "lan"))
    line = f"socket,id=serial,path={machine.name}/{CONSOLE}"
    return [
        *(hardware.qemu, "-name", f"{lab.name}-{machine.name}", "-pidfile", f"{machine.name}/{PID}"),
        *board_arguments(hardware, accelerator, memory_mib=lab.memory_mib, processors=PROCESSORS[accelerator]),
        *medium_arguments(Path(lab.iso), "cdrom", hardware),
        *disk_arguments(KeptDisk(place / DISK, machine.name), place),
        *firmware_arguments(lab.firmware, place, hardware.firmware),
        *lan,
        *_way_out(lab, machine),
        *("-serial", "null") * lab.serial_port,
        *("-chardev", f"{line},server=on,wait=off,logfile={machine.name}/{CONSOLE_LOG},logappend=on"),
        *("-serial", "chardev:serial"),
        *("-chardev", f"socket,id=control,fd={control},server=on,wait=off", "-mon", "chardev=control,mode=control"),
    ]


def _way_out(lab: Lab, machine: LabMachine) -> list[str]:
    """A second network card, behind QEMU's own translation of addresses; none when nobody asked."""
    if machine.ssh_port is None:
        return []
    forward = {"str": f"tcp:127.0.0.1:{machine.ssh_port}-:{SSH}"}
    netdev = json.dumps({"type": "user", "id": "out", "hostfwd": [forward]})
    mac = mac_address(lab.name, machine.name, "out")
    return ["-netdev", netdev, "-device", f"virtio-net-pci,netdev=out,mac={mac}"]


def start(
    lab: Lab, machine: LabMachine, folder: Path, hardware: Hardware, accelerator: Accelerator
) -> tuple[subprocess.Popen[bytes], Control]:
    """Start QEMU for a machine, which waits to be told to go on; the control is to be entered.

    Raises HostError when QEMU does not start.
    """
    place = folder / machine.name
    for name in PASSING:
        (place / name).unlink(missing_ok=True)
    with contextlib.ExitStack() as ending:
        listening = ending.enter_context(socket.socket(socket.AF_UNIX))
        with short_path(place) as short:
            listening.bind(f"{short}/{CONTROL}")
        listening.listen()
        command = machine_command(lab, machine, folder, hardware, accelerator, listening.fileno())
        process = spawn(command, folder, place / LOG, pass_fds=[listening.fileno()])
        # Once this process holds the socket no more, a QEMU that ends hangs up on whoever waits for its greeting.
        return process, Control(connect(place / CONTROL))


def why_it_ended(machine: LabMachine, folder: Path, error: BootError) -> HostError:
    """What is said of a QEMU that does not start."""
    words = last_words(folder / machine.name / LOG)
    return HostError(f"{machine.name}: QEMU does not start", details=words or [error.message])


def connect(path: Path) -> socket.socket:
    """A connection to the unix socket `path`. Raises OSError."""
    near = socket.socket(socket.AF_UNIX)
    try:
        with short_path(path.parent) as short:
            near.connect(f"{short}/{path.name}")
    except BaseException:
        near.close()
        raise
    return near


@contextlib.contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """Another path of `folder`, short whatever its own is: that of a unix socket has room for 107 bytes."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def serial_line(line: socket.socket) -> SerialLine:
    """A machine's serial line behind a connection; QEMU keeps the log."""

    def receive(seconds: float) -> bytes | None:
        line.settimeout(seconds)
        try:
            return line.recv(1 << 16)
        except TimeoutError:
            return None
        except ConnectionError:
            return b""

    return SerialLine(receive)


def choose(control: Control, line: SerialLine, menu: BootMenu, entry: MenuLine) -> None:
    """Choose `entry` in the menu of a machine that has just been switched on, and see its kernel start.

    Raises BootError, with what the console showed last, when that does not happen.
    """
    if not line.expect([re.compile(re.escape(menu.shows))], CHOOSING_SECONDS):
        raise BootError("the menu did not appear", details=line.lines[-LAST_LINES:])
    for presses in entry.presses:
        line.rest(DRAWING_SECONDS)
        for key in presses:
            control.press(key, KEY_MILLISECONDS)
            line.rest(KEY_PAUSE)
    heard = line.expect([re.compile(pattern) for pattern in (KERNEL_STARTED, *FATAL)], CHOOSING_SECONDS)
    if not heard or heard.index != 0:
        raise BootError(f"the kernel of {entry.id} did not start", details=line.lines[-LAST_LINES:])
    if set((entry.kernel_line or "").split()) - set(heard.match[1].split()):
        raise BootError(f"another entry than {entry.id} has started", details=[heard.match[0].strip()])
