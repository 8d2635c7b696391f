"""Packages of the practice mirror that Debian does not have: a release package, boot code, and a few racks' worth.

They are here for their relations to each other as much as for what they hold.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.practice.loaders import GRUB_MBR_FILE, packaged_boot_code
from tests.practice.rpms import Rpm

KEY_FILE = "/etc/pki/rpm-gpg/RPM-GPG-KEY-practice"
_SYSLINUX = "/usr/share/syslinux"
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
        files=(_RELEASE_FILE, KEY_FILE),
    ),
    Rpm(
        name="syslinux",
        version="6.04",
        summary="Boot code of isolinux and its kin",
        files=(f"{_SYSLINUX}/isohdpfx.bin", f"{_SYSLINUX}/chain.c32"),
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
    (tree / _INFO[1:]).chmod(0o755)
    for name, data in packaged_boot_code().items():
        _write(tree, f"{_SYSLINUX}/{name}", data)


def _write(tree: Path, path: str, data: bytes) -> None:
    file = tree / path[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(0o644)
