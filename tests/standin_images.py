"""Stand-ins for the tools that a machine image is made with, and for the cloud's commands about images.

They keep state: what is mounted, which loops there are, which images the cloud has. euca2ools' own words are from
eucalyptus/euca2ools (commands/bundle/installimage.py, commands/ec2/describeimages.py).
"""

import os
import re
import shutil
from pathlib import Path
from typing import List, Sequence

from isobuilder.firstlogin.effects import Result
from tests.standin_cloud import CloudMachine, role

LABEL = "CAMPUS-7"
MEDIUM_PATH, ROOT_PATH = "/run/install/repo", "/mnt/sysimage"
_LOOP = "/dev/loop7"
_GOLDEN = Path(__file__).parent / "golden/media"
_MAKERS = ("mount", "umount", "losetup", "truncate", "mke2fs", "e2fsck", "dd", "mv", "mkdir", "rm", "find", "ln")
_OTHERS = ("yum", "chroot", "/bin/sh", "grub")


class ImageMachine(CloudMachine):
    """A front end with the medium in its drive, which has the kickstart of an image as isobuilder makes it."""

    def make_front_end(self) -> "ImageMachine":
        self.make_part("frontend")
        lines = f"MEDIUM={LABEL}\nMEDIUM_PATH={MEDIUM_PATH}\nROOT_PATH={ROOT_PATH}\nIMAGE=ks/image.cfg\n"
        self.write("etc/cloud-setup/role", role("frontend", self.style) + lines)
        for name in ("yum", "grub"):
            self.write(f"usr/bin/{name}", "", 0o755)
        self.write("proc/mounts", "proc /proc proc rw 0 0\n")
        self.insert()
        self.change(images={}, others=True)
        return self

    def insert(self, kickstart: str = "") -> None:
        """Put the medium into the drive; with another text for its kickstart."""
        approved = _GOLDEN / self.style / "x86_64-eucalyptus-unattended/ks/image.cfg"
        self.write("medium/ks/image.cfg", kickstart or approved.read_text(encoding="utf-8"))
        self.write("medium/repodata/repomd.xml", "<repomd/>\n")
        self.write("medium/.treeinfo", f"[general]\nversion = {self.style}\n")
        self.write("medium/RPM-GPG-KEY-CentOS", "a key\n")
        os.makedirs(self.path("dev/disk/by-label"), exist_ok=True)
        if not os.path.islink(self.path(f"dev/disk/by-label/{LABEL}")):
            # A device, as far as who looks can tell.
            os.symlink("/dev/null", self.path(f"dev/disk/by-label/{LABEL}"))

    def mounted(self) -> List[str]:
        """Where something is mounted now, but for /proc."""
        lines = self.read("proc/mounts").splitlines()
        return [line.split()[1].replace(self.root, "") for line in lines if line.split()[1] != "/proc"]

    @property
    def loops(self) -> List[str]:
        return list(self.cloud().get("loops", []))

    def run(self, argv: Sequence[str], given: str, timeout: int) -> Result:
        words = list(argv)
        if words[0] not in _MAKERS + _OTHERS or (words[0] in ("find", "rm") and self.root not in " ".join(words)):
            return super().run(argv, given, timeout)
        if words[:2] != ["losetup", "-j"]:
            self._record([word.replace(self.root, "") for word in words])
        refused = self._failing(words[0])
        return Result(*(refused or getattr(self, f"_{words[0].rpartition('/')[2]}")(words, given)))

    def fail_in_image(self, command: str) -> None:
        """The next call of a command in the image fails."""
        self.fail(f"chroot {command}")

    # Mounts and loops.

    def _mount(self, words: List[str], _given: str = "") -> Result:
        source, place = words[-2:]
        if place.replace(self.root, "") == MEDIUM_PATH:
            shutil.copytree(self.path("medium"), place, dirs_exist_ok=True)
        with open(self.path("proc/mounts"), "a") as file:
            file.write(f"{source} {place} ext4 rw 0 0\n")
        return Result(0, "")

    def _umount(self, words: List[str], _given: str = "") -> Result:
        lines = self.read("proc/mounts").splitlines(keepends=True)
        if not any(line.split()[1] == words[-1] for line in lines):
            return Result(32, f"umount: {words[-1]}: not mounted\n")
        self.write("proc/mounts", "".join(line for line in lines if line.split()[1] != words[-1]))
        if words[-1].replace(self.root, "") in (MEDIUM_PATH, ROOT_PATH):
            target = Path(words[-1])
            if target == Path(self.path(ROOT_PATH)):
                shutil.rmtree(self.path("image"), ignore_errors=True)
                shutil.copytree(target, self.path("image"), symlinks=True)
            shutil.rmtree(target)
        return Result(0, "")

    def _losetup(self, words: List[str], _given: str) -> Result:
        if words[1] == "-j":
            return Result(0, "".join(f"{loop}: [2049]:1 ({words[2]})\n" for loop in self.loops))
        self.change(loops=[] if words[1] == "-d" else [_LOOP])
        return Result(0, "" if words[1] == "-d" else f"{_LOOP}\n")

    # The disk.

    def _truncate(self, words: List[str], _given: str) -> Result:
        Path(words[-1]).write_bytes(b"disk")
        return Result(0, "")

    def _mke2fs(self, _words: List[str], _given: str) -> Result:
        return Result(0, "")

    _e2fsck = _mke2fs

    def _dd(self, words: List[str], _given: str) -> Result:
        source, target = (word.partition("=")[2] for word in words[1:3])
        Path(target).write_bytes(Path(source).read_bytes())
        return Result(0, "1+0 records in\n")

    def _mv(self, words: List[str], _given: str) -> Result:
        os.rename(words[1], words[2])
        return Result(0, "")

    def _mkdir(self, words: List[str], _given: str) -> Result:
        os.makedirs(words[-1], exist_ok=True)
        return Result(0, "")

    def _rm(self, words: List[str], _given: str) -> Result:
        for word in words:
            if word.startswith(self.root):
                shutil.rmtree(word) if os.path.isdir(word) else os.unlink(word)
        return Result(0, "")

    def _ln(self, words: List[str], _given: str) -> Result:
        if os.path.lexists(words[-1]):
            os.unlink(words[-1])
        os.symlink(words[-2], words[-1])
        return Result(0, "")

    def _find(self, words: List[str], _given: str) -> Result:
        for path in sorted(Path(words[1]).rglob("*"), reverse=True):
            if path.is_file() and "truncate" in words:
                path.write_text("")
            elif "-delete" in words:
                path.rmdir() if path.is_dir() else path.unlink()
        if Path(words[1]).is_file() and "truncate" in words:
            Path(words[1]).write_text("")
        return Result(0, "")

    def _grub(self, _words: List[str], given: str) -> Result:
        self.change(grub=given.replace(self.root, ""))
        return Result(0, ' Running "install ..."... succeeded\nDone.\n')

    # The system in it.

    def _yum(self, words: List[str], _given: str) -> Result:
        root = next(word for word in words if word.startswith("--installroot=")).partition("=")[2]
        configuration = Path(words[words.index("-c") + 1]).read_text()
        if not re.search(r"(?m)^gpgcheck=1$", configuration) or "RPM-GPG-KEY-CentOS" not in configuration:
            return Result(1, "Public key for basesystem.rpm is not installed\n")
        cache = re.findall(r"(?m)^cachedir=(.+)$", configuration)[0]
        asked = words[words.index("install") + 1 :]
        if "no-such-package" in asked:
            return Result(0, "No package no-such-package available.\nComplete!\n")
        files = {
            "boot/vmlinuz-3.10.0-1160.el7.x86_64": "kernel",
            "boot/vmlinuz-0-rescue-0123": "kernel",
            "boot/initramfs-3.10.0-1160.el7.x86_64.img": "initrd",
            "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
            "etc/shadow": "root:*:18000:0:99999:7:::\nbin:*:18000:0:99999:7:::\n",
            "etc/selinux/config": "# SELinux\nSELINUX=enforcing\nSELINUXTYPE=targeted\n",
            "etc/selinux/targeted/contexts/files/file_contexts": "/.* system_u:object_r:default_t:s0\n",
            "etc/ssh/ssh_host_rsa_key": "PRIVATE\n",
            "etc/ssh/sshd_config": "# sshd\n",
            "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
            "etc/yum.repos.d/CentOS-Base.repo": "[base]\nmirrorlist=http://mirrorlist.example.org\n",
            "root/.ssh/authorized_keys": "ssh-rsa LEFT\n",
            "root/.bashrc": "# bash\n",
            "var/log/yum.log": "Installed: basesystem\n",
            "var/cache/yum/base/packages": "cached\n",
            # yum puts its own folders below the root that it installs into.
            cache.replace(self.root, "").lstrip("/") + "/medium/primary.sqlite": "cached\n",
            "var/lib/dbus/machine-id": "0123456789abcdef0123456789abcdef\n",
            "usr/share/zoneinfo/Europe/Rome": "TZif2",
            "usr/share/syslinux/mbr.bin": "B" * 440,
            "usr/bin/firewall-offline-cmd" if self.style == "7" else "usr/sbin/lokkit": "",
        }
        for name, text in files.items():
            path = Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Result(0, "Complete!\n")

    def _chroot(self, words: List[str], _given: str) -> Result:
        root, command = words[1], words[2:]
        refused = self._failing(f"chroot {command[0]}")
        if refused:
            return Result(*refused)
        shadow = Path(root) / "etc/shadow"
        if command[0] == "usermod":
            shadow.write_text(shadow.read_text().replace("root:*:", "root:!*:"))
        if command[0] == "/bin/sh":
            script = Path(root + command[1]).read_text()
            if "give a password" in script:
                shadow.write_text(shadow.read_text() + "admin:$6$salt$hash:18000:0:99999:7:::\n")
            if "want no password" in script:
                passwd = Path(root) / "etc/passwd"
                passwd.write_text(passwd.read_text() + "guest::1000:1000::/home/guest:/bin/bash\n")
            if "lead out" in script:
                shutil.rmtree(Path(root) / "root")
                (Path(root) / "root").symlink_to(self.path("root"))
            return Result(3 if "fails here" in script else 0, "it said so\n" if "fails here" in script else "")
        return Result(0, "")

    def _sh(self, _words: List[str], _given: str) -> Result:
        return Result(0, "")
