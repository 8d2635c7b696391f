"""The medium under examination: its volume, its files by name, and bytes from any place of it.

Nothing in it is trusted. What is damaged while names are listed becomes findings here; a read that cannot be ends in
`Unreadable`, which the checks turn into findings of their own.
"""

import itertools
import os
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

from isobuilder.errors import HostError, MediumError, UsageError
from isobuilder.iso.listing import Listing, Node, View, joliet_name, list_tree, plain_name
from isobuilder.iso.reader import ROOT_RECORD, VOLUME_DESCRIPTOR, Image
from isobuilder.iso.units import BLOCK
from isobuilder.verify.finding import Finding, Kind

_FOLDERS_LIMIT: Final = 128 << 20
_MOST_DESCRIPTORS: Final = 32
# Parts of a path, with those of the links on its way; Linux follows 40 links.
_MOST_STEPS: Final = 64
_MOST_LINKS: Final = 20_000
JOLIET_LABEL_LENGTH: Final = 16
_JOLIET_ESCAPES: Final = frozenset({b"%/@", b"%/C", b"%/E"})

DAMAGED_NAMES = Kind(
    "names-damaged",
    "error",
    "a folder or a name in the file system cannot be read",
    "Make the image anew, or copy it anew: it is damaged.",
)
CUT_SHORT = Kind(
    "image-truncated",
    "error",
    "the image is shorter than its volume",
    "Copy or download it again, and compare its checksum.",
)
OUTSIDE = Kind(
    "file-outside",
    "error",
    "a file lies beyond the end of the image",
    "Copy or download the image again; if that is no help, make it anew.",
)
PLAIN_NAMES = Kind(
    "names-plain",
    "warning",
    "the file system has no Rock Ridge, so that Linux shows other names, or loses modes and links",
    "Make the image with Rock Ridge (xorriso -as mkisofs -R).",
)
LINK = Kind(
    "link-dangling",
    "warning",
    "a symbolic link leads to nothing on the medium",
    "Put the file itself there, or a link that leads from its own folder to a file of the medium.",
)
KINDS = (DAMAGED_NAMES, CUT_SHORT, OUTSIDE, PLAIN_NAMES, LINK)


class Unreadable(Exception):  # noqa: N818 - no failure of ours: something on the medium that cannot be read, and why
    """Something on the medium cannot be read; the text says why."""


@dataclass(frozen=True)
class Volume:
    """What the primary volume descriptor says: `blocks` of 2048 bytes are the whole volume."""

    volume_id: str
    blocks: int

    @property
    def size(self) -> int:
        return self.blocks * BLOCK


