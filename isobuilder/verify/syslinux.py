"""The files of the BIOS loaders: isolinux and its modules, and GRUB's.

isolinux 4 (6 and 7) takes modules in the COM32 format, which need nothing else; 5 and 6 take ELF modules, which name
others that they need, and cannot do without ldlinux.c32. All are looked for in the folder of isolinux.bin.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

from isobuilder.iso.listing import Node
from isobuilder.verify.eltorito import ISOLINUX, ISOLINUX_VERSION, ElTorito
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, Unreadable

_SAME: Final = "Take isolinux.bin and all .c32 files from one and the same package of syslinux."

BIN_DAMAGED = Kind("isolinux-damaged", "error", "isolinux.bin is none", _SAME)
MODULE_MISSING = Kind(
    "isolinux-module-missing", "error", "a module that isolinux or another module needs is not there", _SAME
)
MODULE_DAMAGED = Kind("isolinux-module-damaged", "error", "a module of isolinux is damaged", _SAME)
MODULE_VERSION = Kind("isolinux-module-version", "error", "a module is not for the isolinux that is beside it", _SAME)
GRUB_MISSING = Kind(
    "grub-modules-missing",
    "error",
    "GRUB for BIOS lacks modules without which it shows no menu",
    "Put all of GRUB's i386-pc .mod and .lst files into boot/grub2/i386-pc.",
)
KINDS = (BIN_DAMAGED, MODULE_MISSING, MODULE_DAMAGED, MODULE_VERSION, GRUB_MISSING)

_CORE_MODULE: Final = "ldlinux.c32"
_COM32: Final = (b"\xb8\xfe\x4c\xcd\x21", b"\x21\xcd\x4c\xfe\xb8")
_ELF: Final = b"\x7fELF"
_ELF32_LSB_386: Final = (1, 1, 3)
_MODULE_LIMIT: Final = 8 << 20
_BIN_LIMIT: Final = 4 << 20
_MOST_NEEDED: Final = 64
_MODULE_NAME: Final = re.compile(rb"([!-~]{1,64})\0")
_DYNAMIC_SEGMENT, _LOAD_SEGMENT = 2, 1
_NEEDED, _STRINGS = 1, 5
_ELF_SINCE: Final = 5
_GRUB_FOLDER: Final = "boot/grub2/i386-pc"
# GRUB asks for these to get from its core to a menu: normal mode, and which module has a command or a file system.
_GRUB_FILES: Final = ("normal.mod", "command.lst", "fs.lst")


class DamagedError(ValueError):
    """A module whose bytes are none."""


def check_syslinux(medium: Medium, eltorito: ElTorito) -> Iterator[Finding]:
    """isolinux's own files, and GRUB's, as far as they are on the medium."""
    folders = {path.rpartition("/")[0] for path in medium.files if path.endswith("isolinux.bin")}
    folders |= {i.node.path.rpartition("/")[0] for i in eltorito.bios if i.loader == ISOLINUX and i.node}
    for folder in sorted(folders):
        yield from _check_folder(medium, folder)
    yield from _check_grub(medium)


def isolinux_version(medium: Medium, node: Node) -> str | None:
    """The version that an isolinux.bin says it is of ("6.04"); None when it says none."""
    try:
        data = medium.content(node, limit=_BIN_LIMIT)
    except Unreadable:
        return None
    found = ISOLINUX_VERSION.search(data)
    return found[1].decode() if found else None


def missing_modules(medium: Medium, folder: str, name: str) -> tuple[str, ...]:
    """What is not in `folder` of a module and of all that it needs, by their names, itself among them.

    `folder` is that of isolinux.bin ("isolinux"), `name` that of a module ("vesamenu.c32"). Modules that are damaged
    count as there: `check_syslinux` tells of those.
    """
    missing: list[str] = []
    waiting, seen = [name], {name}
    while waiting and len(seen) < _MOST_NEEDED:
        wanted = waiting.pop(0)
        node = _module(medium, folder, wanted)
        if node is None:
            missing.append(wanted)
            continue
        try:
            needed = _needed(medium.content(node, limit=_MODULE_LIMIT))
        except (Unreadable, DamagedError):
            continue
        waiting += [other for other in needed if other not in seen]
        seen |= set(needed)
    return tuple(missing)


def _module(medium: Medium, folder: str, name: str) -> Node | None:
    """The file as isolinux finds it: by its plain name in whatever case, or as Linux shows it."""
    path = f"{folder}/{name}".strip("/")
    return medium.find(path) or medium.plain.get(path.upper())


def _check_folder(medium: Medium, folder: str) -> Iterator[Finding]:
    node = medium.find(f"{folder}/isolinux.bin")
    if node is None:
        return
    version = isolinux_version(medium, node)
    if version is None:
        yield BIN_DAMAGED.at(node.path, "it does not say which version of isolinux it is")
        return
    wants_elf = int(version.partition(".")[0]) >= _ELF_SINCE
    if wants_elf:
        for name in missing_modules(medium, folder, _CORE_MODULE):
            yield MODULE_MISSING.at(f"{folder}/{name}", f"isolinux {version} does not start without it")
    told: set[str] = set()
    for path, module in sorted(medium.files.items()):
        if path.rpartition("/")[0] != folder or not path.lower().endswith(".c32"):
            continue
        name = path.rpartition("/")[2]
        yield from _check_module(medium, module, version, wants_elf=wants_elf)
        if wants_elf and name != _CORE_MODULE:
            for missing in missing_modules(medium, folder, name):
                if missing not in told | {_CORE_MODULE}:
                    told.add(missing)
                    yield MODULE_MISSING.at(f"{folder}/{missing}", f"{name} needs it")


def _check_module(medium: Medium, node: Node, version: str, *, wants_elf: bool) -> Iterator[Finding]:
    try:
        data = medium.content(node, limit=_MODULE_LIMIT)
        is_elf = _is_elf(data)
        if is_elf:
            _needed(data)
    except (Unreadable, DamagedError) as error:
        yield MODULE_DAMAGED.at(node.path, str(error))
        return
    if is_elf != wants_elf:
        kind = "5 and later" if is_elf else "4 and earlier"
        yield MODULE_VERSION.at(node.path, f"it is a module for isolinux {kind}, and isolinux.bin is {version}")
        return
    # Only some modules say a version; ldlinux.c32 does, which has to be that of isolinux.bin.
    said = re.search(rb"(?:SYSLINUX|ISOLINUX|EXTLINUX|PXELINUX) (\d+\.\d+)", data)
    if said and said[1].decode() != version:
        yield MODULE_VERSION.at(node.path, f"it is of version {said[1].decode()}, and isolinux.bin of {version}")


def _is_elf(data: bytes) -> bool:
    if data[:4] == _ELF:
        return True
    if data[:5] in _COM32:
        return False
    raise DamagedError("it is empty" if not data else f"it begins with {data[:5].hex()}, as no module does")


def _needed(data: bytes) -> tuple[str, ...]:
    """The modules that an ELF module names as needed; none for a COM32 one. Raises DamagedError."""
    if not _is_elf(data):
        return ()
    try:
        kind, order, _, machine = struct.unpack_from("<BB12xHxx", data, 4)[0:2] + struct.unpack_from("<HH", data, 16)
        if (kind, order, machine) != _ELF32_LSB_386:
            raise DamagedError("it is no ELF module for 32-bit x86")
        return _needed_names(data)
    except struct.error as error:
        raise DamagedError("it ends before its own tables do") from error


def _needed_names(data: bytes) -> tuple[str, ...]:
    """By the dynamic segment (System V ABI, "Dynamic Section"): entries of a tag and a value, 32 bits each."""
    (headers_at,) = struct.unpack_from("<I", data, 28)
    size, count = struct.unpack_from("<HH", data, 42)
    segments = [struct.unpack_from("<6I", data, headers_at + number * size) for number in range(min(count, 64))]
    for kind, place, _, _, length, _ in segments:
        if kind in {_LOAD_SEGMENT, _DYNAMIC_SEGMENT} and place + length > len(data):
            raise DamagedError(f"a segment of it ends at byte {place + length}, and it has {len(data)}")
    dynamic = next((segment for segment in segments if segment[0] == _DYNAMIC_SEGMENT), None)
    if dynamic is None:
        return ()
    place, length = dynamic[1], dynamic[4]
    entries = [struct.unpack_from("<II", data, place + at) for at in range(0, length - 7, 8)]
    strings = next((value for tag, value in entries if tag == _STRINGS), None)
    load = next(
        (s for s in segments if s[0] == _LOAD_SEGMENT and strings is not None and s[2] <= strings < s[2] + s[4]), None
    )
    if strings is None or load is None:
        return ()
    names_at = strings - load[2] + load[1]
    names: list[str] = []
    for tag, value in entries:
        if tag == _NEEDED and len(names) < _MOST_NEEDED:
            name = _MODULE_NAME.match(data, names_at + value)
            if name is None:
                raise DamagedError("what it needs is no name of a module")
            names.append(name[1].decode("ascii"))
    return tuple(names)


def _check_grub(medium: Medium) -> Iterator[Finding]:
    if _GRUB_FOLDER not in medium.folders:
        if medium.find("images/eltorito.img") is not None:
            yield GRUB_MISSING.at(_GRUB_FOLDER, "the folder is not there")
        return
    for name in _GRUB_FILES:
        node = medium.find(f"{_GRUB_FOLDER}/{name}")
        if node is None:
            yield GRUB_MISSING.at(f"{_GRUB_FOLDER}/{name}", "it is not there")
        elif not node.size:
            yield GRUB_MISSING.at(f"{_GRUB_FOLDER}/{name}", "it is empty")
