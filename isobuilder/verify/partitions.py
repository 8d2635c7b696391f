"""What firmware finds on the medium as a disk, a USB stick mostly: the master boot record and both GPTs.

Media differ: those of 7 to 9 have isohybrid's boot record with entries that overlap each other and a GPT that lies over
the first of its own partitions; isohybrid of syslinux 4 puts the second GPT one sector in front of the last, and those
for UEFI alone have no table at all. All of that starts machines, so none of it is a finding.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from isobuilder.iso.fatreader import looks_like_fat
from isobuilder.iso.partitiontables import (
    EFI_PARTITION,
    ESP_TYPE,
    PROTECTIVE,
    Gpt,
    Mbr,
    MbrPartition,
    has_gpt,
    parse_mbr,
    read_gpt,
)
from isobuilder.iso.units import BLOCK, SECTOR
from isobuilder.verify.eltorito import FAT, GRUB, HFS, ISOLINUX, BootImage, ElTorito
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, Unreadable

_HYBRID: Final = "Make the image anew as lorax does (xorriso with -isohybrid-mbr), or run isohybrid --uefi on it again."

NO_MBR = Kind(
    "mbr-missing",
    "note",
    "the image has no master boot record, so that a BIOS does not start it from a USB stick",
    _HYBRID,
)
MBR_DAMAGED = Kind("mbr-damaged", "error", "the master boot record is damaged", _HYBRID)
MBR_ADDRESS = Kind(
    "mbr-loader-address", "error", "the master boot record looks for its loader where that does not lie", _HYBRID
)
GRUB_ADDRESS = Kind(
    "grub-boot-info",
    "error",
    "GRUB's BIOS boot image is told a wrong place of its core, so that it does not start from a disk",
    "Make the image with --grub2-boot-info.",
)
MBR_ACTIVE = Kind(
    "mbr-active", "warning", "no partition of the master boot record is active, which some BIOSes want", _HYBRID
)
MBR_PARTITION = Kind(
    "mbr-partition", "error", "a partition in the master boot record is not what it should be", _HYBRID
)
MBR_BEYOND = Kind(
    "mbr-partition-beyond",
    "warning",
    "a partition in the master boot record ends beyond the image",
    "Copy the image again; when its size is right, make it anew.",
)
PROTECTIVE_MBR = Kind(
    "mbr-protective", "error", "the partition that protects the GPT is not as UEFI demands it", _HYBRID
)
GPT_PRIMARY = Kind("gpt-primary", "error", "the GPT at the start of the image is damaged", _HYBRID)
GPT_BACKUP = Kind(
    "gpt-backup",
    "error",
    "the GPT at the end of the image is damaged or not there",
    "Copy the image again, since its end may be missing; else make it anew.",
)
GPT_PLACE = Kind(
    "gpt-backup-place",
    "warning",
    "the second GPT is not at the end of the image: something was appended",
    "Copy the image again, and compare its checksum; else make it anew.",
)
GPT_DIFFER = Kind("gpt-differ", "error", "the two GPTs do not say the same", _HYBRID)
GPT_PARTITION = Kind("gpt-partition", "error", "a partition in the GPT is not what it should be", _HYBRID)
KINDS = (
    NO_MBR, MBR_DAMAGED, MBR_ADDRESS, GRUB_ADDRESS, MBR_ACTIVE, MBR_PARTITION, MBR_BEYOND, PROTECTIVE_MBR,
    GPT_PRIMARY, GPT_BACKUP, GPT_PLACE, GPT_DIFFER, GPT_PARTITION,
)  # fmt: skip

_MBR_PLACE: Final = "the master boot record"
# In bytes: isohybrid of syslinux 4 leaves one sector, and xorriso, as mkksiso calls it, 320 KiB.
_MOST_BEHIND_GPT: Final = 768 << 10
_PER_BLOCK: Final = BLOCK // SECTOR
# Behind it come an address and the disk's id.
_CODE_SIZE: Final = 432
# What Apple's partition map begins with, for HFS+ (xorriso -hfsplus).
_APPLE: Final = b"ER"
_GRUB_CORE_AT: Final = 2548
# GRUB goes on in the second block of its boot image, and its core begins in the sixth sector.
_GRUB_SECOND, _GRUB_CORE = 4, 5
# isohybrid's boot record compares what it loaded with isolinux's magic number, and holds it for that.
_ISOHYBRID_MAGIC: Final = bytes.fromhex("fbc07870")


@dataclass(frozen=True)
class EfiPartition:
    """A partition that UEFI may start from: `name` is what findings call it; `place` and `size` are bytes."""

    name: str
    place: int
    size: int


@dataclass(frozen=True)
class Partitions:
    """How the medium starts as a disk: `bios` is the loader that the boot record goes on with, when it finds it.

    `has_code` says that it is meant to start as one.
    """

    bios: str = ""
    has_code: bool = False
    efi: tuple[EfiPartition, ...] = ()
    findings: tuple[Finding, ...] = ()


def check_partitions(medium: Medium, eltorito: ElTorito) -> Partitions:
    """Both kinds of tables, against each other, the image and what El Torito names."""
    mbr = parse_mbr(medium.read_at(0, SECTOR))
    findings: list[Finding] = []
    if not mbr.has_signature:
        if (any(mbr.code) or mbr.partitions) and not mbr.code.startswith(_APPLE):
            findings.append(MBR_DAMAGED.at(_MBR_PLACE, "it does not end in 55aa, so that nothing heeds it"))
        elif eltorito.bios:
            found = "holds a partition map of Apple" if any(mbr.code) else "is empty"
            findings.append(NO_MBR.at(_MBR_PLACE, f"the first sector {found}"))
    elif any(mbr.code) and not mbr.partitions:
        findings.append(
            MBR_DAMAGED.at(_MBR_PLACE, "it has code and no partition, so that firmware starts no disk by it")
        )
    elif not any(mbr.code[:_CODE_SIZE]) and any(partition.is_active for partition in mbr.partitions):
        findings.append(MBR_DAMAGED.at(_MBR_PLACE, "it has an active partition, and no code that would start it"))
    usable = mbr if mbr.has_signature else Mbr(b"", 0, has_signature=False, partitions=())
    bios = _bios(medium, usable, eltorito.bios, findings)
    efi = _mbr_partitions(medium, usable, eltorito, findings)
    efi += _gpts(medium, usable, eltorito, findings)
    return Partitions(bios, any(usable.code), tuple(efi), tuple(findings))


def _bios(medium: Medium, mbr: Mbr, images: Sequence[BootImage], findings: list[Finding]) -> str:
    """The loader that the boot record goes on with, empty when it finds none."""
    kind = _code(mbr.code)
    if not kind:
        return ""
    wrong = []
    # What leads to no loader was told as El Torito's fault, and says nothing about the boot record.
    images = [image for image in images if image.loader]
    addresses = [image.entry.block * _PER_BLOCK + (_GRUB_SECOND if kind == GRUB else 0) for image in images]
    if addresses and mbr.address not in addresses:
        wrong.append(
            MBR_ADDRESS.at(
                _MBR_PLACE, f"its byte 432 says sector {mbr.address}, and {kind} goes on in sector {addresses[0]}"
            )
        )
    loaders = {image.loader for image in images}
    if loaders and kind not in loaders:
        wrong.append(MBR_ADDRESS.at(_MBR_PLACE, f"its code is that for {kind}, and the boot image is {loaders.pop()}"))
    if kind == GRUB and not wrong:
        wrong += [finding for image in images for finding in _grub_core(medium, image)]
    if kind == ISOLINUX and mbr.partitions and not any(partition.is_active for partition in mbr.partitions):
        findings.append(MBR_ACTIVE.at(_MBR_PLACE, f"it has {len(mbr.partitions)} partitions, none of them active"))
    findings += wrong
    return kind if images and not wrong else ""


def _code(code: bytes) -> str:
    if _ISOHYBRID_MAGIC in code or b"isolinux.bin" in code:
        return ISOLINUX
    return GRUB if b"GRUB " in code else ""


def _grub_core(medium: Medium, image: BootImage) -> Iterator[Finding]:
    """The place that --grub2-boot-info tells the part of GRUB that a disk is started with."""
    where = image.node.path if image.node else image.name
    try:
        (told,) = struct.unpack("<Q", medium.read_at(image.place + _GRUB_CORE_AT, 8))
    except Unreadable as error:
        yield GRUB_ADDRESS.at(where, str(error))
        return
    expected = image.entry.block * _PER_BLOCK + _GRUB_CORE
    if told != expected:
        yield GRUB_ADDRESS.at(where, f"byte {_GRUB_CORE_AT} says sector {told}, and its core begins in {expected}")


def _mbr_partitions(medium: Medium, mbr: Mbr, eltorito: ElTorito, findings: list[Finding]) -> list[EfiPartition]:
    found = []
    for partition in mbr.partitions:
        where = f"{_MBR_PLACE}, partition {partition.number}"
        if partition.kind == PROTECTIVE:
            if partition.start != 1 or not partition.sectors:
                findings.append(
                    PROTECTIVE_MBR.at(
                        where, f"it begins in sector {partition.start} with {partition.sectors} sectors, and not in 1"
                    )
                )
            continue
        efi = EfiPartition(where, partition.start * SECTOR, partition.sectors * SECTOR)
        if partition.kind == EFI_PARTITION:
            wrong = _wrong_efi(medium, efi, eltorito)
            if wrong:
                findings.append(MBR_PARTITION.at(where, wrong))
            else:
                found.append(efi)
        elif efi.place >= medium.size:
            findings.append(MBR_PARTITION.at(where, f"it begins in sector {partition.start}, beyond the end"))
        elif efi.place + efi.size > medium.size:
            findings.append(MBR_BEYOND.at(where, _ends_beyond(medium, partition)))
    return found


def _ends_beyond(medium: Medium, partition: MbrPartition) -> str:
    end = partition.start + partition.sectors
    return f"it ends with sector {end - 1}, and the image with sector {medium.size // SECTOR - 1}"


def _wrong_efi(medium: Medium, partition: EfiPartition, eltorito: ElTorito) -> str:
    """Why UEFI would not start from this partition, in words; empty when it would."""
    first = partition.place // SECTOR
    if not partition.size or partition.place + partition.size > medium.size:
        return f"it has sectors {first} to {first + partition.size // SECTOR - 1}, and the image ends before that"
    if partition.place % BLOCK == 0 and looks_like_fat(medium.read_at(partition.place, SECTOR)):
        return ""
    images = [image for image in eltorito.uefi if image.loader == FAT]
    hint = f"; the EFI image begins in sector {images[0].place // SECTOR}" if images else ""
    return f"no FAT file system begins in its first sector, {first}{hint}"


def _gpts(medium: Medium, mbr: Mbr, eltorito: ElTorito, findings: list[Finding]) -> list[EfiPartition]:
    if not has_gpt(medium.read_at, 1):
        if mbr.is_protective:
            findings.append(GPT_PRIMARY.at("the GPT", "sector 1, where it should be, holds none"))
        return []
    primary = _gpt(medium, 1, "the GPT", GPT_PRIMARY, findings)
    if primary is None:
        return []
    backup = _gpt(medium, primary.other, "the second GPT", GPT_BACKUP, findings)
    if backup is not None:
        findings += _differences(primary, backup)
        last = medium.size // SECTOR - 1
        if (last - primary.other) * SECTOR > _MOST_BEHIND_GPT:
            findings.append(
                GPT_PLACE.at(
                    "the second GPT", f"it is in sector {primary.other}, and the image ends with sector {last}"
                )
            )
    return _gpt_partitions(medium, primary, eltorito, findings)


def _gpt(medium: Medium, sector: int, place: str, kind: Kind, findings: list[Finding]) -> Gpt | None:
    """The GPT in that sector, when it is sound enough to be believed."""
    try:
        gpt = read_gpt(medium.read_at, sector)
    except (Unreadable, ValueError, struct.error) as error:
        findings.append(kind.at(f"{place}, sector {sector}", str(error)))
        return None
    findings += [kind.at(f"{place}, sector {sector}", problem) for problem in gpt.problems]
    return None if gpt.problems else gpt


def _differences(primary: Gpt, backup: Gpt) -> Iterator[Finding]:
    where = "the two GPTs"
    if backup.other != primary.here:
        yield GPT_DIFFER.at(where, f"the second says that the other is in sector {backup.other}")
    if backup.disk != primary.disk:
        yield GPT_DIFFER.at(where, f"their disk has two ids, {primary.disk} and {backup.disk}")
    usable = (primary.first_usable, primary.last_usable), (backup.first_usable, backup.last_usable)
    if usable[0] != usable[1]:
        yield GPT_DIFFER.at(where, f"usable are sectors {usable[0]} by the first, {usable[1]} by the second")
    if backup.partitions != primary.partitions:
        numbers = {p.number for p in set(primary.partitions) ^ set(backup.partitions)}
        yield GPT_DIFFER.at(where, f"they differ in partition {', '.join(map(str, sorted(numbers)))}")


def _gpt_partitions(medium: Medium, gpt: Gpt, eltorito: ElTorito, findings: list[Finding]) -> list[EfiPartition]:
    """What UEFI may start from: an EFI system partition, or what lies where El Torito's EFI image does."""
    images = {image.place: image for image in eltorito.uefi}
    found = []
    for partition in gpt.partitions:
        where = f"the GPT, partition {partition.number}"
        efi = EfiPartition(where, partition.first * SECTOR, (partition.last - partition.first + 1) * SECTOR)
        if partition.kind == ESP_TYPE:
            wrong = _wrong_efi(medium, efi, eltorito)
            if wrong:
                findings.append(GPT_PARTITION.at(where, wrong))
            else:
                found.append(efi)
        elif partition.first > partition.last or efi.place >= medium.size:
            findings.append(
                GPT_PARTITION.at(where, f"it has sectors {partition.first} to {partition.last}, which are not there")
            )
        elif efi.place in images and images[efi.place].loader not in {HFS, ""}:
            found.append(efi)
    return found
