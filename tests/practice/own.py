"""Packages of the practice mirror that Debian does not have: a release package, boot code, and a few racks' worth.

They are here for their relations to each other as much as for what they hold.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.practice.loaders import ESP_FOLDER as ESP
from tests.practice.loaders import EXTLINUX, GRUB_MBR_FILE, installed_efi, packaged_boot_code
from tests.practice.rpms import Rpm

KEY_FILE = "/etc/pki/rpm-gpg/RPM-GPG-KEY-practice"
_SYSLINUX = "/usr/share/syslinux"
_EXTLINUX = "/usr/sbin/extlinux"
_REPOSITORIES = "/etc/yum.repos.d"
_RELEASE_FILE = "/etc/practice-release"
_INFO = "/usr/bin/rack-info"
_CONFIG = "/etc/rack.conf"

BASE = (
    Rpm(
        name="practice-release",
        version="9",
        arch="noarch",
        summary="Release files of the practice system",
        provides=("system-release = 9", "system-release(releasever) = 9"),
        files=(_RELEASE_FILE, KEY_FILE, _REPOSITORIES),
    ),
    Rpm(
        name="syslinux",
        version="6.04",
        summary="Boot code of isolinux and its kin",
        files=tuple(f"{_SYSLINUX}/{name}" for name in ("isohdpfx.bin", "chain.c32", "mbr.bin")),
    ),
    Rpm(
        name="syslinux-extlinux",
        version="6.04",
        summary="Makes a disk with a Linux file system start",
        requires=("glibc", "syslinux"),
        files=(_EXTLINUX,),
    ),
    # As on CentOS: what the firmware starts lies in packages, on the EFI system partition.
    Rpm(
        name="shim-x64",
        version="15.8",
        summary="What a firmware with Secure Boot starts",
        requires=("grub2-efi-x64",),
        files=(ESP, f"{ESP}/shimx64.efi", f"{ESP}/mmx64.efi"),
    ),
    Rpm(
        name="grub2-efi-x64",
        version="2.06",
        summary="GRUB for UEFI",
        requires=("grub2-tools",),
        files=(ESP, f"{ESP}/grubx64.efi"),
    ),
)

# Made out of the practice system: its `grub2-pc` has the same file.
GRUB = Rpm(
    name="grub2-pc-modules",
    version="2.06",
    arch="noarch",
    summary="What a GRUB for BIOS is made of",
    files=(GRUB_MBR_FILE,),
)

EXTRAS = (
    Rpm(
        name="rack-common",
        version="2.1",
        epoch="1",
        arch="noarch",
        summary="What every machine in a rack shares",
        provides=("rack-interface = 2",),
        files=(_CONFIG,),
    ),
    Rpm(
        name="rack-tools",
        version="2.1",
        arch="noarch",
        summary="Tools for a machine in a rack",
        requires=("rack-common = 1:2.1-1", "rack-interface >= 2", "iproute >= 5", "/usr/bin/less", "/bin/sh"),
        recommends=("rack-doc",),
        files=(_INFO,),
    ),
    Rpm(name="rack-doc", version="2.1", arch="noarch", summary="How to use a rack"),
    Rpm(name="rack-legacy", version="0.9", arch="noarch", summary="A rack of long ago", requires=("rack-tools < 1",)),
)

# Older than what EXTRAS has: a resolver takes the newest.
OLD_EXTRAS = (Rpm(name="rack-tools", version="0.9", arch="noarch", summary="Tools for a machine in a rack"),)


def write_files(tree: Path, public_key: str) -> None:
    """Write the files of all these packages into `tree`."""
    texts: Mapping[str, str] = {
        _RELEASE_FILE: "Practice Linux release 9\n",
        KEY_FILE: public_key,
        _CONFIG: "# Settings of this rack.\n",
        _INFO: '#!/bin/sh\necho "A rack node on Linux $(uname -r)"\n',
    }
    for path, text in texts.items():
        _write(tree, path, text.encode())
    (tree / _REPOSITORIES[1:]).mkdir()
    (tree / _INFO[1:]).chmod(0o755)
    for name, data in packaged_boot_code().items():
        _write(tree, f"{_SYSLINUX}/{name}", data)
    for name, data in installed_efi().items():
        _write(tree, f"{ESP}/{name}", data)
    _write(tree, _EXTLINUX, EXTLINUX.read_bytes())
    (tree / _EXTLINUX[1:]).chmod(0o755)


def _write(tree: Path, path: str, data: bytes) -> None:
    file = tree / path[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(0o644)
