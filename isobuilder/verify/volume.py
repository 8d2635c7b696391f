"""What the volume says of itself twice, or for other readers than Linux: labels, sizes, path tables, copies of numbers.

ISO 9660 writes numbers twice, little-endian and big-endian (ECMA-119, 7.2.3 and 7.3.3), and lists all folders once more
in path tables (9.4). Linux heeds neither the second copies nor the tables; checkisomd5 takes the big-endian size.
"""

import struct
from collections.abc import Iterator
from typing import Final

from isobuilder.iso.units import BLOCK
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, Unreadable

_AGAIN: Final = "Make the image anew, and do not change its structures by hand."
JOLIET_LABEL = Kind(
    "volume-labels-differ",
    "warning",
    "the volume has two labels: Linux goes by that of Joliet, and GRUB by the other",
    "Make the image anew with -V LABEL, which writes both; a label changed by hand is changed in one place.",
)
SHORT = Kind("volume-short", "warning", "files lie beyond what the volume says is its end", _AGAIN)
COPIES = Kind("numbers-differ", "warning", "a number of the file system is written twice, and not alike", _AGAIN)
PATH_TABLE = Kind("path-table", "warning", "a path table does not list the folders that there are", _AGAIN)
BLOCK_SIZE = Kind("block-size", "error", "the volume has blocks of another size than 2048 bytes", _AGAIN)
UNANNOUNCED = Kind(
    "rock-ridge-unannounced",
    "warning",
    "the names of Rock Ridge are not announced in the root folder, so that GRUB does not see them",
    _AGAIN,
)
MODES = Kind(
    "folder-modes",
    "warning",
    "folders can be entered by root alone, so that nobody else reads the medium or serves it",
    "Make the image anew with -r, or give the folders mode 755.",
)
KINDS = (JOLIET_LABEL, SHORT, COPIES, PATH_TABLE, BLOCK_SIZE, UNANNOUNCED, MODES)

_DESCRIPTOR: Final = "the volume descriptor"
# Where the descriptor has numbers twice, with their bytes (ECMA-119, 8.4): what they are.
_TWICE: Final = ((80, 4, "size"), (120, 2, "set size"), (124, 2, "number in the set"), (128, 2, "block size"),
                 (132, 4, "size of the path tables"), (158, 4, "place of the root"),
                 (166, 4, "size of the root"))  # fmt: skip
_ROOT_AT: Final = 158
_TABLES: Final = ((140, "<", "little-endian"), (148, ">", "big-endian"))
_PERMISSIONS: Final = 0o7777
_ENTERED: Final = 0o500
_TABLE_LIMIT: Final = 16 << 20


def check_volume(medium: Medium) -> Iterator[Finding]:
    """Everything in the primary descriptor that a reader could take otherwise than Linux does."""
    yield from _labels(medium)
    for place, size, what in _TWICE:
        little, big = medium.descriptor[place : place + size], medium.descriptor[place + size : place + 2 * size]
        if little != big[::-1]:
            said = f"its {what} is {int.from_bytes(little, 'little')} and {int.from_bytes(big, 'big')}"
            yield COPIES.at(f"{_DESCRIPTOR}, byte {place}", said)
    for path in medium.unlike:
        yield COPIES.at(path, "the two copies of its place or its size differ in its directory record")
    (block_size,) = struct.unpack_from("<H", medium.descriptor, 128)
    if block_size != BLOCK:
        yield BLOCK_SIZE.at(_DESCRIPTOR, f"it says {block_size} bytes")
    ends = ((block * BLOCK + size, node.path) for node in medium.files.values() for block, size in node.extents if size)
    end, path = max(ends, default=(0, ""))
    # What lies beyond the image's end, too, is another finding.
    if medium.volume.size < end <= medium.size:
        yield SHORT.at(_DESCRIPTOR, f"its size is {medium.volume.size} bytes, and {path} ends at {end}")
    if medium.view == "rock-ridge" and not medium.is_announced:
        yield UNANNOUNCED.at("the root folder", "its first record has no entry SP (SUSP, 5.3)")
    yield from _modes(medium)
    yield from _path_tables(medium)


def _modes(medium: Medium) -> Iterator[Finding]:
    closed = {path: mode for path, mode in sorted(medium.folder_modes.items()) if mode & _ENTERED != _ENTERED}
    for path, mode in list(closed.items())[:1]:
        more = f", as {len(closed) - 1} more are" if len(closed) > 1 else ""
        yield MODES.at(path or "the root folder", f"it has mode {mode & _PERMISSIONS:04o}{more}")


def _labels(medium: Medium) -> Iterator[Finding]:
    volume_id = medium.volume.volume_id
    if medium.label != volume_id:
        yield JOLIET_LABEL.at(_DESCRIPTOR, f"the volume id is {volume_id!r}, and Joliet's {medium.label!r}")


def _path_tables(medium: Medium) -> Iterator[Finding]:
    (size,) = struct.unpack_from("<I", medium.descriptor, 132)
    (root,) = struct.unpack_from("<I", medium.descriptor, _ROOT_AT)
    folders = {root, *medium.primary_folders}
    for place, order, name in _TABLES:
        (block,) = struct.unpack_from(f"{order}I", medium.descriptor, place)
        where = f"the {name} path table, block {block}"
        try:
            listed = set(_listed(medium.read_at(block * BLOCK, min(size, _TABLE_LIMIT)), order))
        except (Unreadable, struct.error, ValueError) as error:
            yield PATH_TABLE.at(where, f"it cannot be read: {error}")
            continue
        if lacking := folders - listed:
            yield PATH_TABLE.at(where, f"it lacks {len(lacking)} of {len(folders)} folders")


def _listed(table: bytes, order: str) -> Iterator[int]:
    """The blocks of the folders in a path table (ECMA-119, 9.4): length of the name, and at 2 the block."""
    at = 0
    while at + 8 <= len(table):
        length, _, block = struct.unpack_from(f"{order}BBI", table, at)
        if not length:
            raise ValueError(f"a name of no length is at byte {at}")
        yield block
        at += 8 + length + length % 2
