"""A medium for labs: our menu, a real kernel, and a guest that writes its disk, pings the other machine and tells.

It starts from a BIOS in a few seconds. The kernel and its modules are the practice mirror's.
"""

import gzip
import shutil
import subprocess
from pathlib import Path

from isobuilder.boot import guestcode
from isobuilder.boot.check import LOCAL_STARTED
from isobuilder.bootmenu.entries import make_menu
from isobuilder.bootmenu.render import menu_files
from isobuilder.kickstart.disks import STORAGE_INCLUDE
from tests.example_menus import CLOUD, VOLUME_ID, blueprint

SYSLINUX = Path("/usr/lib/syslinux/modules/bios")
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "button", "evdev")
# The front end is 10.9.0.1 and a node 10.9.0.2; each says when it has heard the other.
FRONT_HEARD, NODE_HEARD = "lab guest: 10.9.0.1 has heard 10.9.0.2", "lab guest: 10.9.0.2 has heard 10.9.0.1"
READY = "lab guest: ready"

_INIT = """\
#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
while read -r module; do
    insmod "/modules/$module"
done </modules/order
case $(cat /proc/cmdline) in
*/frontend.cfg*) me=10.9.0.1 other=10.9.0.2 ;;
*) me=10.9.0.2 other=10.9.0.1 ;;
esac
# What the local disk then says when it is started; and the end at the power button.
cat /disk >/dev/vda && sync
for button in /dev/input/event*; do
    (head -c 24 "$button" >/dev/null && poweroff -f) &
done
ip address add "$me/24" dev eth0
ip link set eth0 up
echo "lab guest: ready"
(until ping -c 1 -W 1 "$other" >/dev/null; do :; done; echo "lab guest: $me has heard $other") &
while read -r line; do
    echo "lab guest: heard <$line>"
done </dev/ttyS0
"""


def make_lab_medium(mirror: Path, folder: Path, *, timeout: int = 60) -> Path:
    """Write the medium to `folder`, and give its path."""
    tree = make_lab_tree(folder / "tree", timeout=timeout)
    shutil.copyfile("/usr/lib/ISOLINUX/isolinux.bin", tree / "isolinux/isolinux.bin")
    for name in ("ldlinux.c32", "libcom32.c32", "libutil.c32", "vesamenu.c32", "chain.c32"):
        shutil.copyfile(SYSLINUX / name, tree / "isolinux" / name)
    (tree / "images/pxeboot").mkdir(parents=True)
    shutil.copyfile(mirror / "os/images/pxeboot/vmlinuz", tree / "images/pxeboot/vmlinuz")
    _make_initrd(mirror, folder / "initrd", tree / "images/pxeboot/initrd.img")
    boot = ("-b", "isolinux/isolinux.bin", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
    return write_lab_iso(tree, folder / "Lab Cloud.iso", *boot)


def make_lab_tree(
    tree: Path,
    *,
    kind: str = "chain-grub",
    timeout: int = 60,
    unattended: bool = True,
    console: str | None = "ttyS0,115200",
) -> Path:
    """A tree with menus and kickstarts, and nothing that could be started."""
    install = {"console": console} if console else {}
    made = blueprint(kind, install=install, menu={"timeout": timeout})
    for path, data in menu_files(make_menu(CLOUD, made), made).items():
        _write(tree / path, data)
    for role in CLOUD:
        parts = {"frontend": "frontend", "nc": "nc", "ciab": "frontend nc"}.get(role.role)
        lines = [f"%include {STORAGE_INCLUDE}"] if unattended else []
        lines += [f'PARTS="{parts}"'] if parts else []
        _write(tree / role.path, "".join(f"{line}\n" for line in lines).encode())
    _write(tree / ".discinfo", f"1.000000\nCenter 9\n{made.definition.arch}\nALL\n".encode())
    return tree


def write_lab_iso(tree: Path, iso: Path, *options: str) -> Path:
    """Write `tree` as an ISO, and give its path."""
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-V", VOLUME_ID, "-R", "-o", str(iso), *options, str(tree)]
    subprocess.run(command, check=True, capture_output=True)
    return iso


def _make_initrd(mirror: Path, root: Path, image: Path) -> None:
    _write(root / "init", _INIT.encode(), mode=0o755)
    _write(root / "disk", guestcode.speaking_disk(LOCAL_STARTED))
    _write(root / "bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755)
    system = root.with_name("system")
    system.mkdir(exist_ok=True)
    [package] = (mirror / "os/Packages").glob("kernel-core-*.rpm")
    subprocess.run(["bsdtar", "-x", "-f", package, "-C", system], check=True)
    [modules] = (system / "usr/lib/modules").iterdir()
    loading = subprocess.run(
        ["modprobe", "--dirname", system / "usr", "--set-version", modules.name, "--show-depends", "--all", *MODULES],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    order = list(dict.fromkeys(Path(line.split()[1]) for line in loading if line.startswith("insmod")))
    for module in order:
        _write(root / "modules" / module.name, module.read_bytes())
    _write(root / "modules/order", "".join(f"{module.name}\n" for module in order).encode())
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    packed = subprocess.run(
        ["cpio", "--create", "--format=newc", "--quiet", "--directory", root],
        input=names.encode(),
        check=True,
        capture_output=True,
    ).stdout
    image.write_bytes(gzip.compress(packed, 1))


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
