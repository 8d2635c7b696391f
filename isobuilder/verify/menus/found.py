"""Which menus a medium has, for each loader that could read one."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from isobuilder.bootmenu.reading.grub import Platform, read_grub
from isobuilder.bootmenu.reading.isolinux import read_isolinux
from isobuilder.bootmenu.reading.legacy import read_legacy
from isobuilder.bootmenu.reading.model import Device, Menu, decode
from isobuilder.verify.finding import Kind
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.menus.devices import EspFiles, IsolinuxDevices, MediumDevices
from isobuilder.verify.menus.gathering import Gathered

MISSING = Kind(
    "menu-missing",
    "error",
    "a loader has no menu, so that it stops at a prompt",
    "Put the menu where this loader looks for it.",
)
UNREADABLE = Kind(
    "menu-unreadable", "error", "a menu cannot be read", "Write the menu anew as plain text, and make the image anew."
)
MARKED = Kind(
    "menu-byte-order-mark",
    "warning",
    "a menu begins with a byte order mark, so that its first line is not understood",
    "Save the menu as UTF-8 without a byte order mark.",
)
STALE_COPY = Kind(
    "menu-stale-copy",
    "note",
    "a copy of a menu differs from the one that is read",
    "Remove the copy, or make it the same.",
)
KINDS = (MISSING, UNREADABLE, MARKED, STALE_COPY)

# Where isolinux looks, in its order (syslinux 6.04, core/fs/iso9660/iso9660.c; older ones know the first and second).
_ISOLINUX: Final = tuple(
    f"{folder}{name}"
    for folder in ("boot/isolinux/", "isolinux/", "boot/syslinux/", "syslinux/", "")
    for name in ("isolinux.cfg", "syslinux.cfg")
)
_BIOS_GRUB: Final = ("boot/grub2", "boot/grub")
_EFI_GRUB: Final = ("EFI/BOOT/grub.cfg", "EFI/redhat/grub.cfg", "EFI/centos/grub.cfg", "boot/grub/grub.cfg",
                    "boot/grub2/grub.cfg")  # fmt: skip
_EFI_CONF: Final = ("EFI/BOOT/BOOTX64.conf", "EFI/BOOT/BOOTIA32.conf", "EFI/BOOT/BOOT.conf")
_CPUS: Final = {"bootaa64.efi": "arm64", "bootx64.efi": "x86_64", "bootia32.efi": "i386"}
_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Found:
    """A menu with the view that its loader has; `device` is where the loader itself was started from."""

    menu: Menu
    devices: MediumDevices
    device: Device
    text: str


def find_menus(medium: Medium, esp: EspFiles | None, gathered: Gathered) -> tuple[Found, ...]:
    """Every menu that a loader of the medium would show, isolinux first."""
    finder = _Finder(medium, esp, gathered)
    found = (*finder.isolinux(), *finder.bios_grub(), *finder.efi())
    if not found and not any(True for _ in gathered.findings()):
        gathered.add(MISSING, "the medium", "it has no menu for any loader that is known")
    return found


class _Finder:
    def __init__(self, medium: Medium, esp: EspFiles | None, gathered: Gathered) -> None:
        self._medium = medium
        self._grub = MediumDevices(medium, esp)
        self._esp = esp
        self._gathered = gathered

    def isolinux(self) -> Iterator[Found]:
        """The menu of isolinux, the first that it finds."""
        devices = IsolinuxDevices(self._medium)
        for path in _ISOLINUX:
            if devices.exists("medium", path):
                if (text := self._text(devices, "medium", path)) is not None:
                    yield Found(read_isolinux(path, devices), devices, "medium", text)
                return
        loaders = [path for path in self._medium.files if path.rpartition("/")[2].lower() == "isolinux.bin"]
        if loaders:
            self._gathered.add(MISSING, loaders[0], "isolinux finds no isolinux.cfg that it can see")

    def bios_grub(self) -> Iterator[Found]:
        """The menu of GRUB for a BIOS, beside its modules."""
        for folder in _BIOS_GRUB:
            if any(path.startswith(f"{folder}/i386-pc/") for path in self._medium.files):
                if self._grub.exists("medium", f"{folder}/grub.cfg"):
                    yield from self._one(self._grub, "medium", [f"{folder}/grub.cfg"], Platform("bios", "i386"))
                else:
                    self._gathered.add(
                        MISSING, f"{folder}/grub.cfg", "GRUB's modules for a BIOS are there, and no menu"
                    )
                return

    def efi(self) -> Iterator[Found]:
        """The menus of UEFI: in the EFI image, which firmware starts, and in the tree."""
        loaders = [path for path in (self._esp.files if self._esp else ()) if path.lower().endswith(".efi")]
        inside = tuple(self._efi_menu("esp", loaders)) if self._esp else ()
        yield from inside
        in_tree = tuple(
            self._efi_menu("medium", [path for path in self._medium.files if path.lower().endswith(".efi")])
        )
        own = self._grub.exists("medium", "boot/grub/grub.cfg")
        if self._esp and loaders and not inside and not own and self._bare_of_others():
            self._gathered.add(MISSING, "EFI/BOOT in the EFI image", "it has a loader, and no menu for it")
        if in_tree:
            yield from in_tree
        elif own and not inside and (text := self._text(self._grub, "medium", "boot/grub/grub.cfg")) is not None:
            platform = Platform("uefi", _cpu(loaders))
            yield Found(read_grub("medium", "boot/grub/grub.cfg", self._grub, platform), self._grub, "medium", text)

    def _bare_of_others(self) -> bool:
        """Whether the EFI image has nothing of a loader that has no menu in a file."""
        return not any(path.strip("/").lower().startswith("loader/") for path in (self._esp.files if self._esp else ()))

    def _efi_menu(self, device: Device, loaders: Sequence[str]) -> Iterator[Found]:
        platform = Platform("uefi", _cpu(loaders))
        paths = _EFI_GRUB if device == "esp" else _EFI_GRUB[:1]
        grub = [path for path in paths if self._grub.exists(device, path)][:1]
        legacy = [path for path in _EFI_CONF if self._grub.exists(device, path)]
        if grub:
            yield from self._one(self._grub, device, grub, platform)
            self._compare_copies(device, grub[0], legacy)
        else:
            yield from self._one(self._grub, device, legacy[:1], platform)
            self._compare_copies(device, legacy[0] if legacy else "", legacy[1:])

    def _one(self, devices: MediumDevices, device: Device, paths: Sequence[str], platform: Platform) -> Iterator[Found]:
        for path in paths:
            text = self._text(devices, device, path)
            if text is None:
                continue
            if re.search(r"^[ \t]*title[ \t]", text, re.MULTILINE) and "menuentry" not in text:
                yield Found(read_legacy(device, path, devices), devices, device, text)
            else:
                yield Found(read_grub(device, path, devices, platform), devices, device, text)

    def _compare_copies(self, device: Device, path: str, copies: Sequence[str]) -> None:
        """Copies of a menu under the names of other loaders, which nothing on the medium reads."""
        for copy in copies:
            if copy.lower() != path.lower() and self._grub.text(device, copy) != self._grub.text(device, path):
                shown = self._grub.shown(device, path)
                self._gathered.add(STALE_COPY, self._grub.shown(device, copy), f"it is not the same as {shown}")

    def _text(self, devices: MediumDevices, device: Device, path: str) -> str | None:
        shown = devices.shown(device, path)
        try:
            data = devices.data(device, path)
        except Unreadable as error:
            self._gathered.add(UNREADABLE, shown, str(error))
            return None
        if data is None or b"\0" in data:
            self._gathered.add(UNREADABLE, shown, "it is no text: there are NUL bytes in it")
            return None
        if data.startswith(_MARK):
            self._gathered.add(MARKED, f"{shown}, line 1", "the first line begins with the bytes EF BB BF")
        return decode(data)


def _cpu(loaders: Sequence[str]) -> str:
    names = {path.rpartition("/")[2].lower() for path in loaders}
    return next((cpu for name, cpu in _CPUS.items() if name in names), "x86_64")
