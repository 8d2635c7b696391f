"""A machine in QEMU: firmware, the medium as a CD or a USB stick, its screen, keyboard and serial line.

It boots and reports; what a boot should show is the business of `check`, and what kinds of machines there are is in
`hardware`.
"""

import contextlib
import fcntl
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from isobuilder.boot.control import END_SECONDS, Control
from isobuilder.boot.drives import Disk, Stick, disk_arguments, image_arguments, stick_arguments
from isobuilder.boot.firmware import Firmware, firmware_arguments
from isobuilder.boot.hardware import X86_64, Accelerator, Hardware, Medium
from isobuilder.boot.menu import DRAWING_SECONDS, MenuLine
from isobuilder.boot.serialconsole import Heard, SerialLine
from isobuilder.errors import BootError, HostError

# The base name of the serial line's pipes, and their size: what an unprivileged process may have at most.
SERIAL_PIPE = "serial"
PIPE_SIZE = 1 << 20
# Firmware and loaders poll the keyboard: a key lasts so many milliseconds, and the next comes so many seconds later.
KEY_MILLISECONDS = 80
KEY_PAUSE = 0.2
# What is told of a console whose machine did not get where it should.
LAST_LINES = 40


@dataclass(frozen=True)
class Machine:
    """A machine to boot. `serial_port` is the number of the port that is listened to (0 is COM1, ttyS0; or ttyAMA0).

    One that `restarts` goes on when the guest asks for a reset, else that ends it. `home` is the folder where its UEFI
    variables are kept from one start to the next; without it each start has new ones. `network` has QEMU's options for
    network cards (`switch.port_arguments`), whose sockets lie in the folder `network_folder`.
    """

    firmware: Firmware
    medium: Medium
    memory_mib: int = 1024
    serial_port: int = 0
    hardware: Hardware = X86_64
    restarts: bool = False
    home: Path | None = None
    network: tuple[str, ...] = ()
    network_folder: Path | None = None
    stick: Stick | None = None


