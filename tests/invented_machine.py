"""A machine's /sys, /dev and udev database as files, for the script that chooses a disk."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.kickstart_scripts import run_script

MIB = 1024 * 1024

# All that the script may call: what is in the installer's small system from CentOS 6 to 10.
COMMANDS = ("blkid", "cat", "dd", "mv", "rm", "sed", "sha256sum")

CONSOLES = ("tty0", "ttyS0", "console")

_UDEVADM = """#!/bin/sh
case $1:$2 in
settle:*) exit ;;
info:--query=property) exec /bin/cat "$ISOBUILDER_ROOT/udev/${3#"--name=$ISOBUILDER_ROOT/dev/"}" ;;
esac
exit 2
"""


@dataclass(frozen=True)
class Outcome:
    """How the script ended: its log, what each console showed, and what the installer would include (None: nothing)."""

    status: int
    log: str
    errors: str
    consoles: Mapping[str, str]
    included: str | None
    left: frozenset[str]


class Machine:
    """An empty machine with a screen and a serial console; `add_disk` puts disks into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("sys/block", "sys/class/tty/console", "dev", "tmp", "udev", "bin", "proc/self"):
            (root / folder).mkdir(parents=True)
        (root / "sys/class/tty/console/active").write_text("tty0 ttyS0\n")
        (root / "proc/self/mountinfo").write_text("21 1 0:20 / /sys rw,nosuid - sysfs sysfs rw\n")
        (root / "bin/udevadm").write_text(_UDEVADM)
        (root / "bin/udevadm").chmod(0o755)
        for command in COMMANDS:
            found = shutil.which(command, path="/usr/bin:/bin:/usr/sbin:/sbin")
            assert found, f"{command} is not installed"
            (root / "bin" / command).symlink_to(found)

    def add_disk(
        self,
        name: str,
        *,
        size: int = 8 * MIB,
        model: str | bytes = "HARDDISK",
        sysfs: Mapping[str, str | bytes] | None = None,
        udev: Mapping[str, str] | None = None,
    ) -> Path:
        """Put an empty disk in; `name` as the kernel has it. Returns the file that stands for its device."""
        folder = self.root / "sys/block" / name
        (folder / "device").mkdir(parents=True)
        (folder / "holders").mkdir()
        major = len(list((self.root / "sys/block").iterdir()))
        attributes = {"size": f"{size // 512}\n", "ro": "0\n", "removable": "0\n", "dev": f"8:{major * 16}\n"}
        for attribute, value in {**attributes, "device/model": model, **(sysfs or {})}.items():
            (folder / attribute).write_bytes(value.encode() if isinstance(value, str) else value)
        device = self.device(name)
        device.parent.mkdir(exist_ok=True)
        with device.open("wb") as file:
            file.truncate(size)
        self._tell_udev(name, udev or {})
        return device

    def add_partition(self, disk: str, name: str, image: Path | None = None) -> None:
        """Give a disk a partition, which holds a copy of `image`."""
        folder = self.root / "sys/block" / disk / name
        folder.mkdir()
        whole = (self.root / "sys/block" / disk / "dev").read_text().strip()
        (folder / "dev").write_text(f"{whole}1\n")
        (folder / "size").write_text("2048\n")
        if image is None:
            self.device(name).touch()
        else:
            subprocess.run(["cp", "--sparse=always", image, self.device(name)], check=True)
        self.device(disk).write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * (8 * MIB - 512))

    def device(self, name: str) -> Path:
        return self.root / "dev" / name.replace("!", "/")

    def _tell_udev(self, name: str, properties: Mapping[str, str]) -> None:
        path = self.root / "udev" / name.replace("!", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))

    def choose(self, script: str, shell: tuple[str, ...]) -> Outcome:
        for console in CONSOLES:
            (self.root / "dev" / console).write_bytes(b"")
        done = run_script(script, shell, self.root, str(self.root / "bin"))
        include = self.root / "tmp/isobuilder-storage.ks"
        return Outcome(
            done.returncode,
            done.stdout,
            done.stderr,
            {name: (self.root / "dev" / name).read_bytes().decode() for name in CONSOLES},
            include.read_text() if include.is_file() else None,
            frozenset(path.name for path in (self.root / "tmp").iterdir()),
        )
