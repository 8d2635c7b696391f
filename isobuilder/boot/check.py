"""Boots a medium, chooses an entry of its menu, and says whether the boot got where it should.

What counts as arrived, and what as lost, stands here as data with its source. The machine itself is `vm`'s.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from isobuilder.boot import guestcode
from isobuilder.boot.accelerate import accelerator
from isobuilder.boot.drives import Disk, FatDisk, RawDisk
from isobuilder.boot.firmware import NAMES, Firmware
from isobuilder.boot.hardware import Accelerator, Hardware, Medium, hardware_for
from isobuilder.boot.menu import DRAWING_SECONDS, BootMenu, MenuLine, read_menu, serial_port
from isobuilder.boot.vm import Machine, VirtualMachine
from isobuilder.errors import BootError, HostError, UsageError
from isobuilder.progress import Progress

# Anaconda's first words: its loader's on 6, those of anaconda and startup_utils.py on 7 and later.
INSTALLER_STARTED = r"Running anaconda |Starting installer|anaconda .{1,80} started"
# checkisomd5's verdict, which the installer shows before it starts.
MEDIUM_CHECKED = r"The media check is complete, the result is: PASS"
# Linux: x86 says it with a capital letter and later without, the others without.
KERNEL_STARTED = r"[Cc]ommand line: (.*)\n"
LOCAL_STARTED = "isobuilder: the local disk has started"
# The kernel argument that asks for a media check, from 7 on.
MEDIA_CHECK = "rd.live.check"
# Words after which nothing good comes, and who says them.
FATAL = (
    r"Kernel panic - not syncing",  # Linux, panic()
    r"dracut-initqueue timeout - starting timeout scripts",  # dracut-initqueue.sh: a device did not appear
    r"dracut: (?:FATAL|Refusing to continue)|Entering emergency mode",  # dracut: die(), the emergency shell
    r"The media check is complete, the result is: FAIL|CD check failed",  # checkisomd5; dracut's live module
    r"Traceback \(most recent call last\)",  # Python, which Anaconda is written in
    r"Pane is dead",  # tmux, when Anaconda's main program is gone
    r"The following (?:error|problem) occurred (?:while parsing the kickstart|on line)",  # Anaconda, pykickstart
    r"Could not find (?:kernel|ramdisk) image|Loading [^ ]{1,200}\.\.\. failed: ",  # isolinux 4; isolinux 6
    # GRUB. But not of a folder or a device with a file that is looked for: the script inside Debian's GRUB says so of
    # /boot/ and /.disk/mini-info, which its own media have, and goes on.
    r"error: (?:file `[^']{0,200}[^/']' not found|no such (?:device: [^/]|partition))",
    r"error: you need to load the kernel first",
    # Secure Boot refuses: OVMF the first loader, shim the second, GRUB the kernel.
    r"BdsDxe: failed to load [^\n]{1,300}: Access Denied|Security Violation|bad shim signature",
    r"No disk of this machine has a loader that this menu knows",  # our GRUB menu, its local entry
)

# How long a machine that no longer answers may take to be gone.
ENDING_SECONDS = 5.0


@dataclass(frozen=True)
class Verdict:
    """What a boot showed. `seen` and `missing` are sentences; `missing` is empty when it passed.

    `menu_picture` (None when the menu did not appear), `screen_picture` (the last of the screen; None when the machine
    had ended by then) and `console_log` are files of this boot in the output folder. `seconds` counts from power on.
    """

    entry: str
    firmware: Firmware
    medium: Medium
    accelerator: Accelerator
    passed: bool
    seen: tuple[str, ...]
    missing: tuple[str, ...]
    menu_picture: Path | None
    screen_picture: Path | None
    console_log: Path
    seconds: float

    @property
    def files(self) -> tuple[Path, ...]:
        """What there is to look at."""
        return tuple(path for path in (self.menu_picture, self.screen_picture, self.console_log) if path)


def boot_check(
    iso: Path,
    *,
    entry: str,
    firmware: Firmware,
    medium: Medium,
    marker: str | None,
    timeout: float,
    output: Path,
    progress: Progress,
    choose_accelerator: Callable[[Hardware, Progress], Accelerator] = accelerator,
) -> Verdict:
    """Boot `iso`, choose `entry`, and follow the serial console for at most `timeout` seconds in all.

    The machine is of the kind that the medium is for. An entry that has a twin on the serial console is followed there.
    One with a kernel passes when the kernel repeats all words of its line and then `marker` (a regular expression; by
    default Anaconda's first words) appears. The local entry passes when it starts a scratch disk that lies beside the
    medium and says so: by a boot sector for BIOS, by a loader where the menu looks for one for UEFI.

    Writes ENTRY-FIRMWARE-MEDIUM-menu.png, -screen.png and -console.log to `output`, where those of an earlier check are
    removed first. A boot that gets lost is no error but a verdict. Raises UsageError for a medium or an entry that is
    not there, a `firmware` that its machines have not, a menu that no serial console shows, or a bad `marker`;
    MediumError for a medium that is not ours; HostError when a tool is missing, or a file cannot be read or written.
    """
    hardware = hardware_for(iso)
    if firmware not in hardware.firmware:
        raise UsageError(f"the medium is for {hardware.arch}, and {NAMES[firmware]} cannot be had for that here")
    menu = read_menu(iso, firmware)
    line = menu.on_serial(entry)
    port = serial_port(menu, line, hardware, asked="--entry")
    goal = _goal(line, marker)
    files = _Files.below(output, f"{entry}-{firmware}-{medium}")
    kind = choose_accelerator(hardware, progress)
    machine = Machine(firmware, medium, serial_port=port, hardware=hardware)
    disk = None if line.kernel_line else _speaking_disk(line, firmware, hardware)
    with VirtualMachine(machine, iso, accelerator=kind, console_log=files.console_log, disk=disk) as vm:
        boot = _Boot(vm, files, timeout, progress)
        try:
            boot.follow(menu, line, goal)
            boot.show_the_last()
        except BootError as error:
            boot.missing.append(error.message)
        return Verdict(
            entry=entry,
            firmware=firmware,
            medium=medium,
            accelerator=kind,
            passed=not boot.missing,
            seen=tuple(boot.seen),
            missing=tuple(boot.missing),
            menu_picture=boot.menu_picture,
            screen_picture=boot.screen_picture,
            console_log=files.console_log,
            seconds=vm.seconds,
        )


@dataclass(frozen=True)
class _Files:
    """Where the files of one check go."""

    menu_picture: Path
    screen_picture: Path
    console_log: Path

    @classmethod
    def below(cls, output: Path, name: str) -> Self:
        """Make the folder; nothing stays in it that an earlier check put where this one's files go."""
        paths = [output / f"{name}-{part}" for part in ("menu.png", "screen.png", "console.log")]
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"{output}: cannot be made: {error.strerror}") from error
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise HostError(f"{path}: cannot be replaced: {error.strerror}") from error
        return cls(*paths)


