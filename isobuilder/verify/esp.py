"""The EFI images of a medium: the FAT file systems that El Torito's entries and the partitions lead UEFI to.

There is one, mostly, that all of them lead to; whatever else is led to is read as well.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from isobuilder.iso.fatreader import FatVolume
from isobuilder.iso.units import BLOCK, SECTOR
from isobuilder.verify.eltorito import FAT, ElTorito
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.partitions import Partitions

_AGAIN: Final = "Make the EFI image anew (mkfs.msdos and mtools, or lorax's mkefiboot), and the medium with it."

UNREADABLE = Kind("efi-image-unreadable", "error", "the EFI image is no FAT file system that can be read", _AGAIN)
DAMAGED = Kind("efi-image-damaged", "error", "the file system of the EFI image is damaged", _AGAIN)
CUT_OFF = Kind(
    "efi-image-cut",
    "error",
    "the EFI image is larger than what firmware is told of it, or than what is there",
    "Make the image anew, with the EFI image as it is now; keep that below 32 MiB, or tell El Torito a size of 0.",
)
KINDS = (UNREADABLE, DAMAGED, CUT_OFF)


@dataclass(frozen=True)
class EfiImage:
    """A FAT image that is open for reading. `files` are its files by their paths as spelled there, and their sizes.

    `place` is in bytes; `name` is what findings call it; `on_cd` and `on_disk` say how firmware comes to it.
    """

    name: str
    place: int
    on_cd: bool
    on_disk: bool
    files: Mapping[str, int]
    _volume: FatVolume = field(repr=False, compare=False)

    def find(self, path: str) -> str | None:
        """The path of a file as it is spelled there, given in whatever case, as firmware looks for it."""
        found = self._volume.find(path)
        return found.path if found else None

    def read(self, path: str, *, limit: int) -> bytes:
        """The bytes of the file at `path`. Raises Unreadable when it is not there, damaged, or above `limit`."""
        try:
            data = self._volume.read(path, limit)
        except (LookupError, ValueError) as error:
            raise Unreadable(str(error.args[0])) from error
        file = self._volume.find(path)
        if file is not None and len(data) != file.size:
            raise Unreadable(f"it has {file.size} bytes, and only {len(data)} are there")
        return data

    def inside(self, path: str) -> str:
        """How findings name a file in it."""
        return f"{self.name}: {path}"


@dataclass
class _Place:
    """A place that something leads to, and how many bytes each of those says are there."""

    name: str
    limits: list[tuple[str, int]] = field(default_factory=list)
    on_cd: bool = False
    on_disk: bool = False


def check_efi_images(
    medium: Medium, eltorito: ElTorito, partitions: Partitions
) -> tuple[tuple[EfiImage, ...], tuple[Finding, ...]]:
    """Every EFI image that can be read, the one that a CD is started from first; and what is wrong with them."""
    images = []
    findings: list[Finding] = []
    for place, known in _places(medium, eltorito, partitions).items():
        try:
            volume = FatVolume(lambda at, size, place=place: medium.read_at(place + at, size))  # type: ignore[misc]
        except (ValueError, struct.error, Unreadable) as error:
            findings.append(UNREADABLE.at(known.name, str(error)))
            continue
        files = MappingProxyType({path: file.size for path, file in volume.files.items()})
        images.append(EfiImage(known.name, place, known.on_cd, known.on_disk, files, volume))
        findings += _damage(known, volume)
        findings += _cut(known, volume)
    return tuple(images), tuple(findings)


def _damage(known: _Place, volume: FatVolume) -> Iterator[Finding]:
    for path, reason in volume.damage:
        yield DAMAGED.at(f"{known.name}: {path}", reason)


def _cut(known: _Place, volume: FatVolume) -> Iterator[Finding]:
    short = [f"{what} {size}" for what, size in known.limits if size < volume.size]
    if short:
        yield CUT_OFF.at(known.name, f"its file system has {volume.size} bytes; {', '.join(short)}")


def _places(medium: Medium, eltorito: ElTorito, partitions: Partitions) -> Mapping[int, _Place]:
    places: dict[int, _Place] = {}
    for image in eltorito.uefi:
        if image.loader != FAT:
            continue
        known = places.setdefault(image.place, _Place(image.node.path if image.node else "the EFI image"))
        known.on_cd = True
        # UEFI 2.10, 13.3.2.1: with a count of 0 or 1 the image goes on to the end of the medium.
        if image.entry.sectors > 1:
            known.limits.append((f"{image.name} has", image.entry.sectors * SECTOR))
        if image.node:
            known.limits.append(("its file has", image.node.size))
    for partition in partitions.efi:
        known = places.setdefault(partition.place, _Place(_partition_name(medium, partition.place, places)))
        known.on_disk = True
        known.limits.append((f"{partition.name} has", partition.size))
    for place, known in places.items():
        known.limits.append(("up to the end of the medium there are", medium.size - place))
    return places


def _partition_name(medium: Medium, place: int, places: Mapping[int, _Place]) -> str:
    node = next((n for n in medium.files.values() if n.extents and n.size and n.extents[0][0] * BLOCK == place), None)
    if node is not None:
        return node.path
    return "the EFI image" if not places else f"the EFI image in sector {place // SECTOR}"
