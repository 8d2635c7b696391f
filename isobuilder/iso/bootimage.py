"""What firmware loads from a medium: the FAT image of UEFI, and what the image of BIOS is told of its place.

The FAT image is made anew for each medium, since a grown menu may not fit the one that a tree brings. This module
touches no disk and asks no tool.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from isobuilder.errors import MediumError
from isobuilder.iso import fat
from isobuilder.iso.units import BLOCK, SECTOR

_SECTORS_PER_TRACK = 32
_HEADS = 64
_ROOT_ENTRIES = 512
_ROOT_SECTORS = _ROOT_ENTRIES * fat.ENTRY_SIZE // SECTOR
_RESERVED_SECTORS = 1
_COPIES = 2
_MEDIA = 0xF8
_END_OF_CHAIN = 0xFFFF
# A reader tells FAT12, 16 and 32 apart by the number of clusters alone, and some readers count wrongly by a few:
# the specification advises to stay sixteen clusters away from the limits 4085 and 65525.
_MIN_CLUSTERS = 4085 + 16
_MAX_CLUSTERS = 65525 - 16
_CLUSTER_SECTORS = (1, 2, 4, 8, 16, 32, 64)
# INT 18h gives the turn back to the BIOS, for the machine that starts this as a disk.
_BOOT_CODE = b"\xcd\x18\xeb\xfe"

_BOOT_INFO = slice(8, 64)
_VOLUME_DESCRIPTOR = 16
# GRUB's image is cdboot.img (one block), diskboot.img (one sector of a disk) and the core. The list of diskboot.img, at
# its byte 500, says where on the disk the core begins: BIOS has no other way to tell when it started a disk.
_GRUB_CORE = struct.Struct("<Q")
_GRUB_CORE_OFFSET = 2548
_GRUB_CORE_SECTOR = 5

_Folder = dict[str, "bytes | _Folder"]


@dataclass(frozen=True)
class _Geometry:
    """What the boot sector says: all in sectors of 512 bytes but `clusters`."""

    cluster_sectors: int
    fat_sectors: int
    clusters: int
    sectors: int

    @property
    def cluster_size(self) -> int:
        return self.cluster_sectors * SECTOR


class _Data:
    """The clusters as they fill up, and the chain through each file."""

    def __init__(self, cluster_size: int) -> None:
        self.cluster_size = cluster_size
        self.chains = [0xFF00 | _MEDIA, _END_OF_CHAIN]
        self.chunks: dict[int, bytes] = {}

    def reserve(self, size: int) -> int:
        """The first cluster of a new chain that holds `size` bytes; 0 when there is nothing to hold."""
        count = -(-size // self.cluster_size)
        if not count:
            return 0
        first = len(self.chains)
        self.chains += [*range(first + 1, first + count), _END_OF_CHAIN]
        return first

    def put(self, cluster: int, data: bytes) -> None:
        if data:
            self.chunks[cluster] = data


def fat_image(files: Mapping[str, bytes], *, label: str, epoch: int, identity: str) -> bytes:
    """A FAT file system that holds `files` (path with "/" to bytes), as the bytes of an image.

    It is always FAT16: UEFI has every firmware read FAT12, 16 and 32 from removable media (specification 2.10, section
    13.3), one of them is easier to prove than three, and FAT32 would begin at 33 MB. The size fits the files, from
    about 2 MB (the least that is FAT16) to 2 GB, in steps of 16 KiB. `label` has up to 11 characters, `epoch` dates
    everything (UTC), and the volume's serial number comes from `identity`: same arguments, same bytes.

    Raises MediumError when a name cannot be, two names differ by case alone, or the files are too many or too large.
    """
    root = _folders(files)
    geometry = _geometry(root)
    data = _Data(geometry.cluster_size)
    stamp = fat.Stamp.at(epoch)
    volume = _volume_label(label)
    entries = fat.entry(volume, fat.READ_ONLY_LABEL, stamp) + _store(root, data, stamp, parent=0)
    if len(entries) > _ROOT_ENTRIES * fat.ENTRY_SIZE:
        raise MediumError("the top folder of the boot image holds too many files", hint="Put them into a folder.")
    serial = hashlib.sha256(identity.encode()).digest()[:4]
    table = struct.pack(f"<{len(data.chains)}H", *data.chains).ljust(geometry.fat_sectors * SECTOR, b"\0")
    image = bytearray(geometry.sectors * SECTOR)
    head = _boot_sector(geometry, serial, volume) + table * _COPIES + entries
    image[: len(head)] = head
    start = (_RESERVED_SECTORS + _COPIES * geometry.fat_sectors + _ROOT_SECTORS) * SECTOR
    for cluster, chunk in data.chunks.items():
        offset = start + (cluster - 2) * geometry.cluster_size
        image[offset : offset + len(chunk)] = chunk
    return bytes(image)


def with_boot_info(image: bytes, *, block: int) -> bytes:
    """The BIOS boot image with the table that tells it where it lies: `block` is its first, of 2048 bytes.

    Bytes 8 to 63: the place of the volume descriptor, of the image, its length in bytes, the sum of its 32-bit words
    from byte 64 on, and 40 bytes of zeros, as the option -boot-info-table of mkisofs writes them. MediumError when the
    image is too short to hold the table.
    """
    if len(image) <= _BOOT_INFO.stop:
        raise MediumError(f"the BIOS boot image has {len(image)} bytes; that is too short to be one")
    body = image[_BOOT_INFO.stop :]
    words = struct.unpack(f"<{-(-len(body) // 4)}I", body + bytes(-len(body) % 4))
    table = struct.pack("<4I40x", _VOLUME_DESCRIPTOR, block, len(image), sum(words) & 0xFFFFFFFF)
    return image[: _BOOT_INFO.start] + table + body


def with_grub_boot_info(image: bytes, *, block: int) -> bytes:
    """GRUB's BIOS boot image as `with_boot_info` gives it, and with the place of its core for those who start a disk.

    64 bits at 2548, as the option --grub2-boot-info of xorriso writes them: the number of the disk's sector of 512
    bytes that holds the image's sixth. MediumError when the image is too short for that.
    """
    end = _GRUB_CORE_OFFSET + _GRUB_CORE.size
    if len(image) <= end:
        raise MediumError(f"the BIOS boot image has {len(image)} bytes; that is too short to be GRUB's")
    place = _GRUB_CORE.pack(block * (BLOCK // SECTOR) + _GRUB_CORE_SECTOR)
    return with_boot_info(image[:_GRUB_CORE_OFFSET] + place + image[end:], block=block)


def _folders(files: Mapping[str, bytes]) -> _Folder:
    """The tree that the paths span; every name checked, and no two that FAT would take for one."""
    root: _Folder = {}
    for path, data in sorted(files.items()):
        *folders, name = path.split("/")
        here = root
        for folder in folders:
            fat.check_name(folder, path)
            below = here.setdefault(folder, {})
            if not isinstance(below, dict):
                raise MediumError(f"the boot image would hold {folder!r} as a file and as a folder", details=[path])
            here = below
        fat.check_name(name, path)
        if name in here:
            raise MediumError(f"the boot image would hold {name!r} as a file and as a folder", details=[path])
        here[name] = data
    for folder_path, folder_names in _names(root, ""):
        _check_case(folder_path, folder_names)
    return root


def _names(folder: _Folder, path: str) -> Iterator[tuple[str, list[str]]]:
    yield path or "/", list(folder)
    for name, below in folder.items():
        if isinstance(below, dict):
            yield from _names(below, f"{path}/{name}")


def _check_case(path: str, names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.upper(), name)
        if other != name:
            raise MediumError(
                f"the boot image cannot hold {other!r} and {name!r} in {path}",
                hint="A FAT file system takes names that differ by case alone for one.",
            )


def _geometry(root: _Folder) -> _Geometry:
    """The smallest clusters with which everything fits into FAT16, and the sizes that follow from it."""
    sizes = list(_sizes(root))
    for cluster_sectors in _CLUSTER_SECTORS:
        need = sum(-(-size // (cluster_sectors * SECTOR)) for size in sizes)
        if need <= _MAX_CLUSTERS - _SECTORS_PER_TRACK:
            return _geometry_for(cluster_sectors, max(need, _MIN_CLUSTERS))
    raise MediumError(
        f"the boot image would hold {sum(sizes):,} bytes, more than the 2 GB of FAT16",
        hint="Only the loader and its menu belong there; the kernel is read from the medium itself.",
    )


def _geometry_for(cluster_sectors: int, need: int) -> _Geometry:
    """Whole tracks, since some tools refuse an image that ends within one; what that adds becomes free clusters."""
    fat_sectors = -(-(need + _SECTORS_PER_TRACK + 2) * 2 // SECTOR)
    before = _RESERVED_SECTORS + _COPIES * fat_sectors + _ROOT_SECTORS
    sectors = -(-(before + need * cluster_sectors) // _SECTORS_PER_TRACK) * _SECTORS_PER_TRACK
    return _Geometry(cluster_sectors, fat_sectors, (sectors - before) // cluster_sectors, sectors)


def _sizes(folder: _Folder, *, top: bool = True) -> Iterator[int]:
    """The bytes of every file and folder below, the top folder left out: it has a place of its own."""
    if not top:
        yield 2 * fat.ENTRY_SIZE + _entries_size(folder)
    for below in folder.values():
        if isinstance(below, dict):
            yield from _sizes(below, top=False)
        else:
            yield len(below)


def _entries_size(folder: _Folder) -> int:
    shorts = fat.short_names(folder)
    return sum(len(fat.long_entries(name, shorts[name])) + fat.ENTRY_SIZE for name in folder)


def _store(folder: _Folder, data: _Data, stamp: fat.Stamp, *, parent: int) -> bytes:
    """Lay the folder's files and folders down; returns the entries that name them. `parent` is its own cluster."""
    shorts = fat.short_names(folder)
    entries = []
    for name, below in sorted(folder.items()):
        entries.append(fat.long_entries(name, shorts[name]))
        if isinstance(below, dict):
            cluster = data.reserve(2 * fat.ENTRY_SIZE + _entries_size(below))
            dots = fat.entry(b".".ljust(11), fat.FOLDER, stamp, cluster)
            dots += fat.entry(b"..".ljust(11), fat.FOLDER, stamp, parent)
            data.put(cluster, dots + _store(below, data, stamp, parent=cluster))
            entries.append(fat.entry(shorts[name], fat.FOLDER, stamp, cluster))
        else:
            cluster = data.reserve(len(below))
            data.put(cluster, below)
            entries.append(fat.entry(shorts[name], fat.ARCHIVE, stamp, cluster, len(below)))
    return b"".join(entries)


