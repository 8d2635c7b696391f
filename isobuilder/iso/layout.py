"""Where everything lies on the medium: the ISO 9660 and Rock Ridge structures, by pycdlib.

pycdlib decides places and makes the descriptors; no byte of a file goes through it. All of the project's use of pycdlib
is here, the inside that it does not promise included: `tests/test_iso_layout.py` lists that and fails when it changes.
"""

import importlib
import io
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, cast

from pycdlib import PyCdlib
from pycdlib.eltorito import EltoritoBootCatalog
from pycdlib.inode import Inode
from pycdlib.pycdlibexception import PyCdlibException
from pycdlib.rockridge import RockRidgeContinuationBlock

from isobuilder.errors import MediumError
from isobuilder.iso import systemarea
from isobuilder.iso.names import IsoPaths, iso_paths
from isobuilder.iso.units import BLOCK, SECTOR
from isobuilder.tree import BootRecords, Cached, Content, GrubBios, Isolinux, Late, Tree, UefiOnly

# Modules of pycdlib that read the clock or the time zone while a medium without Joliet and UDF is laid out.
CLOCKED_MODULES = ("pycdlib.pycdlib", "pycdlib.headervd", "pycdlib.dates", "pycdlib.utils")

APPENDED = "(EFI partition)/"
# Drives read ahead of what they are asked for, and the media check leaves out the last 15 blocks: mkisofs has always
# put 150 blocks of nothing behind the last file, so that neither touches one.
_PADDING = 150 * BLOCK
_FILE_MODE = 0o100644
_FOLDER_MODE = 0o40755
_BIOS_LOAD_SECTORS = 4
_UEFI_PLATFORM = 0xEF
# A file of 4 GiB and more takes several records, which pycdlib does not link.
_ONE_RECORD = 0xFFFFF800


@dataclass(frozen=True)
class Extent:
    """The bytes of one file and where they start, in bytes from the start of the medium.

    An EFI image that is no file has the path `APPENDED`, which no file can have.
    """

    path: str
    offset: int
    content: Content


@dataclass(frozen=True)
class Layout:
    """A medium that only lacks its files: `head` up to the first extent, extents in their order, `tail` at the end.

    `size` is that of the volume and of the image alike, in bytes. Between extents, and between the last one and the
    tail, there are zeros.
    """

    head: bytes
    extents: tuple[Extent, ...]
    tail: bytes
    size: int


class _Absent(io.BytesIO):
    """Stands in for a file that pycdlib is told of but never reads."""

    def __init__(self, path: str, content: Content) -> None:
        super().__init__()
        self.path = path
        self.content = content


class _Head(io.BytesIO):
    """Takes pycdlib's output up to a limit; behind it there is but the padding that pycdlib would end with."""

    def __init__(self, limit: int) -> None:
        super().__init__(bytes(limit))
        self.seek(0)
        self._limit = limit

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return super().write(data) if self.tell() + len(data) <= self._limit else len(data)


class _FixedTime:
    """What pycdlib uses of the module `time`, at one moment and in UTC."""

    gmtime = localtime = staticmethod(time.gmtime)
    strftime = staticmethod(time.strftime)

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def time(self) -> float:
        return float(self._epoch)


def lay_out(tree: Tree) -> Layout:
    """Decide where everything lies; equal trees give equal layouts, whatever the clock or the time zone.

    Raises MediumError when the tree cannot be a medium: names, boot files that are missing, a volume id too long.
    """
    _check_boot(tree)
    paths = iso_paths([*tree.files, tree.boot.catalog])
    try:
        with _pinned_clock(tree.epoch):
            iso = _described(tree, paths)
            iso.force_consistency()
            _put_late_last(iso)
            return _taken_over(iso, tree)
    except (PyCdlibException, struct.error, OverflowError) as error:
        raise MediumError(f"the medium cannot be laid out: {error}") from error


@contextmanager
def _pinned_clock(epoch: int) -> Iterator[None]:
    """Give pycdlib one moment and UTC while it makes records.

    It asks the clock wherever it makes a date, and writes the date in the local time zone; it has no parameter for the
    one or the other. Its own modules are given another `time` instead, so that the rest of the process keeps its own.
    """
    modules = [importlib.import_module(name) for name in CLOCKED_MODULES]
    fixed = _FixedTime(epoch)
    try:
        for module in modules:
            module.__dict__["time"] = fixed
        yield
    finally:
        for module in modules:
            module.__dict__["time"] = time


