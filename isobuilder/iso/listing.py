"""Everything that an ISO 9660 image holds, listed once, by each of the names that its readers know.

A medium is read by many: Linux goes by Rock Ridge, else by Joliet, else by plain names in lower case; isolinux 4 knows
plain names alone. Nothing in the image is trusted: what is wrong with a part of it is told, and the rest is listed all
the same.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from isobuilder.iso import rockridge
from isobuilder.iso.reader import FOLDER_FLAG, MULTI_EXTENT_FLAG, Image, identifier
from isobuilder.iso.units import BLOCK

# The whole of a mirror is some 20,000 files; what has ten times as many is no installer's medium.
MOST_NODES: Final = 200_000
# Linux takes paths of 4096 bytes.
MAX_DEPTH: Final = 64

View = Literal["rock-ridge", "joliet", "plain"]


@dataclass(frozen=True)
class Node:
    """A file, folder or link as one of the trees has it.

    `path` is the real name's ("Packages/a.rpm"), `plain` the one of ISO 9660 without version ("PACKAGES/A.RPM");
    `extents` are (block, bytes) in their order; `is_plain` is false for links and for what is kept compressed. `target`
    is where a link leads, as it is written; `mode` the one of Rock Ridge.
    """

    path: str
    plain: str
    extents: tuple[tuple[int, int], ...]
    is_folder: bool = False
    is_plain: bool = True
    has_rock_ridge: bool = False
    target: str = ""
    mode: int | None = None

    @property
    def size(self) -> int:
        return sum(size for _, size in self.extents)


@dataclass
class Listing:
    """What one tree of an image holds, folders and links among it; `damage` is what could not be read, by path.

    `unlike` are paths whose records write a place or a size twice (ECMA-119, 9.1), and not alike.
    """

    nodes: list[Node] = field(default_factory=list)
    damage: list[tuple[str, str]] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)


def list_tree(image: Image, root: bytes, *, name: Callable[[bytes], str], rock_ridge: bool) -> Listing:
    """Everything below the directory record `root`.

    `name` decodes an identifier; with `rock_ridge` the names and links of that are heeded. A folder that lies where an
    earlier one does is read once, so that no circle of them is endless.
    """
    listing = Listing()
    walker = _Walker(image, name, listing, rock_ridge=rock_ridge)
    waiting = [("", "", root)]
    seen: set[int] = set()
    while waiting:
        path, plain, record = waiting.pop()
        (block,) = struct.unpack_from("<I", record, 2)
        if block in seen:
            listing.damage.append((path or "/", "this folder lies where another one does"))
            continue
        seen.add(block)
        for node, first in walker.children(path, plain, record):
            if len(listing.nodes) >= MOST_NODES:
                listing.damage.append((path or "/", f"there are more than {MOST_NODES} names; the rest is not read"))
                return listing
            listing.nodes.append(node)
            if node.is_folder and node.path.count("/") < MAX_DEPTH:
                waiting.append((node.path + "/", node.plain + "/", first))
            elif node.is_folder:
                listing.damage.append((node.path, f"folders lie more than {MAX_DEPTH} deep; the rest is not read"))
    return listing


class _Walker:
    def __init__(self, image: Image, name: Callable[[bytes], str], listing: Listing, *, rock_ridge: bool) -> None:
        self._image = image
        self._name = name
        self._listing = listing
        self._rock_ridge = rock_ridge

    def children(self, path: str, plain: str, folder: bytes) -> Iterator[tuple[Node, bytes]]:
        """The nodes in a folder, each with its first record."""
        records: list[bytes] = []
        try:
            for record in self._image.children(folder):
                records.append(record)
                if record[25] & MULTI_EXTENT_FLAG and not record[25] & FOLDER_FLAG:
                    continue
                group, records = tuple(records), []
                yield from self._node(path, plain, group)
        except (ValueError, struct.error) as error:
            self._listing.damage.append((path or "/", f"the folder cannot be read: {error}"))

    def _node(self, path: str, plain: str, records: tuple[bytes, ...]) -> Iterator[tuple[Node, bytes]]:
        first, last = records[0], records[-1]
        own = identifier(first)
        name = self._name(first[33 : 33 + first[32]])
        is_plain, is_folder, has_rock_ridge, target, mode = True, bool(first[25] & FOLDER_FLAG), False, "", None
        if self._rock_ridge:
            try:
                entries = list(self._image.system_use(last))
                kinds = {entry.kind for entry in entries}
                real = rockridge.name(entries).decode(errors="surrogateescape")
            except (ValueError, struct.error) as error:
                self._listing.damage.append((f"{path}{name}", f"its Rock Ridge entries cannot be read: {error}"))
            else:
                if b"RE" in kinds:
                    # A folder that keeps what was moved up, in the way of RRIP 4.1.5; it is listed where it belongs.
                    return
                is_plain, has_rock_ridge = rockridge.is_plain(entries), b"NM" in kinds
                target, mode = rockridge.target(entries), rockridge.mode(entries)
                name = real or name
                moved = next((entry.data for entry in entries if entry.kind == b"CL"), None)
                if moved is not None:
                    yield from self._moved(path + name, plain + own, moved, first)
                    return
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            self._listing.damage.append((f"{path}{name!r}", "this is no name of a file"))
            return
        if any(
            record[place : place + 4] != record[place + 4 : place + 8][::-1] for record in records for place in (2, 10)
        ):
            self._listing.unlike.append(path + name)
        extents = tuple(struct.unpack_from("<I4xI", record, 2) for record in records)
        yield Node(path + name, plain + own, extents, is_folder, is_plain, has_rock_ridge, target, mode), first

    def _moved(self, path: str, plain: str, link: bytes, record: bytes) -> Iterator[tuple[Node, bytes]]:
        """A folder that lies elsewhere, since ISO 9660 knows eight levels: its own record stands first in it."""
        try:
            (block,) = struct.unpack_from("<I", link)
            start = self._image.read(block * BLOCK, BLOCK)
            (size,) = struct.unpack_from("<I", start, 10)
        except (ValueError, struct.error) as error:
            self._listing.damage.append((path, f"the folder that was moved cannot be read: {error}"))
            return
        target = bytearray(record)
        struct.pack_into("<I", target, 2, block)
        struct.pack_into("<I", target, 10, size)
        target[25] |= FOLDER_FLAG
        yield Node(path, plain, ((block, size),), is_folder=True, has_rock_ridge=True), bytes(target)


def plain_name(name: bytes) -> str:
    """A plain identifier as Linux shows it without Rock Ridge: in lower case, without version and final dot."""
    return name.decode("latin-1").partition(";")[0].rstrip(".").lower()


def joliet_name(name: bytes) -> str:
    """An identifier of Joliet's tree (UCS-2, big endian), without its version."""
    return name.decode("utf-16-be", errors="replace").removesuffix(";1")