class Medium:
    """An image that is open for reading, listed whole; `open_medium` makes one.

    `files` are all that is no folder, by the path that Linux shows; `folders` the paths of folders, without the root
    and without a final slash; `plain` the files by the name of ISO 9660 in capitals, which is all that isolinux 4
    knows; `links` the symbolic ones, as they are written. `primary_folders` are the blocks of all folders of the
    primary volume, `folder_modes` the modes that Rock Ridge gives them, by path; `is_announced` says that the root
    announces that. `unlike` are files of which the primary volume says two things, `joliet` is the descriptor of
    Joliet's names, if there are any. `size` is that of the file in bytes.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        image = Image(file, folder_limit=_FOLDERS_LIMIT)
        descriptor = self.read_at(VOLUME_DESCRIPTOR, BLOCK)
        self.descriptor = descriptor
        self.volume = Volume(
            volume_id=descriptor[40:72].decode("ascii", errors="replace").rstrip(" \0"),
            blocks=struct.unpack_from("<I", descriptor, 80)[0],
        )
        announced = _root_entries(image)
        has_rock_ridge = bool(announced & {b"SP", b"RR", b"PX"})
        self.is_announced = b"SP" in announced
        primary = list_tree(image, image.root, name=plain_name, rock_ridge=has_rock_ridge)
        self.joliet = self._joliet()
        joliet = self.joliet[ROOT_RECORD : ROOT_RECORD + 34] if self.joliet and not has_rock_ridge else None
        shown = list_tree(image, joliet, name=joliet_name, rock_ridge=False) if joliet else primary
        self.view: View = "rock-ridge" if has_rock_ridge else "joliet" if joliet else "plain"
        self.primary_folders = frozenset(node.extents[0][0] for node in primary.nodes if node.is_folder)
        self.folder_modes = {node.path: node.mode for node in shown.nodes if node.is_folder and node.mode is not None}
        self.unlike = tuple(primary.unlike)
        self.files: Mapping[str, Node] = MappingProxyType(
            {node.path: node for node in shown.nodes if not node.is_folder}
        )
        self.folders = frozenset(node.path for node in shown.nodes if node.is_folder)
        self.links: Mapping[str, str] = MappingProxyType(
            {node.path: node.target for node in shown.nodes if node.target and not node.is_folder}
        )
        self.plain: Mapping[str, Node] = MappingProxyType(
            {node.plain.upper(): node for node in primary.nodes if not node.is_folder}
        )
        self._damage = [*primary.damage, *(shown.damage if shown is not primary else ())]
        self._twice = _twice(shown)

    @property
    def joliet_label(self) -> str | None:
        """The volume id of Joliet, which has room for 16 characters; None without Joliet."""
        return self.joliet[40:72].decode("utf-16-be", errors="replace").rstrip(" \0") if self.joliet else None

    @property
    def label(self) -> str:
        """What udev calls the volume: Joliet's volume id, unless that is but the start of the volume id (libblkid)."""
        volume_id = self.volume.volume_id
        joliet = self.joliet_label
        return volume_id if joliet is None or joliet == volume_id[:JOLIET_LABEL_LENGTH].rstrip() else joliet

    def read_at(self, place: int, size: int) -> bytes:
        """`size` bytes from `place` on. Raises Unreadable beyond the end, HostError when the disk fails."""
        if place < 0 or place + size > self.size:
            raise Unreadable(f"{size} bytes at {place} are beyond the end of the image, {self.size} bytes")
        try:
            data = os.pread(self._file.fileno(), size, place)
        except OSError as error:
            raise HostError(f"{self.path}: cannot be read: {error.strerror}") from error
        if len(data) != size:
            raise Unreadable(f"the image became shorter while it was read, at {place + len(data)}")
        return data

    def read_into(self, buffer: memoryview, place: int) -> memoryview:
        """`buffer`, filled from `place` on. Raises as read_at."""
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._file.fileno(), [buffer[done:]], place + done)
            except OSError as error:
                raise HostError(f"{self.path}: cannot be read: {error.strerror}") from error
            if not count:
                raise Unreadable(f"the image became shorter while it was read, at {place + done}")
            done += count
        return buffer

    def find(self, path: str) -> Node | None:
        """The file at `path` as Linux finds it, links followed; leading and doubled slashes and "." are passed over."""
        found = self.files.get("/".join(part for part in path.split("/") if part not in {"", "."}))
        if self.links and (found is None or found.target):
            return self.files.get(self.resolved(path))
        return found

    def resolved(self, path: str) -> str:
        """`path` with the links on its way followed; one that leads out of the medium, or in circles, stays."""
        waiting, done = path.split("/")[::-1], list[str]()
        for _ in range(_MOST_STEPS):
            if not waiting:
                break
            part = waiting.pop()
            link = self.links.get("/".join([*done, part]))
            if part == "..":
                del done[-1:]
            elif link is not None and not link.startswith("/"):
                waiting += link.split("/")[::-1]
            elif part not in {"", "."}:
                done.append(part)
        return "/".join([*done, *waiting[::-1]])

    def read(self, path: str, *, limit: int) -> bytes:
        """The bytes of the file at `path`. Raises Unreadable when it is not there, no plain file, or above `limit`."""
        node = self.find(path)
        if node is None:
            raise Unreadable("it is not on the medium")
        return self.content(node, limit=limit)

    def content(self, node: Node, *, limit: int) -> bytes:
        """The bytes of a file. Raises Unreadable, as `read`."""
        if not node.is_plain or node.is_folder:
            raise Unreadable("it is no plain file")
        if node.size > limit:
            raise Unreadable(f"it has {node.size} bytes, and {limit} is the most for what it is")
        return b"".join(self.read_at(block * BLOCK, size) for block, size in node.extents)

    def head(self, node: Node, size: int) -> bytes:
        """The first bytes of a file, `size` at the most, from its first extent. Raises Unreadable."""
        block, length = node.extents[0]
        return self.read_at(block * BLOCK, min(size, length))

    def piece(self, node: Node, start: int, size: int) -> bytes:
        """`size` bytes of a file from `start` on, fewer at its end. Raises Unreadable."""
        parts = []
        for block, length in node.extents:
            if start < length and size > 0:
                parts.append(self.read_at(block * BLOCK + start, min(size, length - start)))
                size -= len(parts[-1])
            start = max(start - length, 0)
        return b"".join(parts)

    def damage(self) -> Iterator[Finding]:
        """What was found while the names were listed, and files that lie outside."""
        if self.volume.size > self.size:
            yield CUT_SHORT.at(
                "the image", f"it has {self.size} bytes, and its volume descriptor says {self.volume.size}"
            )
        if self.view != "rock-ridge":
            seen = "Joliet's" if self.view == "joliet" else "plain ones of ISO 9660"
            yield PLAIN_NAMES.at("the file system", f"its names are {seen}")
        for path, reason in self._damage:
            yield DAMAGED_NAMES.at(path, reason)
        for path in self._twice:
            yield DAMAGED_NAMES.at(path, "two things have this name, and readers see one of them")
        for path in itertools.islice(self.links, _MOST_LINKS):
            there = self.resolved(path)
            if there in self.links or (there not in self.files and there not in self.folders and there):
                yield LINK.at(path, f"it leads to {self.links[path]}")
        for node in self.files.values():
            beyond = [(block, size) for block, size in node.extents if size and block * BLOCK + size > self.size]
            if beyond:
                block, size = beyond[0]
                yield OUTSIDE.at(node.path, f"its {size} bytes begin at block {block}, beyond {self.size} bytes")

    def _joliet(self) -> bytes | None:
        for number in range(1, _MOST_DESCRIPTORS):
            try:
                descriptor = self.read_at(VOLUME_DESCRIPTOR + number * BLOCK, BLOCK)
            except Unreadable:
                return None
            if descriptor[1:6] != b"CD001" or descriptor[0] == 255:
                return None
            if descriptor[0] == 2 and descriptor[88:91] in _JOLIET_ESCAPES:
                return descriptor
        return None


