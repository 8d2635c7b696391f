"""What firmware finds on the medium as a CD: El Torito's boot record, its catalog, and the images that it names."""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from isobuilder.iso.bootcatalog import BIOS, BOOT_SYSTEM, UEFI, BootEntry, Catalog, parse_catalog
from isobuilder.iso.fatreader import looks_like_fat
from isobuilder.iso.listing import Node
from isobuilder.iso.reader import VOLUME_DESCRIPTOR
from isobuilder.iso.units import BLOCK, SECTOR
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, Unreadable

_AGAIN: Final = "Make the image anew, with the boot options that lorax's templates have."

NO_RECORD = Kind(
    "eltorito-missing",
    "error",
    "the medium has boot loaders, and no El Torito boot record that would start one",
    _AGAIN,
)
RECORD = Kind("eltorito-record", "error", "the El Torito boot record is not as firmware expects it", _AGAIN)
CATALOG = Kind("eltorito-catalog", "error", "the El Torito boot catalog is damaged", _AGAIN)
ENTRY = Kind("eltorito-entry", "error", "an El Torito entry cannot be started", _AGAIN)
IMAGE = Kind("eltorito-image", "error", "an El Torito entry leads to something that is no boot image", _AGAIN)
LOAD_SIZE = Kind(
    "eltorito-load-size",
    "error",
    "an El Torito entry loads too little of its image, or more than there is",
    "Use -boot-load-size 4 for BIOS, and the size of the whole image for UEFI; keep the EFI image below 32 MiB.",
)
PLATFORM = Kind(
    "eltorito-platform",
    "error",
    "an El Torito entry says that its image is for another firmware than it is",
    "Give the EFI image with -eltorito-alt-boot -e, and the BIOS image with -b.",
)
NO_BIOS = Kind(
    "eltorito-no-bios",
    "error",
    "the medium has a BIOS boot loader, and no El Torito entry for BIOS",
    "Make the image with -b isolinux/isolinux.bin (or GRUB's image), and what lorax gives with it.",
)
NO_UEFI = Kind(
    "eltorito-no-uefi",
    "error",
    "the medium has boot loaders for UEFI, and no El Torito entry for UEFI",
    "Make the image with -eltorito-alt-boot -e images/efiboot.img -no-emul-boot.",
)
BOOT_INFO = Kind(
    "boot-info-table",
    "error",
    "the BIOS boot image is told a wrong place, length or checksum of itself",
    "Make the image with -boot-info-table, and change the boot image only by making the image anew.",
)
KINDS = (
    NO_RECORD, RECORD, CATALOG, ENTRY, IMAGE, LOAD_SIZE, PLATFORM, NO_BIOS, NO_UEFI, BOOT_INFO,
)  # fmt: skip

ISOLINUX: Final = "isolinux"
# What isolinux.bin says of itself ("ISOLINUX 6.04").
ISOLINUX_VERSION: Final = re.compile(rb"ISOLINUX ([0-9]{1,2}\.[0-9]{1,3})(?![0-9])")
GRUB: Final = "GRUB 2"
FAT: Final = "FAT"
HFS: Final = "HFS+"

_RECORD_PLACE: Final = VOLUME_DESCRIPTOR + BLOCK
_MOST_DESCRIPTORS: Final = 32
_HYBRID_MAGIC: Final = bytes.fromhex("fbc07870")
_HEAD: Final = 64 << 10
_MOST_BOOT_IMAGE: Final = 4 << 20
# What GRUB's cdboot.img says when it fails; it is the first block of a boot image for El Torito.
_CDBOOT: Final = (b"no boot info", b"cdrom read fails")
_BIOS_LOAD: Final = 4
_SEGMENTS: Final = frozenset({0, 0x7C0})
_PLATFORMS: Final = {BIOS: "BIOS", UEFI: "UEFI"}


@dataclass(frozen=True)
class BootImage:
    """What an entry leads to: `place` in bytes, the file that begins there, and what it is by its contents.

    `loader` is one of the constants above, or empty; `version` is isolinux's ("6.04"). `works` says that nothing was
    found that would keep it from being started.
    """

    entry: BootEntry
    place: int
    node: Node | None
    loader: str
    version: str = ""
    works: bool = True

    @property
    def name(self) -> str:
        """What findings call it."""
        return f"El Torito, entry {self.entry.number} ({_PLATFORMS.get(self.entry.platform, 'other')})"


@dataclass(frozen=True)
class ElTorito:
    """The images that the entries for each firmware lead to."""

    bios: tuple[BootImage, ...] = ()
    uefi: tuple[BootImage, ...] = ()
    findings: tuple[Finding, ...] = ()


