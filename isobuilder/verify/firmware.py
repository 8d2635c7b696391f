"""Everything that firmware and loaders read before a menu: run as one, and told as one value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from isobuilder.iso.units import SECTOR
from isobuilder.verify import eltorito as el
from isobuilder.verify import esp, kernels, loaders, partitions, syslinux
from isobuilder.verify.authenticode import Signature
from isobuilder.verify.eltorito import ElTorito, check_eltorito
from isobuilder.verify.esp import EfiImage, check_efi_images
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.kernels import check_kernels
from isobuilder.verify.loaders import Loaders, check_loaders
from isobuilder.verify.medium import Medium
from isobuilder.verify.partitions import Partitions, check_partitions
from isobuilder.verify.syslinux import check_syslinux

NO_EFI_PARTITION = Kind(
    "usb-no-uefi",
    "warning",
    "no partition holds the EFI image, so that much firmware does not start a USB stick by UEFI",
    "Make the image with -isohybrid-gpt-basdat, or run isohybrid with --uefi.",
)
KINDS = (
    *el.KINDS, *partitions.KINDS, NO_EFI_PARTITION, *esp.KINDS, *loaders.KINDS, *syslinux.KINDS, *kernels.KINDS,
)  # fmt: skip


@dataclass(frozen=True)
class Firmware:
    """How machines start from the medium, and what is wrong with that.

    `starts` are in words ("BIOS from CD (isolinux 6.04)"), `esp` the EFI image that a CD is started from, `signers`
    the signatures of each EFI program by where it is, `command_line_limits` in bytes by the path of a kernel.
    """

    findings: tuple[Finding, ...]
    esp: EfiImage | None
    starts: tuple[str, ...]
    signers: Mapping[str, tuple[Signature, ...]]
    command_line_limits: Mapping[str, int]


def check_firmware(medium: Medium, arch: str) -> Firmware:
    """Run every check of this room; raises nothing for what stands on the medium.

    `arch` is the one that the medium says it is for ("x86_64"), "" where it says none.
    """
    found = check_eltorito(medium)
    tables = check_partitions(medium, found)
    images, wrong = check_efi_images(medium, found, tables)
    programs = check_loaders(medium, images, arch or None)
    kinds = check_kernels(medium, arch or None)
    findings = (
        *found.findings,
        *tables.findings,
        *wrong,
        *programs.findings,
        *_efi_partition(tables, images),
        *check_syslinux(medium, found),
        *kinds.findings,
    )
    damaged = {image.place for image in images if any(f.place.startswith(image.name) for f in wrong)}
    return Firmware(
        findings,
        images[0] if images else None,
        tuple(_starts(found, tables, tuple(image for image in images if image.place not in damaged), programs)),
        programs.signers,
        kinds.limits,
    )


def _efi_partition(tables: Partitions, images: tuple[EfiImage, ...]) -> Iterator[Finding]:
    """A medium that is made to start from USB by BIOS, but not by UEFI; those of 6 (GRUB 0.97) never did."""
    if not tables.has_code or tables.efi or tables.findings or not images:
        return
    if any(path.upper().endswith(".CONF") for path in images[0].files):
        return
    yield NO_EFI_PARTITION.at("the partition tables", f"the EFI image begins in sector {images[0].place // SECTOR}")


def _starts(found: ElTorito, tables: Partitions, images: tuple[EfiImage, ...], programs: Loaders) -> Iterator[str]:
    bios = next((image for image in found.bios if image.works), None)
    if bios is not None:
        loader = f"{bios.loader} {bios.version}".strip()
        yield f"BIOS from CD ({loader})" if loader else "BIOS from CD"
        if tables.bios:
            yield f"BIOS from USB ({loader})"
    for way, on in (("CD", [i for i in images if i.on_cd]), ("USB", [i for i in images if i.on_disk])):
        arches = dict.fromkeys(arch for image in on for arch in programs.arches.get(image.place, ()))
        yield from (f"UEFI {arch} from {way}" for arch in arches)
