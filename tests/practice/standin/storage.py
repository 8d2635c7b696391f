"""A layout on real disks: partitions, volumes, file systems, mounted below one folder, and the table of them."""

import re
import time
from collections.abc import Sequence
from pathlib import Path

from .plan import Disk, Layout, Volume
from .tools import FailureError, Tools

_TYPES = {
    "gpt": {
        "efi": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        "biosboot": "21686148-6449-6E6F-744E-656564454649",
        "lvm": "E6D6D379-F507-44C2-A23C-238F2A3DF928",
        "swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
        "": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
    },
    "dos": {"efi": "ef", "lvm": "8e", "swap": "82", "": "83"},
}
_NOT_DISKS = re.compile(r"loop|ram|zram|sr|fd|dm-|md")
_SECTOR = 512
_MIB = 1 << 20
_SETTLE_SECONDS = 10


def find_disks(tools: Tools, sys: Path = Path("/sys")) -> list[Disk]:
    """The disks of this machine that can be written to, but for one that holds an ISO 9660 volume."""
    found = []
    for folder in sorted((sys / "block").iterdir()):
        if _NOT_DISKS.match(folder.name) or (folder / "ro").read_text().strip() != "0":
            continue
        said = tools.attempt(["blkid", "-p", "-o", "export", f"/dev/{folder.name}"]).stdout
        if "TYPE=iso9660" not in said:
            table = re.search(r"^PTTYPE=(\S+)", said, re.MULTILINE)
            size = int((folder / "size").read_text()) * _SECTOR // _MIB
            found.append(Disk(folder.name, size, table[1] if table else None))
    return found


def make_storage(tools: Tools, layout: Layout) -> None:
    """Make all of it; what the disks held is lost."""
    if layout.groups:
        tools.run("modprobe", "dm_mod")
        for old in tools.run("vgs", "--noheadings", "-o", "vg_name").split():
            tools.run("vgchange", "--quiet", "--activate", "n", old)
    for disk, table in layout.tables.items():
        lines = [f"label: {table}", "unit: sectors"]
        for one in layout.partitions:
            if one.disk == disk:
                kind = _TYPES[table].get(one.kind, _TYPES[table][""])
                boot = ", bootable" if table == "dos" and one.mountpoint == "/boot" else ""
                lines.append(f"size={one.size}MiB, type={kind}{boot}")
        wiping = ("--wipe", "always", "--wipe-partitions", "always")
        tools.run("sfdisk", "--quiet", *wiping, f"/dev/{disk}", stdin="\n".join(lines) + "\n")
    for one in layout.partitions:
        _await(Path(one.device))
    for group in layout.groups:
        tools.run("pvcreate", "--quiet", "--yes", "-ff", *group.members)
        tools.run("vgcreate", "--quiet", "--yes", group.name, *group.members)
    for one in layout.logical:
        size = ("--size", f"{one.size}m", "--name", one.name)
        tools.run("lvcreate", "--quiet", "--yes", "--wipesignatures", "y", *size, one.group)
        _await(Path(one.device))
    for one in (*layout.partitions, *layout.logical):
        _make_file_system(tools, one)


def _await(device: Path) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while not device.exists():
        if time.monotonic() > deadline:
            raise FailureError(f"the kernel has no {device} after {_SETTLE_SECONDS} s")
        time.sleep(0.05)


def _make_file_system(tools: Tools, volume: Volume) -> None:
    label = ("-n" if volume.kind in ("efi", "vfat") else "-L", volume.label) if volume.label else ()
    match volume.kind:
        case "xfs":
            tools.run("mkfs.xfs", "-q", "-f", "-K", *label, volume.device)
        case "ext4":
            tools.run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", *label, volume.device)
        case "efi" | "vfat":
            tools.run("mkfs.vfat", *label, volume.device)
        case "swap":
            tools.run("mkswap", "-q", *label, volume.device)


def mount(tools: Tools, layout: Layout, root: Path) -> None:
    """Mount it all below `root`, and what programs in there need of the running system."""
    for one in layout.mounted:
        place = Path(f"{root}{one.mountpoint}")
        place.mkdir(parents=True, exist_ok=True)
        tools.run("mount", one.device, place)
    for name in ("dev", "proc", "run", "sys"):
        (root / name).mkdir(exist_ok=True)
        tools.run("mount", "--rbind", f"/{name}", root / name)
        tools.run("mount", "--make-rslave", root / name)


def unmount(tools: Tools, root: Path) -> None:
    """Unmount it all; what is written is on the disks then."""
    tools.run("sync")
    tools.run("umount", "--recursive", "--lazy", root / "run")
    for name in ("dev", "proc", "sys"):
        tools.run("umount", "--recursive", "--lazy", root / name)
    tools.run("umount", "--recursive", root)
    tools.run("sync")


def write_fstab(tools: Tools, layout: Layout, root: Path) -> None:
    """/etc/fstab: partitions by their UUID, logical volumes by their names, as Anaconda has them."""
    lines = ["# Written by the installer.\n"]
    for one in layout.mounted:
        kind, options, check = (
            ("vfat", "umask=0077,shortname=winnt", 2) if one.kind == "efi" else (one.kind, "defaults", 0)
        )
        lines.append(f"{_source(tools, one)} {one.mountpoint} {kind} {options} 0 {check}\n")
    lines += [f"{_source(tools, one)} none swap defaults 0 0\n" for one in layout.swap]
    (root / "etc/fstab").write_text("".join(lines), encoding="utf-8")


def uuid_of(tools: Tools, device: str) -> str:
    return tools.run("blkid", "-p", "-s", "UUID", "-o", "value", device).strip()


def _source(tools: Tools, volume: Volume) -> str:
    return volume.device if volume.group else f"UUID={uuid_of(tools, volume.device)}"


def packages_for(layout: Layout) -> Sequence[str]:
    """What the installed system needs to read its own disks."""
    needs = {"xfs": "xfsprogs", "ext4": "e2fsprogs", "efi": "dosfstools", "vfat": "dosfstools"}
    kinds = {one.kind for one in (*layout.partitions, *layout.logical)}
    return sorted({needs[kind] for kind in kinds & needs.keys()} | ({"lvm2"} if layout.groups else set()))