@contextmanager
def open_medium(path: Path) -> Iterator[Medium]:
    """The image at `path`, listed. Raises UsageError when there is none, HostError when it cannot be read.

    Raises MediumError for what is no ISO 9660 image at all.
    """
    try:
        file = path.open("rb", buffering=0)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path}: this is a folder, not an image") from error
    except OSError as error:
        raise HostError(f"{path}: cannot be read: {error.strerror or error}") from error
    with file:
        try:
            medium = Medium(path, file)
        except (ValueError, struct.error, Unreadable) as error:
            raise MediumError(f"{path}: {error}", hint="Is it an ISO image, and whole?") from error
        except OSError as error:
            raise HostError(f"{path}: cannot be read: {error.strerror or error}") from error
        yield medium


def _root_entries(image: Image) -> frozenset[bytes]:
    """What the root's own record has for system use: SUSP's mark SP (IEEE P1281, 5.3), and entries of Rock Ridge."""
    try:
        (block,) = struct.unpack_from("<I", image.root, 2)
        start = image.read(block * BLOCK, BLOCK)
        own = start[: start[0]]
        return frozenset(entry.kind for entry in image.system_use(own))
    except (ValueError, struct.error, IndexError):
        return frozenset()


def _twice(listing: Listing) -> list[str]:
    seen = Counter(node.path for node in listing.nodes)
    return [path for path, count in seen.items() if count > 1]
