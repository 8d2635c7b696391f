"""The installer of the practice mirror: an initial RAM disk that finds the medium, and the stage 2 that it starts.

Both begin with busybox and the scripts of `installer/`; the kernel and its modules come from the practice system. What
installs is `standin/`, in a system of its own.
"""

import gzip
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pykickstart

from tests.practice.host import run

_SCRIPTS = Path(__file__).with_name("installer")
_BUSYBOX = Path("/bin/busybox")
_STANDIN = Path(__file__).with_name("standin")
# Where all of this lies in both.
_PLACE = "practice"

# What a medium can be behind, and what is on it. Modules that a kernel has built in need no file.
_MODULES = (
    *("ahci", "ata_piix", "sd_mod", "sr_mod", "virtio_blk", "virtio_pci", "virtio_scsi"),
    *("ehci_pci", "uas", "uhci_hcd", "usb_storage", "xhci_pci"),
    *("isofs", "loop", "nls_cp437", "nls_ascii", "nls_utf8", "overlay", "squashfs", "vfat"),
)
# What the installer itself needs besides.
_MORE_MODULES = ("crc32c_generic", "crc32c_intel", "dm_mod", "efivarfs", "ext4", "virtio_net", "xfs")

# There is no udev in stage 2: the kernel makes the devices of disks, and LVM its own.
_LVM = """\
activation {
    udev_rules = 0
    udev_sync = 0
}
devices {
    obtain_device_list_from_udev = 0
    external_device_info_source = "none"
    dir = "/dev"
}
backup {
    backup = 0
    archive = 0
}
"""


def make_initrd(tree: Path, image: Path, scratch: Path, busybox: Path = _BUSYBOX) -> None:
    """Write the initial RAM disk for the kernel in `tree` to `image`; `scratch` is an empty folder to work in."""
    _add_busybox(scratch, busybox)
    _copy(_SCRIPTS / "init", scratch / "init", mode=0o755)
    modules = scratch / "lib/modules"
    modules.mkdir(parents=True)
    order = list(_loading_order(tree, _MODULES))
    for module in order:
        _copy(module, modules / module.name)
    (modules / "order").write_text("".join(f"{module.name}\n" for module in order), encoding="utf-8")
    names = "".join(f"{path.relative_to(scratch)}\n" for path in sorted(scratch.rglob("*")))
    archive = scratch.with_suffix(".cpio")
    options = ("--create", "--format=newc", "--owner=+0:+0", "--reproducible", "--quiet")
    run(["cpio", *options, "--directory", scratch, "--file", archive], stdin=names)
    with gzip.GzipFile(image, "wb", compresslevel=6, mtime=0) as packed:
        packed.write(archive.read_bytes())


def add_standin(root: Path, tree: Path) -> None:
    """Put what installs into `root`, the system of stage 2, with drivers of the kernel in `tree`."""
    library = root / _PLACE / "lib"
    shutil.copytree(_STANDIN, library / "standin", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        Path(pykickstart.__file__).parent, library / "pykickstart", ignore=shutil.ignore_patterns("__pycache__")
    )
    version = kernel_version(tree)
    for module in _loading_order(tree, (*_MODULES, *_MORE_MODULES)):
        _copy(module, root / module.relative_to(tree))
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        _copy(tree / "usr/lib/modules" / version / name, root / "usr/lib/modules" / version / name)
    run(["depmod", "--basedir", root, version])
    (root / "etc/lvm/lvmlocal.conf").write_text(_LVM, encoding="utf-8")
    # By content, not by date: all files of the image get one date.
    compiling = ("-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash")
    libraries = [f"/{folder.relative_to(root)}" for folder in (root / "usr/lib").glob("python3*")]
    run(["chroot", root, "python3", *compiling, *libraries, f"/{_PLACE}/lib"])


def make_stage2(image: Path, root: Path, epoch: int, *, busybox: Path = _BUSYBOX) -> None:
    """Write stage 2 to `image`, as a squashfs: what is in the folder `root`, which is added to, or an empty one.

    `busybox` may be one for another machine, of the host's version. Out of an empty folder comes one that installs
    nothing and cannot check a medium.
    """
    _add_busybox(root, busybox)
    _copy(_SCRIPTS / "stage2.sh", root / _PLACE / "stage2", mode=0o755)
    for applet in run([_BUSYBOX, "--list"]).split():
        if applet != "busybox":
            (root / _PLACE / "bin" / applet).symlink_to("busybox")
    for folder in ("dev", "proc", "run", "sys", "tmp"):
        (root / folder).mkdir(exist_ok=True)
    options = ("-quiet", "-no-progress", "-all-root", "-noappend", "-comp", "zstd", "-Xcompression-level", "3")
    run(["mksquashfs", root, image, *options, "-mkfs-time", str(epoch), "-all-time", str(epoch)])


def kernel_version(tree: Path) -> str:
    """The version of the one kernel in `tree`, as `uname -r` tells it."""
    [folder] = (tree / "usr/lib/modules").iterdir()
    return folder.name


def _add_busybox(root: Path, busybox: Path) -> None:
    _copy(busybox, root / _PLACE / "bin/busybox", mode=0o755)
    _copy(_SCRIPTS / "practice.sh", root / _PLACE / "practice.sh")


def _loading_order(tree: Path, wanted: Iterable[str]) -> Iterator[Path]:
    """The files of the wanted modules and of all that they need, each after what it needs."""
    folder = tree / "usr/lib/modules" / kernel_version(tree)
    lines = (folder / "modules.dep").read_text(encoding="utf-8").splitlines()
    needs = {file: rest.split() for file, _, rest in (line.partition(":") for line in lines)}
    files = {Path(file).name.split(".")[0].replace("-", "_"): file for file in needs}
    seen: set[str] = set()
    for file in (files[name] for name in wanted if name in files):
        # modules.dep names what is needed first last.
        for one in (*reversed(needs[file]), file):
            if one not in seen:
                seen.add(one)
                yield folder / one


def _copy(source: Path, target: Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)