def check_eltorito(medium: Medium) -> ElTorito:
    """Everything from the boot record to the images; what stands in an EFI image is not looked at."""
    findings: list[Finding] = []
    catalog = _catalog(medium, findings)
    if catalog is None:
        return ElTorito(findings=tuple(findings))
    starts = {node.extents[0][0]: node for node in medium.files.values() if node.extents and node.size}
    images = []
    for entry in catalog.entries:
        found, wrong = _checked(medium, entry, starts)
        findings += wrong
        if found is not None:
            images.append(found)
    bios = tuple(image for image in images if image.entry.platform == BIOS)
    uefi = tuple(image for image in images if image.entry.platform == UEFI)
    findings += _absent(medium, catalog, images)
    return ElTorito(bios, uefi, tuple(findings))


def _catalog(medium: Medium, findings: list[Finding]) -> Catalog | None:
    place = _record_place(medium)
    if place is None:
        if _has_bios_loader(medium) or _has_uefi_loader(medium):
            findings.append(NO_RECORD.at("block 17", "there is no boot record volume descriptor"))
        return None
    if place != _RECORD_PLACE:
        findings.append(RECORD.at(f"block {place // BLOCK}", "firmware looks for the boot record in block 17 alone"))
    (block,) = struct.unpack("<I", medium.read_at(place + 71, 4))
    try:
        data = medium.read_at(block * BLOCK, BLOCK)
    except Unreadable as error:
        findings.append(RECORD.at(f"block {place // BLOCK}", f"it says that the catalog is in block {block}: {error}"))
        return None
    catalog = parse_catalog(data)
    findings += [CATALOG.at(f"the boot catalog, block {block}", problem) for problem in catalog.problems]
    if data[0] != 1 and data[30:32] != b"\x55\xaa":
        # Nothing of a catalog is there, so that entries read out of it would mean nothing.
        return None
    return catalog


def _record_place(medium: Medium) -> int | None:
    for number in range(1, _MOST_DESCRIPTORS):
        place = VOLUME_DESCRIPTOR + number * BLOCK
        try:
            head = medium.read_at(place, BLOCK)[:39]
        except Unreadable:
            return None
        if head[1:6] != b"CD001" or head[0] == 255:
            return None
        if head[0] == 0 and head[7:] == BOOT_SYSTEM:
            return place
    return None


def _checked(medium: Medium, entry: BootEntry, starts: dict[int, Node]) -> tuple[BootImage | None, Sequence[Finding]]:
    """The image of an entry, when anything can be said of it, and what is wrong with both."""
    place = entry.block * BLOCK
    image = BootImage(entry, place, starts.get(entry.block), "")
    if entry.indicator not in {0, 0x88}:
        return None, [ENTRY.at(image.name, f"it begins with {entry.indicator:02x}, not 88")]
    if not entry.is_bootable:
        return None, [ENTRY.at(image.name, "it is marked as not bootable")]
    try:
        head = medium.read_at(place, min(_HEAD, max(medium.size - place, 0)) or 1)
    except Unreadable as error:
        return None, [IMAGE.at(image.name, f"its image is said to be in block {entry.block}: {error}")]
    loader, version = _identified(head)
    image = BootImage(entry, place, image.node, loader, version)
    findings = [*_entry_findings(image), *_image_findings(medium, image, head)]
    if not findings and entry.platform == BIOS:
        findings = [*_load_findings(medium, image), *_boot_info_findings(medium, image)]
    if findings:
        image = BootImage(entry, place, image.node, loader, version, works=False)
    return image, findings


def _identified(head: bytes) -> tuple[str, str]:
    if head[64:68] == _HYBRID_MAGIC or b"ISOLINUX " in head[:8192]:
        version = ISOLINUX_VERSION.search(head)
        return ISOLINUX, version[1].decode() if version else ""
    if all(text in head[:BLOCK] for text in _CDBOOT):
        return GRUB, ""
    if looks_like_fat(head[:SECTOR]):
        return FAT, ""
    if head[1024:1026] in {b"H+", b"HX", b"BD"}:
        return HFS, ""
    return "", ""


def _entry_findings(image: BootImage) -> Iterator[Finding]:
    entry = image.entry
    if entry.media:
        yield ENTRY.at(image.name, f"it has firmware emulate a drive (type {entry.media}) instead of loading the image")
    if entry.platform == BIOS and entry.segment not in _SEGMENTS:
        yield ENTRY.at(image.name, f"it is loaded to segment {entry.segment:04x}, and loaders expect to be at 07c0")
    if entry.platform not in _PLATFORMS:
        yield PLATFORM.at(image.name, f"its platform is {entry.platform:02x}; BIOS is 00 and UEFI is ef")


