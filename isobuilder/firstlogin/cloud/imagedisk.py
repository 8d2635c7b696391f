"""The disk of a machine image: partition, file system, system and boot loader, in a file.

Whatever stops it, the next try takes away what is mounted and begins anew.
"""

import os
import re
import struct
from typing import Callable, List

from ..effects import Effects, Result
from ..machine import LABELS
from ..model import Machine
from . import imagefacts, imagekickstart
from .imagefacts import BUSY, DISK, WORK, Loader
from .imagetree import FailedError, Place, Tree

_PART = DISK + ".part"
_RECORD = WORK + "/mbr"
_MEDIUM = (
    "Put the medium that this machine was installed from into its drive, or say where it is, an ISO or a folder: "
    "cloud-setup image make SIZE PATH"
)
_GRUB_MENU = """\
default=0
timeout=1
serial --unit=0 --speed=115200
terminal --timeout=1 serial console

title {version}
\troot (hd0,0)
\tkernel {kernel} {arguments}
\tinitrd {initrd}
"""
_EXTLINUX_MENU = """\
serial 0 115200
default linux
timeout 10
prompt 0

label linux
  kernel {kernel}
  initrd {initrd}
  append {arguments}
"""


class Builder:
    """Makes disks on one machine; `tell` is given a line about what goes on."""

    def __init__(self, machine: Machine, effects: Effects, tell: Callable[[str], None]) -> None:
        self._role = machine.role
        self._loader: Loader = imagefacts.LOADERS[machine.facts.init]
        self._effects = effects
        self._tell = tell
        self._place = Place(self._role.root_path, self._role.medium_path)
        self._tree = Tree(self._place, machine.facts.init, effects, tell)

    def build(self, mebibytes: int, medium: str) -> List[str]:
        """Make the disk DISK of this size, whole or not at all; what is not as it should be, a line each.

        `medium` is a folder, an ISO or a device; without one the medium is looked for by its label. Raises FailedError,
        and SetupError for a kickstart that no image can be made by.
        """
        self._effects.make_folder(WORK)
        self._clear()
        for path in (DISK, _PART):
            self._effects.remove(path)
        for mount_point in self._place:
            if self._is_mounted(mount_point):
                raise FailedError(f"something is mounted at {mount_point}", remedy=f"Unmount it: umount {mount_point}")
        free = self._effects.free_mib(WORK)
        if free < mebibytes:
            raise FailedError(f"it needs {mebibytes} MiB in {WORK}, and {free} are free", remedy="Make room there.")
        self._effects.append(BUSY, self._start().encode("ascii"))
        made = False
        try:
            left = self._fill(mebibytes, medium)
            made = True
        finally:
            self._clear()
            if not made:
                self._effects.remove(_PART)
        self._run("the disk cannot get its name", "mv", self._effects.path(_PART), self._effects.path(DISK))
        return left

    def _fill(self, mebibytes: int, medium: str) -> List[str]:
        self._mount_medium(medium)
        path = f"{self._place.medium}/{self._role.image}"
        text = self._effects.read(path)
        if text is None:
            raise FailedError(f"there is no {self._role.image} on the medium", remedy=_MEDIUM)
        kickstart = imagekickstart.read(text, self._role.image)
        disk = self._effects.path(_PART)
        self._run("the disk cannot be made", "truncate", "-s", f"{mebibytes}M", disk)
        device = self._loop("-o", str(imagefacts.FIRST))
        features = ("-O", imagefacts.FEATURES)
        self._run("no file system", "mke2fs", "-q", "-F", "-t", "ext4", *features, "-L", imagefacts.LABEL, device)
        self._mount("the image", device, self._place.root)
        root = self._effects.path(self._place.root)
        for kind, name in (("proc", "proc"), ("sysfs", "sys")):
            self._run(f"no {name}", "mkdir", "-p", f"{root}/{name}")
            self._run(f"{name} cannot be mounted", "mount", "-t", kind, kind, f"{root}/{name}")
        self._run("no dev", "mkdir", "-p", f"{root}/dev")
        self._run("dev cannot be mounted", "mount", "--bind", "/dev", f"{root}/dev")
        self._tell(f"  {len(kickstart.packages)} packages and groups are installed; this takes some minutes")
        self._tree.install(kickstart)
        self._tree.set_up(kickstart)
        left = self._tree.run_scripts(kickstart.scripts)
        boot_code = self._configure_loader()
        self._tree.clean()
        self._clear_mounts()
        self._run("the file system is damaged", "e2fsck", "-f", "-p", device, most=1)
        self._run("the loop cannot be taken away", "losetup", "-d", device)
        self._write_record(boot_code, mebibytes)
        if self._loader is imagefacts.GRUB_LEGACY:
            self._install_grub(disk)
        return left

    # The boot loader.

    def _configure_loader(self) -> bytes:
        """Put the boot loader and its menu into the image; its code for the master boot record."""
        version = self._tree.kernel()
        facts = {
            "version": version,
            "kernel": f"/boot/{imagefacts.KERNEL}{version}",
            "initrd": f"/boot/{self._tree.initrd(version)}",
            "arguments": f"{imagefacts.ARGUMENTS} {self._loader.arguments}".strip(),
        }
        if self._loader is imagefacts.GRUB_LEGACY:
            self._tree.write("/boot/grub/grub.conf", _GRUB_MENU.format(**facts))
            self._tree.inside("no boot loader", "cp", "-r", "/usr/share/grub/x86_64-redhat/.", "/boot/grub")
            return b""
        self._tree.write("/boot/extlinux/extlinux.conf", _EXTLINUX_MENU.format(**facts))
        self._tree.inside("no boot loader", "extlinux", "--install", "/boot/extlinux")
        for path in self._loader.boot_code:
            code = self._effects.read_bytes(self._place.root + path, 440)
            if code:
                return code[:440]
        raise FailedError("the boot loader's code for the master boot record is not in the image")

    def _write_record(self, boot_code: bytes, mebibytes: int) -> None:
        """The master boot record: the loader's code, and one active partition of type 83 to the disk's end."""
        first = imagefacts.FIRST // imagefacts.SECTOR
        count = (mebibytes << 20) // imagefacts.SECTOR - first
        # Cylinders, heads and sectors are beyond what can be said in these bytes: 254, 63, 1023.
        entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", first, count)
        record = boot_code.ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa"
        self._effects.write(_RECORD, record, 0o600)
        words = (f"if={self._effects.path(_RECORD)}", f"of={self._effects.path(_PART)}")
        self._run("the disk cannot be written", "dd", *words, "bs=512", "count=1", "conv=notrunc,fsync")

    def _install_grub(self, disk: str) -> None:
        """GRUB 0.97 writes its code into the disk by itself, where nothing is mounted."""
        said = f"device (hd0) {disk}\nroot (hd0,0)\nsetup (hd0)\nquit\n"
        result = self._effects.run("grub", "--batch", "--no-floppy", "--device-map=/dev/null", given=said, timeout=120)
        if result.code or "succeeded" not in result.output or re.search(r"(?m)^Error \d+", result.output):
            raise FailedError("no boot loader", result.output)

    # Mounts.

    def _mount_medium(self, medium: str) -> None:
        found = medium or f"{LABELS}/{self._role.medium}"
        if not self._effects.exists(found):
            what = f"there is no {found}" if medium else f"no medium labelled {self._role.medium} is in a drive"
            raise FailedError(what, remedy=_MEDIUM)
        self._mount("the medium", self._effects.path(found), self._place.medium, read_only=True)
        if not self._effects.exists(self._place.medium + "/repodata/repomd.xml"):
            raise FailedError(f"{found} is no medium with packages", remedy=_MEDIUM)

    def _mount(self, what: str, source: str, place: str, *, read_only: bool = False) -> None:
        self._run(f"no folder for {what}", "mkdir", "-p", self._effects.path(place))
        options = ("-o", "ro") if read_only else ()
        if read_only and os.path.isdir(source):
            options = ("-o", "bind,ro")
        elif read_only and os.path.isfile(source):
            options = ("-o", "loop,ro")
        self._run(f"{what} cannot be mounted", "mount", *options, source, self._effects.path(place))

    def _loop(self, *options: str) -> str:
        result = self._run("no loop device", "losetup", *options, "-f", "--show", self._effects.path(_PART))
        found = re.search(r"^/dev/\S+$", result.output, re.MULTILINE)
        if found is None:
            raise FailedError("no loop device", result.output)
        return found.group(0)

    def _is_mounted(self, place: str) -> bool:
        return any(one == self._effects.path(place) for one in self._mounted())

    def _mounted(self) -> List[str]:
        """All places where something is mounted, in the order in which that was done."""
        lines = (self._effects.read("/proc/mounts") or "").splitlines()
        return [line.split()[1].replace("\\040", " ") for line in lines if len(line.split()) > 1]

    def _clear_mounts(self) -> None:
        root = self._effects.path(self._place.root)
        for place in reversed(self._mounted()):
            if place == root or place.startswith(root + "/"):
                self._run(f"{place} cannot be unmounted", "umount", place)

    def _clear(self) -> None:
        """Take away mounts and loops of ours, of this try or of one that was cut off since the machine started."""
        busy = self._effects.read(BUSY)
        if busy is None:
            return
        if busy != self._start():
            # The machine has started again since: what is mounted there now somebody else did.
            self._effects.remove(BUSY)
            return
        self._clear_mounts()
        medium = self._effects.path(self._place.medium)
        for place in reversed(self._mounted()):
            if place == medium:
                self._run(f"{place} cannot be unmounted", "umount", place)
        said = self._effects.run("losetup", "-j", self._effects.path(_PART)).output
        for device in re.findall(r"(?m)^(/dev/\S+?):", said):
            self._run(f"{device} cannot be taken away", "losetup", "-d", device)
        self._effects.remove(BUSY)

    def _start(self) -> str:
        """What tells this start of the machine from others."""
        return (self._effects.read("/proc/sys/kernel/random/boot_id") or "").strip()

    def _run(self, what: str, *argv: str, timeout: int = 600, most: int = 0) -> Result:
        """Run a command. Raises FailedError, with `what`, when its exit code is above `most`."""
        result = self._effects.run(*argv, timeout=timeout)
        if result.code > most:
            raise FailedError(what, result.output)
        return result
