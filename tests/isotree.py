"""A small tree with real boot loaders, for the tests of mastering; run as a program it writes the image.

    python -m tests.isotree CACHE OUTPUT SECONDS

writes it with the clock set ahead by SECONDS.
"""

import dataclasses
import hashlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from isobuilder.iso.bootimage import fat_image
from isobuilder.iso.writer import Written, write_iso
from isobuilder.progress import Silent
from isobuilder.tree import BootRecords, Cached, Content, Inline, Tree

ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
ISOHDPFX = Path("/usr/lib/ISOLINUX/isohdpfx.bin")
MODULES = Path("/usr/lib/syslinux/modules/bios")
EPOCH = 1_700_000_000
VOLUME_ID = "A-volume-id_of_exactly_32-chars_"


def cached(folder: Path, data: bytes) -> Cached:
    """`data` as a file of a cache in `folder`."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / sha256
    if not path.exists():
        path.write_bytes(data)
    return Cached(path, sha256, len(data))


def noise(seed: str, size: int) -> bytes:
    """Bytes that look like a package: the same for the same seed, with no pattern in them."""
    return hashlib.shake_128(seed.encode()).digest(size)


def efi_image(size: int = 1000) -> bytes:
    files = {"EFI/BOOT/BOOTX64.EFI": noise("loader", size), "EFI/BOOT/grub.cfg": b"menu\n"}
    return fat_image(files, label="ANACONDA", epoch=EPOCH, identity="test")


def sample_tree(cache: Path) -> Tree:
    """A medium of some four megabytes with every kind of file: large, empty, long names, other letters."""
    files: dict[str, Content] = {
        "isolinux/isolinux.bin": cached(cache, ISOLINUX.read_bytes()),
        "isolinux/isolinux.cfg": Inline(b"default local\n"),
        "isolinux/vmlinuz": cached(cache, noise("kernel", 300_001)),
        "isolinux/initrd.img": cached(cache, noise("initrd", 2_500_000)),
        "isolinux/ldlinux.c32": cached(cache, (MODULES / "ldlinux.c32").read_bytes()),
        "images/efiboot.img": Inline(efi_image()),
        ".discinfo": Inline(b"1.0\n"),
        ".treeinfo": Inline(b"[header]\n"),
        "empty": Inline(b""),
        "ks/controller.cfg": Inline(b"text\n"),
        "one-block": Inline(bytes(2048)),
        "Packages/g/" + "ö" * 127: Inline(b"a name of 254 bytes"),
        "Packages/g/" + "x" * 251 + ".rpm": Inline(b"a name of 255 bytes"),
        "a/b/c/d/e/f/g/deep": Inline(b"seven folders down"),
    }
    for number in range(40):
        name = f"a-package-with-a-name-that-is-rather-long-{number}.2-3.el9_0.1.x86_64.rpm"
        files[f"Packages/a/{name}"] = cached(cache, noise(name, 100 + 997 * number))
    boot = BootRecords("isolinux/isolinux.bin", "images/efiboot.img", "isolinux/boot.cat", ISOHDPFX.read_bytes())
    return Tree(VOLUME_ID, EPOCH, "test", files, boot)


def with_files(tree: Tree, files: Mapping[str, Content]) -> Tree:
    """The tree with some files more, or others instead."""
    return dataclasses.replace(tree, files={**tree.files, **files})


def contents(tree: Tree) -> dict[str, bytes]:
    """What a reader of the medium should find; the boot catalog, which is made with the medium, left out."""
    return {
        path: content.data if isinstance(content, Inline) else content.path.read_bytes()
        for path, content in tree.files.items()
    }


def write(tree: Tree, output: Path) -> Written:
    return write_iso(tree, output, progress=Silent())


if __name__ == "__main__":
    real_time = time.time
    time.time = lambda: real_time() + float(sys.argv[3])
    write(sample_tree(Path(sys.argv[1])), Path(sys.argv[2]))
