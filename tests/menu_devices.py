"""Devices for readers of menus, out of nothing but texts by path."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from isobuilder.bootmenu.reading.model import Device, decode


@dataclass
class FakeDevices:
    medium: Mapping[str, str | bytes] = field(default_factory=dict)
    esp: Mapping[str, str | bytes] = field(default_factory=dict)
    label: str = "MEDIUM"
    uuid: str = "2023-11-14-22-13-20-00"

    def _files(self, device: Device) -> Mapping[str, str | bytes]:
        return {"medium": self.medium, "esp": self.esp}.get(device, {})

    def exists(self, device: Device, path: str) -> bool | None:
        return None if device == "elsewhere" else path.strip("/") in self._files(device)

    def text(self, device: Device, path: str) -> str | None:
        found = self._files(device).get(path.strip("/"))
        return decode(found) if isinstance(found, bytes) else found

    def with_label(self, label: str) -> Device | None:
        return "medium" if label == self.label else None

    def with_uuid(self, uuid: str) -> Device | None:
        return "medium" if uuid == self.uuid else None

    def shown(self, device: Device, path: str) -> str:
        return path.strip("/") + (" in the EFI image" if device == "esp" else "")