def _check_boot(tree: Tree) -> None:
    systemarea.check_code(tree.boot)
    lacking = [path for path in _boot_paths(tree.boot) if path not in tree.files or not tree.files[path].size]
    if lacking:
        raise MediumError("the tree lacks what firmware starts from", details=lacking)
    if not 0 < len(tree.volume_id) <= 32 or not tree.volume_id.isascii():
        raise MediumError(f"the volume id {tree.volume_id!r} must have 1 to 32 plain characters")


def _described(tree: Tree, paths: IsoPaths) -> PyCdlib:
    """The tree as pycdlib's records."""
    iso = PyCdlib()
    # Rock Ridge 1.09: with 1.12 pycdlib gives every file the same serial number, and readers take them for one file.
    # No Joliet: it would cap the volume id at 16 characters, and Linux prefers Rock Ridge anyway.
    iso.new(
        interchange_level=3,
        rock_ridge="1.09",
        sys_ident="LINUX",
        vol_ident=tree.volume_id,
        app_ident_str="ISOBUILDER",
    )
    _fill(iso, tree, paths)
    for record in iso.pvd.root_directory_record().children[:2]:
        _set_mode(record, _FOLDER_MODE)
    _set_mode(iso.get_record(iso_path=paths.files[tree.boot.catalog]), _FILE_MODE)
    return iso


def _fill(iso: PyCdlib, tree: Tree, paths: IsoPaths) -> None:
    """Add everything, each folder's files in the order of their names."""
    continuations: dict[str, list[RockRidgeContinuationBlock]] = {}

    def enter_folder_of(path: str) -> None:
        # pycdlib puts what long names continue with into whatever block has room, one of another folder too. A reader
        # that only goes forward (libarchive) then finds it behind itself; so each folder gets blocks of its own.
        iso.pvd.rr_ce_blocks = continuations.setdefault(path.rpartition("/")[0], [])

    for path, iso_path in paths.folders.items():
        enter_folder_of(path)
        iso.add_directory(iso_path, rr_name=_name(path), file_mode=_FOLDER_MODE)
    first: dict[str, str] = {}
    for path, iso_path in paths.files.items():
        if path in tree.files:
            content = tree.files[path]
            enter_folder_of(path)
            twin = first.get(content.sha256) if _may_share(path, content, tree.boot) else None
            if twin:
                iso.add_hard_link(iso_old_path=twin, iso_new_path=iso_path, rr_name=_name(path))
                continue
            absent = cast("BinaryIO", _Absent(path, content))
            iso.add_fp(absent, content.size, iso_path, rr_name=_name(path), file_mode=_FILE_MODE)
            if _may_share(path, content, tree.boot):
                first[content.sha256] = iso_path
    enter_folder_of(tree.boot.catalog)
    _add_boot_records(iso, tree, paths)
    iso.pvd.rr_ce_blocks = [block for blocks in continuations.values() for block in blocks]


def _may_share(path: str, content: Content, boot: BootRecords) -> bool:
    """Whether its bytes may lie on the medium once, for all paths that have them, as kernel and initrd do.

    Boot images are told their own place, or become partitions.
    """
    return isinstance(content, Cached) and 0 < content.size < _ONE_RECORD and path not in _boot_paths(boot)


def _put_late_last(iso: PyCdlib) -> None:
    """Give what is made last the last places; pycdlib gives them in the order of folders, one after the other."""

    def order(inode: Inode) -> tuple[bool, int]:
        return isinstance(cast("_Absent", inode.data_fp).content, Late), inode.extent_location()

    # What is empty has no place.
    inodes = sorted((inode for inode in iso.inodes if inode.get_data_length()), key=order)
    place = min(inode.extent_location() for inode in inodes)
    for inode in inodes:
        inode.set_extent_location(place)
        for record, _ in inode.linked_records:
            # A file of 4 GiB and more has several records, each with its offset.
            start = place + getattr(record, "data_extent_offset", 0)
            record.set_data_location(start, start)
        place += _blocks(inode.get_data_length())


