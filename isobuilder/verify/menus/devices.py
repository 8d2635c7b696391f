"""The medium and its EFI image as boot loaders see them: which names each finds, and what is searched for."""

import re
from collections.abc import Collection
from typing import Final, Protocol

from isobuilder.bootmenu.reading.isolinux import EXTENSIONS
from isobuilder.bootmenu.reading.model import SIZE_LIMIT, Device, Named, decode
from isobuilder.iso.listing import Node
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.syslinux import isolinux_version

# isolinux from this version on goes by Rock Ridge where a file has it; before, by plain names alone.
_FIRST_WITH_ROCK_RIDGE: Final = 6
# Where the modification date stands in the primary volume descriptor, as digits (ECMA-119, 8.4.27).
_MODIFIED: Final = slice(830, 846)
_CREATED: Final = slice(813, 829)


class EspFiles(Protocol):
    """The files of the EFI image, a FAT: capitals do not count there. `read` raises Unreadable."""

    @property
    def files(self) -> Collection[str]: ...

    def read(self, path: str, *, limit: int) -> bytes: ...


class MediumDevices:
    """What GRUB sees of the medium, and of the EFI image when there is one."""

    def __init__(self, medium: Medium, esp: EspFiles | None) -> None:
        self.medium = medium
        self.esp = esp
        self._esp_names = {path.strip("/").lower(): path for path in (esp.files if esp else ())}
        self._folded = {path.lower(): path for path in medium.files}

    def exists(self, device: Device, path: str) -> bool | None:
        if device == "elsewhere":
            return None
        if device == "esp":
            return path.strip("/").lower() in self._esp_names
        return self.node(path) is not None

    def node(self, path: str) -> Node | None:
        """The file of the medium that this loader finds at `path`."""
        found = self.medium.find(path)
        if found is None and self.medium.view != "rock-ridge":
            found = self.medium.files.get(self._folded.get(path.strip("/").lower(), ""))
        return found

    def text(self, device: Device, path: str) -> str | None:
        try:
            data = self.data(device, path)
        except Unreadable:
            return None
        return None if data is None else decode(data)

    def data(self, device: Device, path: str) -> bytes | None:
        """The bytes of a menu; None when there is no such file. Raises Unreadable."""
        if device == "esp" and self.esp is not None:
            name = self._esp_names.get(path.strip("/").lower())
            return None if name is None else self.esp.read(name, limit=SIZE_LIMIT)
        node = self.node(path) if device == "medium" else None
        return None if node is None else self.medium.content(node, limit=SIZE_LIMIT)

    def with_label(self, label: str) -> Device | None:
        return "medium" if label == self.medium.volume.volume_id else None

    def with_uuid(self, uuid: str) -> Device | None:
        if not re.fullmatch(r"[0-9]{4}(-[0-9]{2}){6}", uuid):
            # That of another kind of file system: the EFI image's, or a disk's.
            return "elsewhere"
        return "medium" if uuid in volume_uuids(self.medium) else None

    def shown(self, device: Device, path: str) -> str:
        name = path.strip("/")
        return f"{self._esp_names.get(name.lower(), name)} in the EFI image" if device == "esp" else name

    def nearly(self, named: Named) -> str | None:
        """A file whose name differs in capitals only."""
        found = self._folded.get(named.path.lower())
        return found if found != named.path else None


class IsolinuxDevices(MediumDevices):
    """What isolinux sees of the medium: up to version 5, plain names of ISO 9660 in either case."""

    def __init__(self, medium: Medium) -> None:
        super().__init__(medium, None)
        self.version = _isolinux_major(medium)
        self._rock_ridge = bool(self.version and self.version >= _FIRST_WITH_ROCK_RIDGE and medium.view == "rock-ridge")

    def node(self, path: str) -> Node | None:
        if self.is_link(path):
            return None
        found = self.medium.find(path)
        if self._rock_ridge and (found is None or found.has_rock_ridge):
            return found
        return self.medium.plain.get("/".join(part.rstrip(".") for part in path.strip("/").upper().split("/")))

    def is_link(self, path: str) -> bool:
        """Whether there is a symbolic link at `path` or on its way; isolinux follows none."""
        plain = "/".join(part for part in path.split("/") if part not in {"", "."})
        return bool(self.medium.links) and self.medium.resolved(plain) != plain


def complete_names(path: str) -> tuple[str, ...]:
    """The names by which isolinux looks for a kernel or module."""
    return (path, *(path + extension for extension in EXTENSIONS))


def _isolinux_major(medium: Medium) -> int | None:
    """The first number of isolinux's version; None without one."""
    for path, node in medium.files.items():
        if path.rpartition("/")[2].lower() == "isolinux.bin":
            version = isolinux_version(medium, node)
            return int(version.partition(".")[0]) if version else None
    return None


def volume_uuids(medium: Medium) -> frozenset[str]:
    """What blkid and GRUB call the volume's UUID: its date of modification, and without one blkid that of creation."""
    found = set()
    for place in (_MODIFIED, _CREATED):
        digits = medium.descriptor[place]
        if re.fullmatch(rb"[0-9]{16}", digits) and digits.strip(b"0"):
            text = digits.decode()
            found.add("-".join([text[:4], *(text[at : at + 2] for at in range(4, 16, 2))]))
            break
    return frozenset(found)
