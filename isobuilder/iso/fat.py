"""Folders of a FAT file system as bytes: short names, long names, times and entries.

`bootimage.py` decides where things lie; this module only knows what a folder's entries look like.
Facts: Microsoft Extensible Firmware Initiative FAT32 File System Specification, version 1.03.
"""

import itertools
import re
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from isobuilder.errors import MediumError

ENTRY_SIZE = 32
READ_ONLY_LABEL = 0x08
FOLDER = 0x10
ARCHIVE = 0x20

_LONG_NAME = 0x0F
_LAST_LONG = 0x40
_CHARS_PER_ENTRY = 13
_MAX_NAME = 255
_FIRST_YEAR, _LAST_YEAR = 1980, 2107
_SHORT_CHARS = r"[A-Z0-9!#$%&'()@^_`{}~-]"
_SHORT = re.compile(rf"({_SHORT_CHARS}{{1,8}})(?:\.({_SHORT_CHARS}{{1,3}}))?")
# Firmware reads sixteen bits to the character, so neither what needs two such nor half of that.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|\ud800-\udfff\U00010000-\U0010ffff]')


@dataclass(frozen=True)
class Stamp:
    """One moment as FAT writes it: the date, the time in steps of two seconds, and what is left in hundredths."""

    date: int
    time: int
    hundredths: int

    @classmethod
    def at(cls, epoch: int) -> "Stamp":
        """The moment `epoch` (seconds since 1970) in UTC, drawn into the years 1980 to 2107 that FAT can say."""
        first = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp()
        last = datetime(_LAST_YEAR, 12, 31, 23, 59, 58, tzinfo=UTC).timestamp()
        when = datetime.fromtimestamp(min(max(epoch, first), last), UTC)
        return cls(
            date=(when.year - _FIRST_YEAR) << 9 | when.month << 5 | when.day,
            time=when.hour << 11 | when.minute << 5 | when.second // 2,
            hundredths=when.second % 2 * 100,
        )


def check_name(name: str, path: str) -> None:
    """Refuse a name that no FAT folder can hold; `path` is where it was met."""
    too_long = len(name) > _MAX_NAME
    if not name or too_long or name[-1] in ". " or name[0] == " " or _FORBIDDEN.search(name):
        raise MediumError(
            f"the boot image cannot hold a file named {path!r}",
            hint="A name on a FAT file system has at most 255 characters, none of them a control character, a "
            'pictogram or one of " * / : < > ? \\ |, and neither begins with a space nor ends in one or in a dot.',
        )


def short_names(names: Collection[str]) -> Mapping[str, bytes]:
    """The 11-byte short name of each name of one folder: unique, and the same for the same set of names.

    A name that is a short name but for its case keeps it, since firmware and old loaders look files up that way.
    """
    plain = {name: match for name in names if (match := _SHORT.fullmatch(name.upper()))}
    chosen = {name: _padded(match[1], match[2] or "") for name, match in plain.items()}
    taken = set(chosen.values())
    for name in sorted(set(names) - set(plain)):
        chosen[name] = _alias(name, taken)
        taken.add(chosen[name])
    return chosen


def entry(short: bytes, attribute: int, stamp: Stamp, cluster: int = 0, size: int = 0) -> bytes:
    """One 32-byte folder entry."""
    return struct.pack(
        "<11sBBBHHHHHHHI",
        short,
        attribute,
        0,
        stamp.hundredths,
        stamp.time,
        stamp.date,
        stamp.date,
        0,
        stamp.time,
        stamp.date,
        cluster,
        size,
    )


def long_entries(name: str, short: bytes) -> bytes:
    """The entries in front of the short one that hold `name` itself; none when the short one says it already."""
    if _spelled(short) == name:
        return b""
    units = name.encode("utf-16-le")
    count = -(-len(units) // (2 * _CHARS_PER_ENTRY))
    if len(units) % (2 * _CHARS_PER_ENTRY):
        units = (units + b"\0\0").ljust(2 * _CHARS_PER_ENTRY * count, b"\xff")
    pieces = [units[start : start + 26] for start in range(0, len(units), 26)]
    return b"".join(
        struct.pack(
            "<B10sBBB12sH4s",
            number | (_LAST_LONG if number == count else 0),
            pieces[number - 1][:10],
            _LONG_NAME,
            0,
            checksum(short),
            pieces[number - 1][10:22],
            0,
            pieces[number - 1][22:],
        )
        for number in range(count, 0, -1)
    )


def _alias(name: str, taken: Collection[bytes]) -> bytes:
    """A short name for a name that is none: what can be kept of it, `~` and the first number that is free."""
    stem, _, suffix = name.upper().strip(".").rpartition(".")
    stem, suffix = (stem, suffix) if stem else (suffix, "")
    stem, suffix = (_squeezed(part) for part in (stem, suffix))
    aliases = (_padded(f"{stem[: 7 - len(str(number))]}~{number}", suffix[:3]) for number in itertools.count(1))
    return next(alias for alias in aliases if alias not in taken)


def _squeezed(part: str) -> str:
    return "".join(char if re.fullmatch(_SHORT_CHARS, char) else "_" for char in part if char not in " .")


def _padded(stem: str, suffix: str) -> bytes:
    return stem.encode("ascii").ljust(8) + suffix.encode("ascii").ljust(3)


def _spelled(short: bytes) -> str:
    stem, suffix = short[:8].decode("ascii").rstrip(), short[8:].decode("ascii").rstrip()
    return f"{stem}.{suffix}" if suffix else stem


def checksum(short: bytes) -> int:
    """What a long name's entries say of the short one that they belong to."""
    total = 0
    for byte in short:
        total = ((total >> 1) + (total << 7 & 0x80) + byte) & 0xFF
    return total
