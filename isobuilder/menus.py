"""The boot menus of a medium: one list of entries, rendered for isolinux (BIOS) and for GRUB (UEFI).

A kernel line is built once, here, and every menu shows the same. Nothing is written; texts go to who composes the
medium.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jinja2

from isobuilder.definition import Definition
from isobuilder.errors import DefinitionError, MediumError
from isobuilder.kickstart import Kickstart
from isobuilder.releases import Boot, Release
from isobuilder.resources import data_folder
from isobuilder.schema import did_you_mean

ISOLINUX_MENU = "isolinux/isolinux.cfg"
GRUB_MENU = "EFI/BOOT/grub.cfg"
SPLASH_PATH = "isolinux/splash.png"
# x86's COMMAND_LINE_SIZE is 2048 with its final NUL, and isolinux takes 2047 characters as well.
COMMAND_LINE_LIMIT = 2047
# What loaders put before our words: BOOT_IMAGE=(hd0,gpt2)/PATH, initrd=/PATH and spaces.
LOADER_WORDS = len("BOOT_IMAGE=(hd99,msdos99)/  initrd=/ ")
# Longer waits overflow isolinux's counter of tenths of a second.
ISOLINUX_LONGEST_WAIT = 3599
# Without a speed the kernel's serial driver takes this one, and so the loaders must.
DEFAULT_SPEED = 9600
# The BIOS, and so isolinux, knows this many serial ports.
BIOS_PORTS = 4
# In GRUB's menu these keys edit an entry and open a command line.
GRUB_KEYS = frozenset("ec")
# One screen holds this many entries above the help text, on a terminal of 24 lines too; more of them scroll.
ROWS = 10

_KERNEL_WORDS = re.compile(r"[A-Za-z0-9._:/=,+@#~\\ -]+", re.ASCII)

_CHECK_HELP = """\
Reads the whole medium and stops if it is damaged. Then the installer
starts with no role: it asks everything, and writes to no disk before."""
_RESCUE_HELP = """\
Starts a small system from this medium, to repair one that is installed.
It writes to no disk by itself."""
_LOCAL_HELP = """\
Leaves this medium and starts what is installed; nothing is written.
On an old BIOS, pull out a USB stick instead and start again."""
_ASKING_HELP = """\
Installs from this medium; no network is needed.
The installer asks which disk to use, and writes to none before."""
_UNATTENDED_HELP = """\
Installs from this medium; no network is needed. The kickstart of this
role chooses the disks, and MAY ERASE THEM WITHOUT ASKING."""


@dataclass(frozen=True)
class Entry:
    """One line of the menu.

    `help` is one or two lines about what it does to the disks. `kernel_line` is all that the kernel is told (None:
    the local disk boots). `hotkey` is a letter or digit of the title, lower case, that no other entry has.
    """

    id: str
    title: str
    help: str
    kernel_line: str | None
    hotkey: str | None = None


@dataclass(frozen=True)
class SerialPort:
    """The serial port that loaders draw their menu on as well: `unit` counts from 0, `speed` is in bits per second."""

    unit: int
    speed: int


def menu_entries(
    roles: Sequence[Kickstart], definition: Definition, release: Release, volume_id: str
) -> tuple[Entry, ...]:
    """The roles that want an entry, in their order, and then check, rescue and local.

    The check does as a stock medium's "Test this media & install" without a kickstart: the installer that follows a
    good check asks everything. Raises DefinitionError when the default entry does not exist, or an argument of the
    release has a placeholder that nobody fills; MediumError when a kernel line is longer than a kernel can take.
    """
    lines = _KernelLines(definition, release, volume_id)
    entries = [
        Entry(
            role.role,
            role.title,
            _UNATTENDED_HELP if role.chooses_disks else _ASKING_HELP,
            lines.build("stage2", "kickstart", path=f"/{role.path}"),
        )
        for role in roles
        if role.menu
    ]
    entries += [
        Entry("check", "Test this medium, then install by hand", _CHECK_HELP, lines.build("stage2", "check")),
        Entry("rescue", "Rescue an installed system", _RESCUE_HELP, lines.build("stage2", "rescue")),
        Entry("local", "Boot from the local disk", _LOCAL_HELP, None),
    ]
    _check_default(definition, entries)
    hotkeys = pick_hotkeys([entry.title for entry in entries])
    return tuple(replace(entry, hotkey=hotkey) for entry, hotkey in zip(entries, hotkeys, strict=True))


def pick_hotkeys(titles: Sequence[str]) -> tuple[str | None, ...]:
    """A letter or digit for each title: the first of a word of three or more if it is free, else any that is.

    A title with a caret gets none: isolinux can show a caret only by making it the hotkey.
    """
    taken = set(GRUB_KEYS)
    picked: list[str | None] = []
    for title in titles:
        initials = re.findall(r"\b([a-z0-9])[a-z0-9]{2}", title.lower(), re.ASCII)
        others = re.findall(r"[a-z0-9]", title.lower(), re.ASCII)
        free = (letter for letter in [*initials, *others] if letter not in taken)
        hotkey = None if "^" in title else next(free, None)
        taken.update(hotkey or "")
        picked.append(hotkey)
    return tuple(picked)


def escape_label(volume_id: str) -> str:
    r"""`volume_id` as it stands after LABEL=, where udev's rule holds: what is not in its list becomes `\xNN`.

    The list is that of udev's encode_devnode_name, and what lorax does for stock media.
    """
    return re.sub(r"[^A-Za-z0-9#+.:=@_-]", lambda found: f"\\x{ord(found[0]):02x}", volume_id)


def serial_port(definition: Definition) -> SerialPort | None:
    """The port that a loader can draw on; None without a console, or with one that is no UART of a PC."""
    port = re.fullmatch(r"ttyS([0-9]+)(?:,([0-9]+))?", definition.install.console or "")
    if not port or int(port[1]) >= BIOS_PORTS:
        return None
    return SerialPort(unit=int(port[1]), speed=int(port[2] or DEFAULT_SPEED))


def render_isolinux(entries: Sequence[Entry], definition: Definition, release: Release) -> str:
    """isolinux.cfg: the menu on BIOS machines."""
    return _render(
        "isolinux.cfg.j2",
        entries=entries,
        boot=_boot(definition, release),
        title=_title(definition, release),
        default=definition.menu.default,
        tenths=min(definition.menu.timeout, ISOLINUX_LONGEST_WAIT) * 10,
        serial=serial_port(definition),
        rows=min(len(entries), ROWS),
        splash=SPLASH_PATH,
    )


def render_grub(entries: Sequence[Entry], definition: Definition, release: Release, volume_id: str) -> str:
    """grub.cfg: the menu on UEFI machines, the same for the tree and for the copy inside the ESP image."""
    return _render(
        "grub.cfg.j2",
        entries=entries,
        boot=_boot(definition, release),
        title=_title(definition, release),
        default=definition.menu.default,
        # 0 would boot at once.
        seconds=definition.menu.timeout or -1,
        serial=serial_port(definition),
        volume_id=volume_id,
    )


def menu_files(entries: Sequence[Entry], definition: Definition, release: Release, volume_id: str) -> dict[str, bytes]:
    """Everything that the menus are, by path on the medium."""
    return {
        ISOLINUX_MENU: render_isolinux(entries, definition, release).encode(),
        GRUB_MENU: render_grub(entries, definition, release, volume_id).encode(),
        SPLASH_PATH: splash(),
    }


def splash() -> bytes:
    """The picture behind isolinux's menu, a PNG of 640x480; its place is SPLASH_PATH."""
    return data_folder("menus").joinpath("splash.png").read_bytes()