def _volume_label(label: str) -> bytes:
    text = label.upper()
    if not text.isascii() or not 0 < len(text) <= 11 or not text.replace("-", "").replace("_", "").isalnum():
        raise MediumError(f"the boot image cannot be labelled {label!r}", hint="1 to 11 of A-Z, 0-9, - and _.")
    return text.encode("ascii").ljust(11)


def _boot_sector(geometry: _Geometry, serial: bytes, volume: bytes) -> bytes:
    small = geometry.sectors if geometry.sectors < 1 << 16 else 0
    sector = struct.pack(
        "<3s8sHBHBHHBHHHIIBBB4s11s8s",
        b"\xeb\x3c\x90",
        b"MSWIN4.1",  # what the specification advises: some readers know no other maker
        SECTOR,
        geometry.cluster_sectors,
        _RESERVED_SECTORS,
        _COPIES,
        _ROOT_ENTRIES,
        small,
        _MEDIA,
        geometry.fat_sectors,
        _SECTORS_PER_TRACK,
        _HEADS,
        0,
        0 if small else geometry.sectors,
        0x80,
        0,
        0x29,
        serial,
        volume,
        b"FAT16   ",
    )
    return (sector + _BOOT_CODE).ljust(SECTOR - 2, b"\0") + b"\x55\xaa"
