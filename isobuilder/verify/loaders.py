"""The programs that UEFI starts, in the EFI image and in the tree: whole, for this machine, complete, and who signed.

shim starts GRUB, which lies beside it; GRUB reads grub.cfg beside itself. 6 has GRUB 0.97 in shim's place, with a
.conf of the same name. Both are told by what they are, not by the release.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from isobuilder.verify.authenticode import Signature, signatures
from isobuilder.verify.esp import EfiImage
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.pe import EFI_APPLICATION, parse_pe

_COPY: Final = "Take the loaders again from the release's own packages or media, and make the EFI image anew with them."

MISSING = Kind("efi-loader-missing", "error", "UEFI finds no loader for its machine in the EFI image", _COPY)
NEXT_MISSING = Kind("efi-next-missing", "error", "what shim starts next is not beside it", _COPY)
MENU_MISSING = Kind(
    "efi-menu-missing",
    "error",
    "no menu is beside the loader in the EFI image, so that a USB stick ends at GRUB's prompt",
    "Put grub.cfg into EFI/BOOT of the EFI image, the same as in the tree.",
)
DAMAGED = Kind("efi-program-damaged", "error", "an EFI program is damaged", _COPY)
WRONG_MACHINE = Kind("efi-program-machine", "error", "an EFI program is for another machine than its name says", _COPY)
MOK_MISSING = Kind(
    "efi-mokmanager-missing", "note", "shim's key manager is not beside it: keys cannot be enrolled from here", _COPY
)
FONT_MISSING = Kind(
    "efi-font-missing",
    "note",
    "the EFI image lacks the font that the tree has, so that GRUB's menu is plain text",
    _COPY,
)
FALLBACK = Kind(
    "efi-fallback",
    "warning",
    "fallback (fbx64.efi) is beside shim, which starts that instead of GRUB",
    "Remove it from the EFI image and from the tree: it belongs onto installed systems.",
)
DIFFER = Kind(
    "efi-loaders-differ",
    "warning",
    "a loader in the EFI image is another one than in the tree",
    "Put the same files into EFI/BOOT of the tree and of the EFI image.",
)
UNSIGNED = Kind(
    "secure-boot-unsigned",
    "warning",
    "a loader is not signed, so that a machine with Secure Boot refuses it",
    "Take shim and GRUB as the distribution signed them.",
)
BROKEN = Kind("signature-broken", "error", "the signature of an EFI program does not hold", _COPY)
KINDS = (
    MISSING, NEXT_MISSING, MENU_MISSING, DAMAGED, WRONG_MACHINE, MOK_MISSING, FONT_MISSING, FALLBACK, DIFFER,
    UNSIGNED, BROKEN,
)  # fmt: skip

_FOLDER: Final = "EFI/BOOT"
_FONT: Final = f"{_FOLDER}/fonts/unicode.pf2"
_PROGRAM_LIMIT: Final = 32 << 20
_MOST_PROGRAMS: Final = 32


@dataclass(frozen=True)
class EfiArch:
    """An architecture as EFI names it: "BOOTX64.EFI" (UEFI 2.10, 3.5.1.1).

    Secure Boot is a matter of x86_64: loaders of the others were signed late, or by nobody that firmware knows.
    """

    name: str
    suffix: str
    has_secure_boot: bool = False


ARCHES: Final = (EfiArch("x86_64", "X64", has_secure_boot=True), EfiArch("aarch64", "AA64"), EfiArch("i386", "IA32"))


@dataclass
class Loaders:
    """`arches` that each EFI image starts, by its place; signatures by the name of each program."""

    arches: dict[int, tuple[str, ...]] = field(default_factory=dict)
    signers: dict[str, tuple[Signature, ...]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class _Program:
    """What is kept of a program; its bytes are not."""

    size: int
    sha256: bytes
    is_shim: bool
    signatures: tuple[Signature, ...]


def check_loaders(medium: Medium, images: Sequence[EfiImage], arch: str | None) -> Loaders:
    """Look at every program; `arch` is the medium's own, None when it says none."""
    loaders = Loaders()
    for image in images:
        programs = _programs_of_image(image, loaders)
        loaders.arches[image.place] = tuple(_startable(image, programs, arch, loaders))
        _compare(medium, image, programs, loaders)
    if not images:
        _check_tree(medium, {}, loaders)
    return loaders


def _programs_of_image(image: EfiImage, loaders: Loaders) -> dict[str, _Program | None]:
    """Every .efi in the image by its path in capitals; None for one that is damaged."""
    programs: dict[str, _Program | None] = {}
    for path in sorted(image.files):
        if path.upper().endswith(".EFI") and len(programs) < _MOST_PROGRAMS:
            try:
                data = image.read(path, limit=_PROGRAM_LIMIT)
            except Unreadable as error:
                loaders.findings.append(DAMAGED.at(image.inside(path), str(error)))
                programs[path.upper()] = None
            else:
                programs[path.upper()] = _program(image.inside(path), path, data, loaders)
    return programs


