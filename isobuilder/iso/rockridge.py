"""What Rock Ridge adds to a directory record of ISO 9660: the real name, and whether it is a plain file.

From the system use sharing protocol (SUSP, IEEE P1281) and Rock Ridge (RRIP, IEEE P1282). Nothing is trusted: what is
damaged ends in a ValueError, and what is read is bounded.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from isobuilder.iso.units import BLOCK

# A record has at most 255 bytes, and so has a name: neither needs many areas to continue in.
_MAX_AREAS = 8
_CONTINUES = 0x01
# Links, folders that were moved elsewhere, and files that are kept compressed.
_NOT_PLAIN = frozenset({b"SL", b"CL", b"ZF"})


# Itself, the folder above, and the root, of which "/" in front remains when all is joined.
_LINK_WORDS = ((0x02, "."), (0x04, ".."), (0x08, ""))


@dataclass(frozen=True)
class Entry:
    kind: bytes
    data: bytes


def entries(area: bytes, read: Callable[[int, int], bytes]) -> Iterator[Entry]:
    """The entries of a system use area and of those where it continues.

    `read` gives a number of bytes (second) from a place in the image (first). An area that holds something else has
    none.
    """
    for _ in range(_MAX_AREAS):
        continuation = None
        while len(area) >= 4 and area[2] >= 4:
            kind, data, area = area[:2], area[4 : area[2]], area[area[2] :]
            if kind == b"ST":
                break
            if kind == b"CE":
                continuation = struct.unpack("<I4xI4xI4x", data)
            yield Entry(kind, data)
        if continuation is None:
            return
        block, offset, size = continuation
        if offset + size > BLOCK:
            raise ValueError("a name in it continues beyond its block")
        area = read(block * BLOCK + offset, size)
    raise ValueError("a name in it does not end")


def name(found: Iterable[Entry]) -> bytes:
    """The name; nothing when the entries have none."""
    parts = []
    for entry in found:
        if entry.kind == b"NM" and entry.data:
            parts.append(entry.data[1:])
            if not entry.data[0] & _CONTINUES:
                break
    return b"".join(parts)


def mode(found: Iterable[Entry]) -> int | None:
    """The mode as stat(2) has it (RRIP 4.1.1), None where none is written."""
    written = next((entry.data for entry in found if entry.kind == b"PX" and len(entry.data) >= 4), None)
    return int.from_bytes(written[:4], "little") if written else None


def target(found: Iterable[Entry]) -> str:
    """Where a symbolic link leads, as it is written (RRIP 4.1.3); nothing for what is no link."""
    parts: list[str] = []
    goes_on = False
    for entry in found:
        area = entry.data[1:] if entry.kind == b"SL" else b""
        while len(area) >= 2:
            flags, content, area = area[0], area[2 : 2 + area[1]], area[2 + area[1] :]
            word = next((word for flag, word in _LINK_WORDS if flags & flag), content.decode(errors="surrogateescape"))
            if goes_on:
                parts[-1] += word
            else:
                parts.append(word)
            goes_on = bool(flags & _CONTINUES)
    return "/".join(parts) or ("/" if parts else "")


def is_plain(found: Iterable[Entry]) -> bool:
    """Whether the record's own bytes are the file's."""
    return not any(entry.kind in _NOT_PLAIN for entry in found)
