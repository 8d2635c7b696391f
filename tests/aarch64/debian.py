"""Debian's packages for arm64, unpacked into a folder of their own: the host's dpkg and apt never hear of them."""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.practice.host import debian_sources, run
from tests.practice.mirror import locked

# linux-image-arm64 has no files: it names the kernel's own package.
_NEWEST_KERNEL = "linux-image-arm64"
_PACKAGES = ("busybox-static", "grub-efi-arm64-signed", "shim-signed")
# Where Debian's apt has its own.
_DEPMOD = "/sbin/depmod"


def ensure_system(cache: Path) -> Path:
    """The folder of a kernel, loaders and busybox, as a Debian for arm64 has them; made first when it is missing.

    That downloads some 70 MB (five seconds on a fast line). It stays in `cache`, under a digest of this recipe, until
    somebody removes it. Raises HostError when apt cannot bring the packages.
    """
    system = cache / hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:32]
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "lock"):
        if not system.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix="part-") as work:
                _make_system(Path(work)).rename(system)
    return system


def _make_system(work: Path) -> Path:
    with _apt_options(work) as options:
        run(["apt-get", *options, "update"])
        depends = run(["apt-cache", *options, "depends", _NEWEST_KERNEL])
        [kernel] = re.findall(r"^ +Depends: (linux-image-[0-9]\S+)$", depends, re.MULTILINE)
        # It writes into the folder where it runs.
        run(["env", "-C", work, "apt-get", *options, "download", kernel, *_PACKAGES])
    system = work / "system"
    system.mkdir()
    for package in sorted(work.glob("*.deb")):
        run(["dpkg-deb", "--extract", package, system])
    _merge_usr(system)
    return system


@contextmanager
def _apt_options(work: Path) -> Iterator[list[str]]:
    """Options for an apt that has nothing in common with the host's but its sources, proxies and keys."""
    state, archives = work / "state", work / "archives"
    for folder in (state / "lists/partial", archives / "archives/partial"):
        folder.mkdir(parents=True)
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": archives,
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::sourcelist": debian_sources(),
    }
    yield ["--quiet=2", *(f"--option={name}={value}" for name, value in settings.items())]
    for folder in (state, archives):
        shutil.rmtree(folder)


def _merge_usr(system: Path) -> None:
    """Bring everything below /usr, as in every configured system of today, and have depmod list the modules there."""
    for name in ("bin", "lib", "sbin"):
        old, new = system / name, system / "usr" / name
        new.mkdir(exist_ok=True)
        if old.is_dir():
            shutil.copytree(old, new, symlinks=True, copy_function=os.rename, dirs_exist_ok=True)
            shutil.rmtree(old)
        old.symlink_to(f"usr/{name}")
    [version] = (system / "usr/lib/modules").iterdir()
    run([_DEPMOD, "--basedir", system, version.name])