class _KernelLines:
    """Builds kernel lines: the only place that does."""

    def __init__(self, definition: Definition, release: Release, volume_id: str) -> None:
        boot = _boot(definition, release)
        self._arguments = release.kernel_arguments
        self._console = definition.install.console
        self._label = escape_label(volume_id)
        self._loader_words = LOADER_WORDS + len(boot.kernel) + len(boot.initrd)

    def build(self, *names: str, path: str = "") -> str:
        """The line with the release's arguments of these names; `path` is that of a kickstart on the medium."""
        words = [word for name in names if (word := self._fill(name, path))]
        if self._console:
            # The last one is /dev/console, where the installer talks.
            words += ["console=tty0", f"console={self._console}"]
        line = " ".join(words)
        self._check(line)
        return line

    def _fill(self, name: str, path: str) -> str:
        template: str | None = getattr(self._arguments, name)
        if template is None:
            return ""
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


def _check_default(definition: Definition, entries: Sequence[Entry]) -> None:
    wanted = definition.menu.default
    known = [entry.id for entry in entries]
    if wanted not in known:
        raise DefinitionError(f"menu.default: {wanted!r} is no entry of the menu{did_you_mean(wanted, known)}")


def _title(definition: Definition, release: Release) -> str:
    return definition.menu.title or f"{definition.name} - {release.title}"


def _boot(definition: Definition, release: Release) -> Boot:
    return release.arch[definition.arch].boot


def _isolinux_label(entry: Entry) -> str:
    """A title as `menu label` wants it: a caret marks the hotkey, and two of them are one."""
    if not entry.hotkey:
        return entry.title.replace("^", "^^")
    title = entry.title.lower()
    initial = re.search(rf"\b{entry.hotkey}", title, re.ASCII)
    place = initial.start() if initial else title.index(entry.hotkey)
    return f"{entry.title[:place]}^{entry.title[place:]}"


def _grub_quoted(text: str) -> str:
    """`text` as one word of GRUB's script, which knows a shell's single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def _render(name: str, **values: object) -> str:
    folder = data_folder("menus")
    environment = jinja2.Environment(  # noqa: S701 - boot menus are no HTML
        loader=jinja2.FunctionLoader(lambda template: folder.joinpath(template).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["isolinux_label"] = _isolinux_label
    environment.filters["grub_quoted"] = _grub_quoted
    return environment.get_template(name).render(values)
