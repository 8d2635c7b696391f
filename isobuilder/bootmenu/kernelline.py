"""What the kernel is told: built here once for each entry, and the same in every menu.

Also the serial port of a definition, since kernel and loader must agree on its speed.
"""

import re
from dataclasses import dataclass

from isobuilder.blueprint import Blueprint
from isobuilder.definition import Definition
from isobuilder.errors import DefinitionError, MediumError

# COMMAND_LINE_SIZE of x86 and arm64 is 2048 with its final NUL, and isolinux takes 2047 characters as well.
COMMAND_LINE_LIMIT = 2047
# What loaders put before our words: BOOT_IMAGE=(hd99,msdos99)/PATH, initrd=/PATH and spaces.
LOADER_WORDS = len("BOOT_IMAGE=(hd99,msdos99)/  initrd=/ ")
# Without a speed the kernel's serial driver takes this one, and so the loaders must.
DEFAULT_SPEED = 9600
# The BIOS, and so isolinux, knows this many serial ports.
BIOS_PORTS = 4

# Architectures whose loaders drive serial ports by themselves, those of a PC. Elsewhere the firmware has the serial
# line, and what is drawn on its console is there too.
_PORTS_OF_A_PC = frozenset({"x86_64"})

_KERNEL_WORDS = re.compile(r"[A-Za-z0-9._:/=,+@#~\\ -]*", re.ASCII)


@dataclass(frozen=True)
class SerialPort:
    """The serial port that loaders draw their menu on as well: `unit` counts from 0, `speed` is in bits per second."""

    unit: int
    speed: int


def serial_port(definition: Definition) -> SerialPort | None:
    """The port that a loader can draw on; None without a console, or with one that is no UART of a PC."""
    port = re.fullmatch(r"ttyS([0-9]+)(?:,([0-9]+))?", definition.install.console or "")
    if not port or int(port[1]) >= BIOS_PORTS:
        return None
    return SerialPort(unit=int(port[1]), speed=int(port[2] or DEFAULT_SPEED))


def on_firmware_console(definition: Definition) -> bool:
    """Whether a menu is on the serial line only as what the firmware's console shows; `serial_port` is no use then."""
    return bool(definition.install.console) and definition.arch not in _PORTS_OF_A_PC


def serial_words(console: str) -> tuple[str, ...]:
    """The words that bring kernel and installer to `console` (such as "ttyS0,115200").

    The last one is /dev/console, where the installer talks; with a serial line there it starts nothing graphical.
    """
    return "console=tty0", f"console={console}"


def escape_label(volume_id: str) -> str:
    r"""`volume_id` as it stands after LABEL=, where udev's rule holds: what is not in its list becomes `\xNN`.

    The list is that of udev's encode_devnode_name, and what lorax does for stock media.
    """
    return re.sub(r"[^A-Za-z0-9#+.:=@_-]", lambda found: f"\\x{ord(found[0]):02x}", volume_id)


class KernelLines:
    """Builds kernel lines: the only place that does."""

    def __init__(self, blueprint: Blueprint) -> None:
        boot = blueprint.facts.boot
        self._arguments = blueprint.release.kernel_arguments
        self._label = escape_label(blueprint.volume_id)
        self._loader_words = LOADER_WORDS + len(boot.kernel) + len(boot.initrd)

    def build(self, *names: str, path: str = "", more: tuple[str, ...] = ()) -> str:
        """The line with the release's arguments of these names, and then `more`; `path` is that of a kickstart.

        Raises DefinitionError for a placeholder that nobody fills, MediumError for what no kernel or menu can take.
        """
        line = " ".join([*filter(None, (self._fill(name, path) for name in names)), *more])
        self._check(line)
        return line

    def _fill(self, name: str, path: str) -> str:
        template: str = getattr(self._arguments, name) or ""
        try:
            return template.format_map({"label": self._label, "path": path})
        except (AttributeError, IndexError, KeyError, ValueError) as error:
            raise DefinitionError(
                f"kernel-arguments.{name}: {template!r} has a placeholder that is neither {{label}} nor {{path}}"
            ) from error

    def _check(self, line: str) -> None:
        if not _KERNEL_WORDS.fullmatch(line):
            raise MediumError(f"a kernel line holds what a boot menu cannot carry: {line!r}")
        if (length := len(line) + self._loader_words) > COMMAND_LINE_LIMIT:
            raise MediumError(
                f"a kernel line is {length} characters with the loader's own words; {COMMAND_LINE_LIMIT} is the most",
                details=[line[:200] + "..."],
                hint="Shorten the kernel arguments of the release file.",
            )