def _program(place: str, path: str, data: bytes, loaders: Loaders) -> _Program | None:
    try:
        pe = parse_pe(data)
    except ValueError as error:
        reason = "it is empty" if not data else "it has nothing but zeros" if not any(data) else str(error)
        loaders.findings.append(DAMAGED.at(place, reason))
        return None
    if pe.subsystem != EFI_APPLICATION:
        loaders.findings.append(DAMAGED.at(place, f"it is no EFI application: its subsystem is {pe.subsystem}"))
    by_name = _arch_of_name(path)
    if by_name is not None and by_name.name != pe.arch:
        loaders.findings.append(WRONG_MACHINE.at(place, f"it is for {pe.arch}"))
    found = signatures(data, pe)
    loaders.signers[place] = found
    for signature in found:
        if signature.fault:
            loaders.findings.append(BROKEN.at(place, f"{signature.subject}: {signature.fault}"))
    return _Program(len(data), hashlib.sha256(data).digest(), _is_shim(data), found)


def _arch_of_name(path: str) -> EfiArch | None:
    stem = path.upper().rpartition("/")[2].removesuffix(".EFI")
    return next((arch for arch in ARCHES if stem.endswith(arch.suffix)), None)


def _startable(
    image: EfiImage, programs: dict[str, _Program | None], arch: str | None, loaders: Loaders
) -> Iterator[str]:
    """The architectures whose loader in the image is whole and has what it goes on with."""
    here = [known for known in ARCHES if image.find(f"{_FOLDER}/BOOT{known.suffix}.EFI")]
    wanted = next((known for known in ARCHES if known.name == arch), None)
    if not here or (wanted is not None and wanted not in here and arch != "i386"):
        name = f"{_FOLDER}/BOOT{wanted.suffix if wanted else 'X64'}.EFI"
        there = ", ".join(f"BOOT{known.suffix}.EFI" for known in here) or "none"
        loaders.findings.append(MISSING.at(image.inside(name), f"it is not there; loaders that are: {there}"))
    for known in here:
        before = len(loaders.findings)
        first = programs.get(f"{_FOLDER}/BOOT{known.suffix}.EFI".upper())
        if first is None:
            continue
        _check_chain(image, known, first, programs, loaders)
        if not any(finding.kind.severity == "error" for finding in loaders.findings[before:]):
            yield known.name


def _check_chain(
    image: EfiImage, arch: EfiArch, first: _Program, programs: dict[str, _Program | None], loaders: Loaders
) -> None:
    """What the firmware's loader goes on with, up to the menu; and whether Secure Boot lets it."""
    suffix = arch.suffix.lower()
    boot = image.find(f"{_FOLDER}/BOOT{arch.suffix}.EFI") or ""
    is_legacy = image.find(f"{_FOLDER}/BOOT{arch.suffix}.conf") is not None
    if not is_legacy and arch.has_secure_boot and not first.signatures:
        what = "shim" if first.is_shim else "the loader that firmware starts"
        loaders.findings.append(UNSIGNED.at(image.inside(boot), f"{what} has no signature"))
    if first.is_shim:
        name = f"{_FOLDER}/grub{suffix}.efi"
        grub = programs.get(name.upper())
        if image.find(name) is None:
            loaders.findings.append(NEXT_MISSING.at(image.inside(name), "shim looks for it, and it is not there"))
        elif grub is not None and arch.has_secure_boot and first.signatures and not grub.signatures:
            loaders.findings.append(UNSIGNED.at(image.inside(name), "shim is signed, and what it starts is not"))
        if not any(image.find(f"{_FOLDER}/{mok}") for mok in (f"mm{suffix}.efi", "MokManager.efi")):
            loaders.findings.append(MOK_MISSING.at(image.inside(f"{_FOLDER}/mm{suffix}.efi"), "it is not there"))
        if image.find(f"{_FOLDER}/fb{suffix}.efi"):
            loaders.findings.append(FALLBACK.at(image.inside(f"{_FOLDER}/fb{suffix}.efi"), "it is there"))
    if not is_legacy and image.find(f"{_FOLDER}/grub.cfg") is None:
        loaders.findings.append(MENU_MISSING.at(image.inside(f"{_FOLDER}/grub.cfg"), "it is not there"))


def _is_shim(data: bytes) -> bool:
    """shim names what it starts, in UTF-16, or says what it is for the sake of revocation (SBAT)."""
    return bool(re.search(rb"g\0r\0u\0b\0(?:\w\0){2,4}\.\0e\0f\0i\0", data)) or b"\nshim," in data


def _compare(medium: Medium, image: EfiImage, programs: dict[str, _Program | None], loaders: Loaders) -> None:
    """The tree's loaders, each against the one of the same name in the image."""
    _check_tree(medium, programs, loaders, image)
    if medium.find(_FONT) is not None and image.find(_FONT) is None:
        loaders.findings.append(FONT_MISSING.at(image.inside(_FONT), "it is not there"))


def _check_tree(
    medium: Medium, programs: dict[str, _Program | None], loaders: Loaders, image: EfiImage | None = None
) -> None:
    names = [path for path in sorted(medium.files) if re.fullmatch(rf"{_FOLDER}/.*\.EFI", path, re.IGNORECASE)]
    for path in names[:_MOST_PROGRAMS]:
        if path in loaders.signers:
            continue
        node, upper = medium.files[path], path.upper()
        try:
            data = medium.content(node, limit=_PROGRAM_LIMIT)
        except Unreadable as error:
            loaders.findings.append(DAMAGED.at(path, str(error)))
            continue
        twin = programs.get(upper)
        if twin is not None and twin.sha256 == hashlib.sha256(data).digest():
            continue
        if twin is not None and image is not None:
            loaders.findings.append(
                DIFFER.at(path, f"it has {len(data)} bytes, and {image.name} another of {twin.size}")
            )
        _program(path, path, data, loaders)