def _image_findings(medium: Medium, image: BootImage, head: bytes) -> Iterator[Finding]:
    """What lies where the entry says, against what should lie there."""
    where = image.node.path if image.node else f"block {image.entry.block}, where no file begins"
    if not any(head):
        yield IMAGE.at(image.name, f"there are only zeros in {where}")
    elif image.entry.platform == BIOS and image.loader in {FAT, HFS}:
        yield PLATFORM.at(image.name, f"its image is {where}, a {image.loader} file system, which UEFI starts from")
    elif image.entry.platform == UEFI and image.loader in {ISOLINUX, GRUB}:
        yield PLATFORM.at(image.name, f"its image is {where}, a loader for BIOS ({image.loader})")
    elif image.entry.platform == UEFI and not image.loader:
        yield IMAGE.at(image.name, f"what is in {where} is no FAT file system")
    elif not image.loader and (image.node is None or _is_elsewhere(medium, image.node)):
        yield IMAGE.at(image.name, f"what is in {where} is neither isolinux nor GRUB")
    elif image.loader in {ISOLINUX, GRUB} and image.node is None and _known_boot_files(medium):
        other = ", ".join(f"{node.path} in block {node.extents[0][0]}" for node in _known_boot_files(medium))
        yield IMAGE.at(image.name, f"it leads to {where}, and the loader on the medium is {other}")


def _known_boot_files(medium: Medium) -> list[Node]:
    names = ("isolinux/isolinux.bin", "images/eltorito.img")
    return [node for name in names if (node := medium.find(name)) and node.extents]


def _is_elsewhere(medium: Medium, node: Node) -> bool:
    """Whether a file is not the one to start, since that is there under its own name or should be this very one."""
    return bool(_known_boot_files(medium)) or node.path.endswith((".img", ".cat", ".cfg"))


def _load_findings(medium: Medium, image: BootImage) -> Iterator[Finding]:
    sectors = image.entry.sectors
    if sectors < _BIOS_LOAD:
        yield LOAD_SIZE.at(
            image.name, f"it loads {sectors} sectors of 512 bytes; {image.loader or 'a loader'} needs {_BIOS_LOAD}"
        )
    elif image.place + sectors * SECTOR > medium.size:
        yield LOAD_SIZE.at(image.name, f"it loads {sectors} sectors of 512 bytes, beyond the end of the image")


def _boot_info_findings(medium: Medium, image: BootImage) -> Iterator[Finding]:
    """Bytes 8 to 23 of the boot image, as -boot-info-table writes them (mkisofs(8), "EL TORITO BOOT INFO TABLE")."""
    if image.loader not in {ISOLINUX, GRUB}:
        return
    where = image.node.path if image.node else image.name
    volume, block, length, told = struct.unpack("<4I", medium.read_at(image.place + 8, 16))
    if volume != VOLUME_DESCRIPTOR // BLOCK and not _is_copy(medium, volume):
        yield BOOT_INFO.at(where, f"it is told that the volume descriptor is in block {volume}, not 16")
    if block != image.entry.block:
        yield BOOT_INFO.at(where, f"it is told that it is in block {block} itself, and is in {image.entry.block}")
    size = image.node.size if image.node else length
    if length != size:
        yield BOOT_INFO.at(where, f"it is told that it has {length} bytes, and has {size}")
    if length != size or not 64 < length <= _MOST_BOOT_IMAGE:
        return
    try:
        body = medium.read_at(image.place + 64, length - 64)
    except Unreadable as error:
        yield BOOT_INFO.at(where, f"its {length} bytes cannot be read: {error}")
        return
    body += bytes(-len(body) % 4)
    if sum(struct.unpack(f"<{len(body) // 4}I", body)) & 0xFFFFFFFF != told:
        yield BOOT_INFO.at(where, "its bytes do not have the checksum that it is told: it is damaged, or was changed")


def _is_copy(medium: Medium, block: int) -> bool:
    """Whether a copy of the volume descriptor is there: xorriso, and so mkksiso, writes one behind a first session."""
    try:
        copy = medium.read_at(block * BLOCK, BLOCK)
    except Unreadable:
        return False
    return copy[:7] == medium.descriptor[:7] and copy[156:190] == medium.descriptor[156:190]


def _absent(medium: Medium, catalog: Catalog, images: Sequence[BootImage]) -> Iterator[Finding]:
    """Firmware for which the tree holds a loader, and the catalog no entry."""
    # A wrong platform or a damaged catalog was told already; that an entry is missing would be the same once more.
    if any(image.entry.platform not in _PLATFORMS for image in images) or catalog.problems:
        return
    loaders = {image.loader for image in images}
    platforms = {entry.platform for entry in catalog.entries}
    if BIOS not in platforms and not loaders & {ISOLINUX, GRUB} and _has_bios_loader(medium):
        yield NO_BIOS.at("El Torito", "no entry is for BIOS")
    if UEFI not in platforms and FAT not in loaders and _has_uefi_loader(medium):
        yield NO_UEFI.at("El Torito", "no entry is for UEFI")


def _has_bios_loader(medium: Medium) -> bool:
    return bool(_known_boot_files(medium)) or "boot/grub2/i386-pc" in medium.folders


def _has_uefi_loader(medium: Medium) -> bool:
    return medium.find("images/efiboot.img") is not None or any(
        re.fullmatch(r"EFI/BOOT/BOOT\w+\.EFI", path, re.IGNORECASE) for path in medium.files
    )