@dataclass
class _Boot:
    """One boot as it goes: what was seen so far, and what should have been."""

    vm: VirtualMachine
    files: _Files
    timeout: float
    progress: Progress
    seen: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    menu_picture: Path | None = None
    screen_picture: Path | None = None

    def follow(self, menu: BootMenu, line: MenuLine, goal: re.Pattern[str]) -> None:
        if not self._wait(re.compile(re.escape(menu.shows)), "the menu"):
            return
        self.vm.rest(DRAWING_SECONDS)
        self.vm.screenshot(self.files.menu_picture)
        self.menu_picture = self.files.menu_picture
        self._see(f"the menu is in {self.menu_picture}")
        self.vm.choose(line)
        self._see(f"chose {line.id} ({line.title})")
        if line.kernel_line is None:
            self._wait(goal, "the local disk's own words")
        elif self._kernel_started(line.kernel_line.split()):
            self._wait(goal, f"what shows that the system has started ({goal.pattern})")

    def show_the_last(self) -> None:
        if self.vm.ended:
            return
        try:
            self.vm.screenshot(self.files.screen_picture)
        except BootError:
            # A system that is done switches the machine off, in this very moment too.
            self.vm.rest(ENDING_SECONDS)
            if not self.vm.ended:
                raise
        else:
            self.screen_picture = self.files.screen_picture

    def _kernel_started(self, words: list[str]) -> bool:
        found = self._wait(re.compile(KERNEL_STARTED), "the kernel's command line")
        lacking = [word for word in words if found and word not in found[1].split()]
        if lacking:
            self.missing.append(f"the kernel was not told {' '.join(lacking)}: another entry has started")
        return bool(found) and not lacking

    def _wait(self, wanted: re.Pattern[str], what: str) -> re.Match[str] | None:
        """The match of `wanted` on the console, or None after noting why there is none."""
        fatal = [re.compile(pattern) for pattern in FATAL]
        heard = self.vm.expect([wanted, *fatal], self.timeout - self.vm.seconds)
        if heard and heard.index == 0:
            self._see(f"the console shows {_shown(heard.match[0])}")
            return heard.match
        if heard:
            self.missing.append(f"{what}: the console shows {_shown(heard.match[0])} instead")
        elif self.vm.ended:
            self.missing.append(f"{what}: the machine stopped {self.vm.seconds:.1f} s after power on")
        else:
            self.missing.append(f"{what}: not seen within {self.timeout:.0f} s")
        return None

    def _see(self, sentence: str) -> None:
        self.seen.append(f"{self.vm.seconds:6.1f} s: {sentence}")
        self.progress.note(self.seen[-1])


def _goal(line: MenuLine, marker: str | None) -> re.Pattern[str]:
    if line.kernel_line is None:
        return re.compile(re.escape(LOCAL_STARTED))
    try:
        return re.compile(marker or (MEDIUM_CHECKED if MEDIA_CHECK in line.kernel_line else INSTALLER_STARTED))
    except re.error as error:
        raise UsageError(f"--marker: {marker!r} is no regular expression: {error}") from error


def _speaking_disk(line: MenuLine, firmware: Firmware, hardware: Hardware) -> Disk:
    if firmware == "uefi-secure":
        raise UsageError(
            f"--secure-boot: the entry {line.id} cannot be checked with it",
            hint="What the scratch disk starts is signed by nobody. Check this entry without Secure Boot.",
        )
    if firmware == "bios":
        return RawDisk(guestcode.speaking_disk(LOCAL_STARTED))
    program = guestcode.speaking_efi_program(LOCAL_STARTED, hardware.speaker, hardware.efi_machine)
    return FatDisk(dict.fromkeys(line.loaders, program))


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 200 else text[:200] + "...")