class VirtualMachine:
    """One machine that boots `iso` when there is one, and beside it a `disk` when there is one.

    A context: inside it the machine runs, after it QEMU has ended and its temporary folder is gone. QEMU also ends when
    this process is killed. Everything that comes over the serial line goes to the file `console_log`. Raises HostError
    when a tool is missing or QEMU does not start.
    """

    def __init__(
        self,
        machine: Machine,
        iso: Path | None,
        *,
        accelerator: Accelerator,
        console_log: Path,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine = machine
        self._iso = iso
        self._accelerator: Accelerator = accelerator
        self._console_log = console_log
        self._disk = disk
        self._clock = clock
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ending:
            self._start(ending)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._ending.close()

    @property
    def seconds(self) -> float:
        """Since the machine was switched on."""
        return self._clock() - self._switched_on

    @property
    def ended(self) -> bool:
        """Whether QEMU is gone: the guest switched itself off, or asked for a reset that this machine has not."""
        return self._line.hung_up or self._process.poll() is not None

    def expect(self, patterns: Sequence[re.Pattern[str]], timeout: float) -> Heard | None:
        """Wait until the serial line shows one of `patterns`; None when `timeout` seconds pass or the machine ends.

        Raises HostError when it ended because QEMU crashed: that says nothing about the medium.
        """
        heard = self._line.expect(patterns, timeout)
        if heard is None:
            self._refuse_a_crash()
        return heard

    def keys(self, *names: str) -> None:
        """Press keys one after the other, by QEMU's names for them: "down", "ret", "a"."""
        for name in names:
            self._control.press(name, KEY_MILLISECONDS)
            self.rest(KEY_PAUSE)

    def type(self, text: str) -> None:
        """Type on the serial line, as somebody at a terminal there would."""
        try:
            os.write(self._serial_in, text.encode())
        except OSError as error:
            raise BootError(f"nothing can be typed on the serial line: {error.strerror}") from error

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines that the serial line has shown, without empty ones."""
        return tuple(self._line.lines[-LAST_LINES:])

    def rest(self, seconds: float) -> None:
        """Let the machine run on for so long, and listen."""
        self._line.rest(seconds)

    def choose(self, line: MenuLine) -> None:
        """Choose a line of the menu that the screen shows."""
        for presses in line.presses:
            self.rest(DRAWING_SECONDS)
            self.keys(*presses)

    def screenshot(self, path: Path) -> None:
        """What the screen shows, as a PNG at `path`."""
        self._control.execute("screendump", {"filename": str(path.absolute()), "format": "png"})

    def _start(self, ending: contextlib.ExitStack) -> None:
        hardware = self._machine.hardware
        for tool, package in ((hardware.qemu, hardware.package), ("setpriv", "util-linux")):
            require(tool, package)
        scratch = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="isobuilder-vm-")))
        log = ending.enter_context(_log_file(self._console_log))
        self._stderr = ending.enter_context((scratch / "stderr").open("w+b"))
        self._serial_out, self._serial_in = _serial_pipes(scratch, ending)
        self._line = SerialLine(self._receive, log, self._clock)
        control, far_control = _socket_pair(ending)
        command = [
            *_command(self._machine, self._iso, self._accelerator),
            *firmware_arguments(self._machine.firmware, self._machine.home or scratch, hardware.firmware),
            *disk_arguments(self._disk, scratch),
            *stick_arguments(self._machine.stick, scratch),
            *_lines_out(scratch / SERIAL_PIPE, far_control, self._machine.serial_port),
        ]
        self._process = _spawn(command, far_control, self._stderr, self._machine.network_folder)
        ending.callback(_end, self._process)
        far_control.close()
        self._control = self._connect(control, ending)
        self._switched_on = self._clock()
        self._control.execute("cont")

    @property
    def _qemu(self) -> str:
        return self._machine.hardware.qemu

    def _connect(self, control: socket.socket, ending: contextlib.ExitStack) -> Control:
        try:
            return ending.enter_context(Control(control))
        except BootError as error:
            _end(self._process)
            raise HostError(f"{self._qemu} does not start", details=self._last_words() or [error.message]) from error

    def _refuse_a_crash(self) -> None:
        if not self._line.hung_up:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self._process.wait(END_SECONDS)
            if status:
                how = f"signal {-status}" if status < 0 else f"exit {status}"
                raise HostError(
                    f"{self._qemu} crashed {self.seconds:.1f} s after power on: {how}",
                    details=self._last_words(),
                    hint="This says nothing about the medium: run the check again, or use another version of QEMU.",
                )

    def _last_words(self) -> list[str]:
        self._stderr.seek(0)
        return self._stderr.read(10_000).decode(errors="replace").strip().splitlines()

    def _receive(self, seconds: float) -> bytes | None:
        ready, _, _ = select.select([self._serial_out], [], [], seconds)
        return os.read(self._serial_out, 1 << 16) if ready else None


def _command(machine: Machine, iso: Path | None, accelerator: Accelerator) -> list[str]:
    hardware = machine.hardware
    # One processor: with two, the translator of QEMU 7.2 was seen to crash while the guest mapped its devices.
    board = board_arguments(hardware, accelerator, memory_mib=machine.memory_mib, processors=1)
    medium = medium_arguments(iso, machine.medium, hardware) if iso else []
    restart = [] if machine.restarts else ["-no-reboot"]
    return ["setpriv", "--pdeathsig", "KILL", hardware.qemu, *restart, *board, *medium, *machine.network]


def board_arguments(hardware: Hardware, accelerator: Accelerator, *, memory_mib: int, processors: int) -> list[str]:
    """QEMU's options for a machine without drives and lines out, which waits to be told to start."""
    return [
        "-S",
        *processor_options(hardware, accelerator),
        *("-m", str(memory_mib), "-smp", str(processors)),
        *("-nodefaults", "-no-user-config", "-display", "none", *hardware.devices, "-device", "virtio-rng-pci"),
    ]


def medium_arguments(iso: Path, medium: Medium, hardware: Hardware) -> list[str]:
    """The file `iso` as what the machine starts first."""
    return [*image_arguments("medium", iso, read_only=True), *hardware.drives[medium]]


def processor_options(hardware: Hardware, accelerator: Accelerator) -> list[str]:
    """QEMU's options for the machine's board and processor, and for who runs its instructions."""
    runner = "kvm" if accelerator == "kvm" else "tcg,thread=multi"
    return ["-accel", runner, "-machine", hardware.machine, "-cpu", hardware.processors[accelerator]]


def _lines_out(pipe: Path, control: socket.socket, port: int) -> list[str]:
    """The serial line on a pair of pipes, and QMP on a socket that is connected before QEMU starts."""
    return [
        *("-serial", "null") * port,
        *("-chardev", f"pipe,id=serial,path={str(pipe).replace(',', ',,')}", "-serial", "chardev:serial"),
        *("-chardev", f"socket,id=control,fd={control.fileno()}", "-mon", "chardev=control,mode=control"),
    ]


def _serial_pipes(scratch: Path, ending: contextlib.ExitStack) -> tuple[int, int]:
    """Make the pipes that QEMU takes for a serial line; returns the ends to read from and to write to.

    No socket: QEMU writes single bytes, some 300 of which fill one, and a byte that finds no room is lost.
    """
    for direction in ("in", "out"):
        os.mkfifo(scratch / f"{SERIAL_PIPE}.{direction}")
    reading = os.open(scratch / f"{SERIAL_PIPE}.out", os.O_RDONLY | os.O_NONBLOCK)
    ending.callback(os.close, reading)
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    # For reading too, since QEMU is not there yet to read, and a pipe without a reader cannot be opened for writing.
    writing = os.open(scratch / f"{SERIAL_PIPE}.in", os.O_RDWR | os.O_NONBLOCK)
    ending.callback(os.close, writing)
    return reading, writing


def _spawn(
    command: Sequence[str], control: socket.socket, stderr: BinaryIO, folder: Path | None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        cwd=folder,
        pass_fds=[control.fileno()],
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _log_file(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise HostError(f"{path}: cannot be written: {error.strerror}") from error


def _socket_pair(ending: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    return ending.enter_context(near), ending.enter_context(far)


def require(tool: str, package: str) -> None:
    """Raise HostError when there is no program `tool`, which is in Debian's `package`."""
    if not shutil.which(tool):
        raise HostError(f"{tool}: no such program", hint=f"On Debian and Ubuntu: apt install {package}")
