"""The installer of the practice mirror: an initial RAM disk that finds the medium, and the stage 2 that it starts.

Both are busybox and the scripts of `installer/`; the kernel and its modules come from the practice system.
"""

import gzip
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.practice.host import run

_SCRIPTS = Path(__file__).with_name("installer")
_BUSYBOX = Path("/bin/busybox")
_CHECKISOMD5 = Path("/usr/bin/checkisomd5")

# What a medium can be behind, and what is on it. Modules that a kernel has built in need no file.
_MODULES = (
    *("ahci", "ata_piix", "sd_mod", "sr_mod", "virtio_blk", "virtio_pci", "virtio_scsi"),
    *("ehci_pci", "uas", "uhci_hcd", "usb_storage", "xhci_pci"),
    *("isofs", "loop", "nls_cp437", "nls_ascii", "nls_utf8", "squashfs", "vfat"),
)


def make_initrd(tree: Path, image: Path, scratch: Path, busybox: Path = _BUSYBOX) -> None:
    """Write the initial RAM disk for the kernel in `tree` to `image`; `scratch` is an empty folder to work in."""
    _add_busybox(scratch, busybox)
    _copy(_SCRIPTS / "init", scratch / "init", mode=0o755)
    modules = scratch / "lib/modules"
    modules.mkdir()
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


def make_stage2(
    image: Path, scratch: Path, epoch: int, *, busybox: Path = _BUSYBOX, checker: Path | None = _CHECKISOMD5
) -> None:
    """Write stage 2 to `image`, as a squashfs; `scratch` is an empty folder to work in.

    `busybox` may be one for another machine, of the host's version. Without `checker` it cannot check a medium.
    """
    _add_busybox(scratch, busybox)
    _copy(_SCRIPTS / "stage2.sh", scratch / "sbin/stage2", mode=0o755)
    for applet in run([_BUSYBOX, "--list"]).split():
        if applet != "busybox":
            (scratch / "bin" / applet).symlink_to("busybox")
    if checker:
        _copy(checker, scratch / "bin/checkisomd5", mode=0o755)
        for library in re.findall(r"(/\S+) \(0x", run(["ldd", checker])):
            _copy(Path(library), scratch / library[1:], mode=0o755)
    for folder in ("dev", "proc", "run", "sys", "tmp"):
        (scratch / folder).mkdir()
    options = ("-quiet", "-no-progress", "-all-root", "-noappend", "-comp", "zstd", "-Xcompression-level", "3")
    run(["mksquashfs", scratch, image, *options, "-mkfs-time", str(epoch), "-all-time", str(epoch)])


def kernel_version(tree: Path) -> str:
    """The version of the one kernel in `tree`, as `uname -r` tells it."""
    [folder] = (tree / "usr/lib/modules").iterdir()
    return folder.name


def _add_busybox(root: Path, busybox: Path) -> None:
    for folder in ("bin", "lib", "sbin"):
        (root / folder).mkdir()
    _copy(busybox, root / "bin/busybox", mode=0o755)
    _copy(_SCRIPTS / "practice.sh", root / "lib/practice.sh")


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
