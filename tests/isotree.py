"""A small tree with real boot loaders, for the tests of mastering; run as a program it writes the image.

    python -m tests.isotree CACHE OUTPUT SECONDS

writes it with the clock set ahead by SECONDS.
"""

import dataclasses
import hashlib
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from isobuilder.iso.bootimage import fat_image
from isobuilder.iso.writer import Written, write_iso
from isobuilder.progress import Silent
from isobuilder.tree import Cached, Content, GrubBios, Inline, Isolinux, Tree, UefiOnly

ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
ISOHDPFX = Path("/usr/lib/ISOLINUX/isohdpfx.bin")
GRUB_MODULES = Path("/usr/lib/grub/i386-pc")
BOOT_HYBRID = GRUB_MODULES / "boot_hybrid.img"
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
    boot = Isolinux("isolinux/isolinux.bin", "images/efiboot.img", ISOHDPFX.read_bytes())
    return Tree(VOLUME_ID, EPOCH, "test", files, boot)


def grub_tree(cache: Path) -> Tree:
    """A medium as that of CentOS 10: GRUB with its modules for BIOS and for UEFI, and menus that say who reads them."""
    files: dict[str, Content] = {
        f"boot/grub2/i386-pc/{path.name}": cached(cache, path.read_bytes())
        for path in GRUB_MODULES.iterdir()
        if path.suffix in {".mod", ".lst"}
    }
    options = ("-O", "i386-pc-eltorito", "-d", GRUB_MODULES, "-p", "/boot/grub2")
    files |= {
        "images/eltorito.img": cached(cache, grub_image(cache / "eltorito.img", *options, "biosdisk", "iso9660")),
        "boot/grub2/grub.cfg": Inline(grub_menu("BIOS")),
        "EFI/BOOT/grub.cfg": Inline(grub_menu("UEFI, of the medium's own file")),
        "images/install.img": cached(cache, noise("stage 2", 3_000_001)),
    }
    boot = GrubBios("images/eltorito.img", Inline(efi_loader(cache)), BOOT_HYBRID.read_bytes())
    return Tree(VOLUME_ID, EPOCH, "test", files, boot)


def uefi_tree(cache: Path) -> Tree:
    """A medium that only UEFI starts, as those for aarch64, though with a loader for x86_64."""
    files: dict[str, Content] = {
        "images/efiboot.img": Inline(efi_loader(cache)),
        "EFI/BOOT/grub.cfg": Inline(grub_menu("UEFI, of the medium's own file")),
        "images/install.img": cached(cache, noise("stage 2", 3_000_001)),
    }
    return Tree(VOLUME_ID, EPOCH, "test", files, UefiOnly("images/efiboot.img"))


def efi_loader(scratch: Path) -> bytes:
    """An EFI image with a GRUB that finds the medium by its label and says so on the first serial port."""
    modules = (
        "configfile",
        "echo",
        "fat",
        "halt",
        "iso9660",
        "normal",
        "part_gpt",
        "part_msdos",
        "search",
        "serial",
        "test",
    )
    loader = grub_image(scratch / "BOOTX64.EFI", "-O", "x86_64-efi", "-p", "/EFI/BOOT", *modules)
    files = {"EFI/BOOT/BOOTX64.EFI": loader, "EFI/BOOT/grub.cfg": grub_menu("UEFI")}
    return fat_image(files, label="ANACONDA", epoch=EPOCH, identity="test")


def grub_menu(firmware: str) -> bytes:
    """Says who started it and from where, and that it finds the medium; then switches off."""
    return f"""\
serial
terminal_output serial
search --set=medium --label {VOLUME_ID}
echo "{firmware} from $cmdpath ($root), medium ($medium)"
if test -f ($medium)/images/install.img; then echo "the medium is whole"; fi
halt
""".encode()


def grub_image(output: Path, *arguments: str | Path) -> bytes:
    subprocess.run(["grub-mkimage", "-o", output, *arguments], check=True, capture_output=True)
    return output.read_bytes()


def with_files(tree: Tree, files: Mapping[str, Content]) -> Tree:
    """The tree with some files more, or others instead."""
    return dataclasses.replace(tree, files={**tree.files, **files})


def contents(tree: Tree) -> dict[str, bytes]:
    """What a reader of the medium should find; the boot catalog, which is made with the medium, left out."""
    return {
        path: content.path.read_bytes() if isinstance(content, Cached) else content.make()
        for path, content in tree.files.items()
    }


def write(tree: Tree, output: Path) -> Written:
    return write_iso(tree, output, progress=Silent())


if __name__ == "__main__":
    real_time = time.time
    time.time = lambda: real_time() + float(sys.argv[3])
    write(sample_tree(Path(sys.argv[1])), Path(sys.argv[2]))
