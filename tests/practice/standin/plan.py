"""What a kickstart's storage commands come to on the disks of a machine: sizes and places, and nothing is written.

Sizes are MiB. Growing follows blivet: what is left goes to those that grow, in proportion to their size, each up to its
--maxsize.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pykickstart.constants import CLEARPART_TYPE_ALL

from .tools import FailureError

EXTENT = 4
# Before the first partition, and behind the last: partition tables, and a GRUB for BIOS.
_MARGIN = 1
# At the start of a physical volume: LVM's own data.
_LVM_MARGIN = 1
_ESP_SIZES = (200, 600)
_BIOS_PARTITION = 1
_MOST_OF_DOS = 4
# What a file system's label may be at most, and the smallest that its tool makes.
LABEL_LIMITS = {"xfs": 12, "ext4": 16, "efi": 11, "vfat": 11, "swap": 15}
_SMALLEST = {"xfs": 300, "efi": 50}
_DEFAULT = "xfs"
_NO_FILE_SYSTEM = ("biosboot", "lvm")


@dataclass(frozen=True)
class Disk:
    """A disk of the machine. `table` is the kind of its partition table, or None; size in MiB."""

    name: str
    size: int
    table: str | None = None


@dataclass(frozen=True)
class Volume:
    """Something to make: a partition of `disk`, or a logical volume of `group`, each other empty."""

    device: str
    mountpoint: str
    kind: str
    size: int
    label: str = ""
    disk: str = ""
    number: int = 0
    group: str = ""
    name: str = ""


@dataclass(frozen=True)
class Group:
    """A volume group: its physical volumes by their devices."""

    name: str
    members: Sequence[str]


@dataclass(frozen=True)
class Layout:
    """What is made. `tables` has the partition table of each disk that gets one: "gpt" or "dos"."""

    tables: Mapping[str, str]
    partitions: Sequence[Volume]
    groups: Sequence[Group] = ()
    logical: Sequence[Volume] = ()

    @property
    def mounted(self) -> list[Volume]:
        """All that have a place in the file system, those of folders above others first."""
        volumes = [one for one in (*self.partitions, *self.logical) if one.mountpoint.startswith("/")]
        return sorted(volumes, key=lambda one: one.mountpoint.rstrip("/").split("/"))

    @property
    def swap(self) -> list[Volume]:
        return [one for one in (*self.partitions, *self.logical) if one.kind == "swap"]

    def at(self, mountpoint: str) -> Volume | None:
        return next((one for one in self.mounted if one.mountpoint == mountpoint), None)


@dataclass
class _Wish:
    """One that is asked for, while its size is sought."""

    size: int
    grows: bool = False
    most: int = 0
    data: Any = field(default=None, repr=False)
    kind: str = ""


def is_asked_for(commands: frozenset[str]) -> bool:
    """Whether a kickstart says what to do with disks; else a person would be asked."""
    return not commands.isdisjoint({"part", "partition", "logvol", "volgroup"})


def make_layout(handler: Any, disks: Sequence[Disk], *, uefi: bool, memory: int) -> Layout:
    """What the storage commands come to. `memory` is the machine's, in MiB.

    Raises FailureError: no such disk, one that is not empty or too small, what has no place, labels that are too long.
    """
    ready = {disk.name: disk for disk in disks}
    parts = handler.partition.partitions
    by_disk: dict[str, list[_Wish]] = {}
    if handler.reqpart.reqpart:
        boot = handler.bootloader.bootDrive or _only(ready, handler)
        required = _required(_table(ready[boot], uefi=uefi), uefi=uefi)
        by_disk[boot] = required
    members: dict[str, str] = {}
    for data in parts:
        name = data.disk or _only(ready, handler)
        if name not in ready:
            raise FailureError(f"line {data.lineno}: there is no disk {name}; there are {_listed(ready)}")
        by_disk.setdefault(name, []).append(_part(data, ready[name], memory))
    partitions: list[Volume] = []
    tables = {}
    for name, wishes in by_disk.items():
        _refuse_used(handler, ready[name])
        tables[name] = _table(ready[name], uefi=uefi)
        partitions += _partition(ready[name], wishes, tables[name], members)
    groups, logical = _volumes(handler, {one.device: one for one in partitions}, members, ready, memory)
    layout = Layout(tables, partitions, groups, logical)
    _check(layout, uefi=uefi)
    return layout


def _only(disks: Mapping[str, Disk], handler: Any) -> str:
    names = [name for name in disks if name in (handler.ignoredisk.onlyuse or disks)]
    names = [name for name in names if name not in handler.ignoredisk.ignoredisk]
    if len(names) != 1:
        raise FailureError(f"which disk is meant? --ondisk names none, and there are {_listed(disks)}")
    return names[0]


def _listed(disks: Mapping[str, Disk]) -> str:
    return ", ".join(disks) or "none"


def _table(disk: Disk, *, uefi: bool) -> str:
    # As on CentOS up to 9: a BIOS gets an MBR, unless the disk is too large for one.
    return "gpt" if uefi or disk.size > 2 << 20 else "dos"


def _required(table: str, *, uefi: bool) -> list[_Wish]:
    if uefi:
        least, most = _ESP_SIZES
        return [_Wish(least, grows=True, most=most, kind="efi")]
    return [_Wish(_BIOS_PARTITION, kind="biosboot")] if table == "gpt" else []


def _refuse_used(handler: Any, disk: Disk) -> None:
    clearing = handler.clearpart
    cleared = clearing.type == CLEARPART_TYPE_ALL and disk.name in (clearing.drives or [disk.name])
    if handler.ignoredisk.onlyuse and disk.name not in handler.ignoredisk.onlyuse:
        raise FailureError(f"{disk.name} is not among the disks of ignoredisk --only-use")
    if disk.name in handler.ignoredisk.ignoredisk:
        raise FailureError(f"{disk.name} is to be ignored, by ignoredisk --drives")
    if disk.table is None and not handler.zerombr.zerombr and not (cleared and clearing.initAll):
        raise FailureError(
            f"{disk.name} has no partition table, and neither zerombr nor clearpart --initlabel is there"
        )
    if disk.table is not None and not cleared:
        raise FailureError(f"{disk.name} has a partition table, and no clearpart --all is for it")


def _part(data: Any, disk: Disk, memory: int) -> _Wish:
    kind = data.fstype or ("swap" if data.mountpoint == "swap" else "")
    if data.mountpoint.startswith("pv."):
        kind = "lvm"
    size = data.size or 0
    if data.recommended:
        size = recommended_swap(memory, disk.size)
    return _Wish(size, data.grow, data.maxSizeMB or 0, data, _known(kind, data))


def _known(kind: str, data: Any) -> str:
    kind = kind or _DEFAULT
    if kind not in (*LABEL_LIMITS, *_NO_FILE_SYSTEM):
        raise FailureError(f"line {data.lineno}: this stand-in makes no {kind}")
    return kind


def _partition(disk: Disk, wishes: Sequence[_Wish], table: str, members: dict[str, str]) -> list[Volume]:
    if table == "dos" and len(wishes) > _MOST_OF_DOS:
        raise FailureError(f"{disk.name} would get {len(wishes)} partitions, and an MBR has {_MOST_OF_DOS}")
    _grow(wishes, disk.size - 2 * _MARGIN, f"the disk {disk.name}")
    # Those that grow come last, as what is before them keeps its place.
    found = []
    for number, wish in enumerate(sorted(wishes, key=lambda one: one.grows and one.kind != "efi"), 1):
        device = f"/dev/{disk.name}{'p' if disk.name[-1].isdigit() else ''}{number}"
        mountpoint = wish.data.mountpoint if wish.data else {"efi": "/boot/efi"}.get(wish.kind, "")
        if wish.kind == "lvm":
            members[mountpoint] = device
        label = (wish.data.label if wish.data else "") or ""
        found.append(Volume(device, mountpoint, wish.kind, wish.size, label, disk=disk.name, number=number))
    return found


def _grow(wishes: Sequence[_Wish], space: int, where: str, step: int = 1) -> None:
    """Give out `space` by changing the sizes of wishes, in steps of `step`."""
    needed = sum(wish.size for wish in wishes)
    if needed > space:
        raise FailureError(f"{where} is too small: {needed} MiB are needed, and {space} MiB are available")
    growing = [wish for wish in wishes if wish.grows]
    while growing:
        left = space - sum(wish.size for wish in wishes)
        weight = sum(max(wish.size, 1) for wish in growing)
        shares = {id(wish): left * max(wish.size, 1) // weight // step * step for wish in growing}
        full = [wish for wish in growing if wish.most and wish.size + shares[id(wish)] >= wish.most]
        if not full:
            for wish in growing:
                wish.size += shares[id(wish)]
            return
        # What these leave goes to the others.
        for wish in full:
            wish.size = max(wish.size, wish.most // step * step)
        growing = [wish for wish in growing if wish not in full]


def _volumes(
    handler: Any, partitions: Mapping[str, Volume], members: Mapping[str, str], disks: Mapping[str, Disk], memory: int
) -> tuple[list[Group], list[Volume]]:
    groups, logical = [], []
    for data in handler.volgroup.vgList:
        missing = [name for name in data.physvols if name not in members]
        if missing:
            raise FailureError(f"line {data.lineno}: volgroup {data.vgname} wants {missing[0]}, which no part makes")
        devices = [members[name] for name in data.physvols]
        groups.append(Group(data.vgname, devices))
        extents = sum((partitions[device].size - _LVM_MARGIN) // EXTENT for device in devices)
        reserved = math.ceil(extents * (data.reserved_percent or 0) / 100)
        wanted = [one for one in handler.logvol.lvList if one.vgname == data.vgname]
        wishes = [_logical(one, sum(disk.size for disk in disks.values()), memory) for one in wanted]
        space = (extents - reserved) * EXTENT
        free = space - sum(wish.size for wish in wishes if not wish.data.percent)
        for wish in wishes:
            if wish.data.percent:
                wish.size = max(free, 0) * wish.data.percent // 100 // EXTENT * EXTENT
        _grow(wishes, space, f"the volume group {data.vgname}", EXTENT)
        for wish in wishes:
            one = wish.data
            device = f"/dev/mapper/{_mapped(one.vgname)}-{_mapped(one.name)}"
            logical.append(
                Volume(device, one.mountpoint, wish.kind, wish.size, one.label or "", group=one.vgname, name=one.name)
            )
    names = {group.name for group in groups}
    for one in handler.logvol.lvList:
        if one.vgname not in names:
            raise FailureError(f"line {one.lineno}: logvol {one.name} is in {one.vgname}, which no volgroup makes")
    return groups, logical


def _logical(data: Any, disk_size: int, memory: int) -> _Wish:
    kind = data.fstype or ("swap" if data.mountpoint == "swap" else "")
    size = recommended_swap(memory, disk_size) if data.recommended else data.size or 0
    size = math.ceil(size / EXTENT) * EXTENT
    return _Wish(size, bool(data.grow), data.maxSizeMB or 0, data, _known(kind, data))


def _mapped(name: str) -> str:
    return name.replace("-", "--")


def recommended_swap(memory: int, disk_size: int) -> int:
    """As blivet's swap_suggestion, in MiB: by the memory, and a tenth of the disk at most."""
    rounded = (memory // 16 + 1) * 16
    if rounded < 2 << 10:
        size = 2 * rounded
    elif rounded < 8 << 10:
        size = rounded
    elif rounded < 64 << 10:
        size = rounded // 2
    else:
        size = 4 << 10
    return min(size, disk_size // 10)


def _check(layout: Layout, *, uefi: bool) -> None:
    if not layout.at("/"):
        raise FailureError("nothing is mounted at /")
    esp = layout.at("/boot/efi")
    if uefi and (esp is None or esp.kind != "efi"):
        raise FailureError("the firmware is UEFI, and there is no /boot/efi: reqpart makes one")
    for volume in (*layout.partitions, *layout.logical):
        limit = LABEL_LIMITS.get(volume.kind)
        if limit is not None and len(volume.label.encode()) > limit:
            raise FailureError(f"the label {volume.label!r} is too long: {volume.kind} has {limit} characters for it")
        if volume.size < _SMALLEST.get(volume.kind, 1):
            raise FailureError(
                f"{volume.mountpoint or volume.device} is too small: {_SMALLEST[volume.kind]} MiB are needed for"
                f" {volume.kind}, and {volume.size} MiB are available"
            )
