"""Where two images differ first: the file and the place in it, or what else of an image is there."""

from typing import Final

from isobuilder.iso.listing import Node
from isobuilder.iso.units import BLOCK
from isobuilder.progress import Progress
from isobuilder.verify.medium import Medium

_CHUNK: Final = 1 << 20
_SYSTEM_AREA: Final = 16 * BLOCK


def first_difference(one: Medium, other: Medium, progress: Progress) -> str | None:
    """In words where `one` differs first from `other`, which is as it should be; None when every bit is the same.

    That is the first file, in the order in which files lie, that is missing or other. Only where all files are alike
    it is the byte of the image: tables, directories and checksums follow from files.
    """
    place = _first_byte(one, other, progress)
    if place is None and one.size == other.size:
        return None
    for node in sorted(other.files.values(), key=_place):
        found = one.files.get(node.path)
        if found is None:
            return f"{node.path} is not on it"
        if (at := _first_byte_of(one, found, other, node)) is not None:
            where = f"byte {_on_image(found, at)} of the image" if at < found.size else "its end"
            return f"{node.path} differs at byte {at} ({where}); {found.size} bytes, and {node.size} as it should be"
    if more := sorted(one.files.keys() - other.files.keys()):
        return f"{more[0]} should not be on it"
    if place is None:
        return f"it has {one.size} bytes, and {other.size} as it should be"
    return f"no file differs; byte {place} of the image does, in {_part(place, other)}"


def _place(node: Node) -> tuple[int, str]:
    return (node.extents[0][0] if node.extents else 0, node.path)


def _first_byte(one: Medium, other: Medium, progress: Progress) -> int | None:
    """The first byte in which images differ, as far as both go."""
    size = min(one.size, other.size)
    with progress.task("Comparing", size) as advance:
        for place in range(0, size, _CHUNK):
            length = min(_CHUNK, size - place)
            pieces = one.read_at(place, length), other.read_at(place, length)
            if pieces[0] != pieces[1]:
                return place + _apart(*pieces)
            advance(length)
    return None


def _first_byte_of(one: Medium, node: Node, other: Medium, wanted: Node) -> int | None:
    """The first byte in which two files differ, the end of the shorter one included; links are compared as such."""
    if (node.is_plain, node.target, node.is_folder) != (wanted.is_plain, wanted.target, wanted.is_folder):
        return 0
    for place in range(0, max(node.size, wanted.size), _CHUNK):
        pieces = one.piece(node, place, _CHUNK), other.piece(wanted, place, _CHUNK)
        if pieces[0] != pieces[1]:
            return place + _apart(*pieces)
    return None


def _apart(one: bytes, other: bytes) -> int:
    """The first place in which they differ; the end of the shorter one where that begins the other."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _on_image(node: Node, place: int) -> int:
    for block, size in node.extents:
        if place < size:
            return block * BLOCK + place
        place -= size
    return 0


def _part(place: int, medium: Medium) -> str:
    if place < _SYSTEM_AREA:
        return "the boot code and partition tables at its start"
    if place < _SYSTEM_AREA + BLOCK:
        return "the volume descriptor"
    first = min((node.extents[0][0] * BLOCK for node in medium.files.values() if node.size), default=0)
    last = max((block * BLOCK + size for node in medium.files.values() for block, size in node.extents), default=0)
    if place < first:
        return "the directories"
    return "what lies between files" if place < last else "what lies behind the last file"
