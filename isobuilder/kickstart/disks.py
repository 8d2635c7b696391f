"""What a kickstart does to disks, so far as its text tells: the menu says it of each entry."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from isobuilder.definition import DiskMatch
from isobuilder.kickstart.sections import sections

# What %pre of an unattended install writes once it has found its disk.
STORAGE_INCLUDE = "/tmp/isobuilder-storage.ks"  # noqa: S108 - the installer's /tmp, not ours
# What it writes there stands between these lines of it.
_BEGIN, _END = "cat <<'ISOBUILDER_STORAGE'", "ISOBUILDER_STORAGE"

# Commands that write to disks, or say which.
_STORAGE_COMMANDS = frozenset(
    {
        "autopart",
        "bootc",
        "btrfs",
        "clearpart",
        "driverdisk",
        "fcoe",
        "ignoredisk",
        "iscsi",
        "liveimg",
        "logvol",
        "mount",
        "nvdimm",
        "ostreecontainer",
        "ostreesetup",
        "part",
        "partition",
        "raid",
        "reqpart",
        "snapshot",
        "upgrade",
        "volgroup",
        "zerombr",
        "zfcp",
        "zipl",
    }
)
# Of these, what writes to disks that it does not ask for; the others only say which there are.
_WRITING_COMMANDS = _STORAGE_COMMANDS - {"driverdisk", "fcoe", "ignoredisk", "iscsi", "nvdimm", "zfcp", "zipl"}
# Functions of choose-disk.sh: by the first it takes no disk but an empty one, and by the second one with its mark too.
_TAKES_EMPTY, _TAKES_MARKED = "is_empty() {", "is_marked() {"
# Of these, what only divides the one disk that %pre has found: every word of such a line is looked at.
_DIVIDING = {"part": "--ondisk=$disk", "logvol": "--vgname=isobuilder", "volgroup": "isobuilder"}
_OLD_DATA = ("--onpart", "--usepart", "--useexisting", "--noformat")
# Scripts that run before packages are installed, or when %pre has stopped.
_EARLY_SECTIONS = frozenset({"%pre", "%pre-install", "%onerror", "%traceback"})


def chooses_disks(text: str) -> bool:
    """Whether a kickstart has storage commands or scripts that run before disks are chosen; those can do anything."""
    return any(True for _ in _choosing(text, _STORAGE_COMMANDS))


def chooses_alike(text: str, guarded: str) -> bool:
    """Whether a kickstart does no more to find its disk than `guarded`, whose %pre takes the one that matches.

    It may divide that disk in its own way. Any other command, include or script of its own that could touch a disk
    before packages are installed makes the difference.
    """
    commands = _STORAGE_COMMANDS | {"bootloader"}
    return list(_choosing(text, commands)) == list(_choosing(guarded, commands))


@dataclass(frozen=True)
class WritesUnasked:
    """The line of a kickstart, counted from 1, by which an installer writes to disks without asking."""

    line: int
    text: str


def writes_unasked(text: str) -> WritesUnasked | None:
    """The first line by which a kickstart may erase a disk that holds something, None when it asks first.

    What a file under /tmp says is unknown, since %pre wrote it; but isobuilder's own %pre takes an empty disk, unless
    it may install again. Scripts are not looked into otherwise.
    """
    lines = list(sections(text))
    early = {line.strip() for section, _, line in lines if section == "%pre"}
    guarded = _TAKES_EMPTY in early and _TAKES_MARKED not in early
    for section, number, line in lines:
        words = line.split()
        if section or not words:
            continue
        if _writes(words) and not (guarded and words == ["%include", STORAGE_INCLUDE]):
            return WritesUnasked(number, line.strip())
    return None


def _writes(words: Sequence[str]) -> bool:
    if words[0] == "%include":
        return words[1].startswith("/tmp/") if len(words) > 1 else False  # noqa: S108 - the installer's /tmp
    if words[0] == "clearpart":
        return len(words) > 1 and "--none" not in words
    return words[0] in _WRITING_COMMANDS


def in_words(match: DiskMatch) -> str:
    """The match for a person: "model X, 100GB to 2TB"."""
    sizes = " to ".join(filter(None, [match.min_size, match.max_size]))
    if not (match.min_size and match.max_size):
        sizes = f"{'at least' if match.min_size else 'at most'} {sizes}" if sizes else ""
    named = [f"{name} {value}" for name, value in (("model", match.model), ("serial", match.serial)) if value]
    return ", ".join(filter(None, [*named, sizes]))


def _choosing(text: str, commands: frozenset[str]) -> Iterator[str]:
    """The lines by which a kickstart decides on disks."""
    inside = False
    for section, _, line in sections(text):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if section in _EARLY_SECTIONS:
            inside = line.strip() == _BEGIN or (inside and line != _END)
            if not (inside and (not word or word.startswith("#") or _only_divides(line.split()))):
                yield line
        elif not section and (word in commands or word == "%include" or word in _EARLY_SECTIONS):
            yield line


def _only_divides(words: Sequence[str]) -> bool:
    return _DIVIDING.get(words[0], "") in words[1:] and not any(word.startswith(_OLD_DATA) for word in words)