def _boot_paths(boot: BootRecords) -> tuple[str, ...]:
    """The files that El Torito names, the one for BIOS first; an EFI image that is no file is not among them."""
    match boot:
        case Isolinux():
            return boot.image, boot.efi
        case GrubBios():
            return (boot.image,)
        case UefiOnly():
            return (boot.efi,)


def _efi_content(tree: Tree) -> Content:
    efi = tree.boot.efi
    return tree.files[efi] if isinstance(efi, str) else efi


def _add_boot_records(iso: PyCdlib, tree: Tree, paths: IsoPaths) -> None:
    catalog = tree.boot.catalog
    add = partial(iso.add_eltorito, bootcatfile=paths.files[catalog], rr_bootcatname=_name(catalog))
    if not isinstance(tree.boot, UefiOnly):
        add(paths.files[tree.boot.image], boot_load_size=_BIOS_LOAD_SECTORS)
    sectors = _blocks(_efi_content(tree).size) * BLOCK // SECTOR
    # The count has 16 bits. UEFI reads 0 as "to the end of the medium" (specification 2.10, section 13.3.2.1), which
    # an image of 32 MiB and more needs: a count that is too small would cut its file system off.
    load = sectors if sectors <= 0xFFFF else 0
    # pycdlib has an entry name a file. One for what is no file names another, until `_append` gives it its place.
    named = tree.boot.efi if isinstance(tree.boot.efi, str) else _boot_paths(tree.boot)[0]
    add(paths.files[named], boot_load_size=load, platform_id=_UEFI_PLATFORM, efi=True)


def _append(iso: PyCdlib, efi: Content, extents: Sequence[Extent]) -> Extent:
    """The EFI image behind all files, on a border of a MiB as partitions are, and told to El Torito."""
    extent = Extent(APPENDED, _aligned(_end(extents)), efi)
    catalog = cast("EltoritoBootCatalog", iso.eltorito_boot_catalog)
    catalog.sections[-1].section_entries[-1].set_data_location(extent.offset // BLOCK, 0)
    return extent


def _set_mode(record: Any, mode: int) -> None:
    """Replace the mode that pycdlib gives, without asking, to the top folder and to the boot catalog (read only)."""
    # Behind a long name the entry with the mode does not fit into the record, and goes where it continues.
    entries = record.rock_ridge
    (entries.dr_entries.px_record or entries.ce_entries.px_record).posix_file_mode = mode


def _taken_over(iso: PyCdlib, tree: Tree) -> Layout:
    """Read off what pycdlib decided, then have it write everything but the files."""
    extents = sorted(
        (
            Extent(absent.path, inode.extent_location() * BLOCK, absent.content)
            for inode in iso.inodes
            if (absent := cast("_Absent", inode.data_fp)).content.size
        ),
        key=lambda extent: extent.offset,
    )
    if not isinstance(tree.boot.efi, str):
        extents.append(_append(iso, tree.boot.efi, extents))
    size = _aligned(_end(extents) + _PADDING)
    iso.pvd.space_size = size // BLOCK
    iso.inodes = []
    head = _Head(extents[0].offset)
    iso.write_fp(head)
    area, tail = systemarea.system_area(tree.boot, _places(tree, extents, size), tree.identity)
    return Layout(area + head.getvalue()[len(area) :], tuple(extents), tail, size)


def _places(tree: Tree, extents: Sequence[Extent], size: int) -> systemarea.Places:
    starts = {extent.path: extent.offset // BLOCK for extent in extents}
    boot = tree.boot
    return systemarea.Places(
        bios=0 if isinstance(boot, UefiOnly) else starts[boot.image],
        efi=starts[boot.efi if isinstance(boot.efi, str) else APPENDED],
        efi_blocks=_blocks(_efi_content(tree).size),
        blocks=size // BLOCK,
    )


def _end(extents: Sequence[Extent]) -> int:
    return max(extent.offset + extent.content.size for extent in extents)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _blocks(size: int) -> int:
    return -(-size // BLOCK)


def _aligned(size: int) -> int:
    return -(-size // systemarea.ALIGNMENT) * systemarea.ALIGNMENT
