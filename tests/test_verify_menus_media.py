"""Menus of media that are made otherwise: by other releases, other makers, by us, and damaged ones."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.menu_media import (
    ERASING,
    GRUB,
    ISOLINUX,
    Change,
    appended,
    checked,
    edit,
    every,
    everywhere,
    grub,
    only_esp,
    rack_by_default,
    seen,
    to_esp,
    write,
)
from tests.stock_media import StockMedium, escaped, esp_image, master


def old_isolinux(tree: Path) -> None:
    """Make isolinux say that it is version 4, which knows no Rock Ridge."""
    path = tree / "isolinux/isolinux.bin"
    data = path.read_bytes()
    assert b"ISOLINUX 6.04" in data
    path.unlink()
    path.write_bytes(data.replace(b"ISOLINUX 6.04", b"ISOLINUX 4.05"))


def test_isolinux_4_sees_plain_names_only(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    long_name = every(
        write("isolinux/initrd-of-the-installer.img", b"initrd"),
        edit(ISOLINUX, "initrd=initrd.img", "initrd=initrd-of-the-installer.img", 1),
        edit(ISOLINUX, "kernel vmlinuz\n", "kernel VMLINUZ\n", 1),
    )
    for name, change, expected in (
        # Version 6 goes by Rock Ridge, where capitals count.
        ("six", long_name, [("menu-kernel-missing", f"{ISOLINUX}, line 12")]),
        ("four", every(long_name, old_isolinux), [("menu-name-unseen", f"{ISOLINUX}, line 13")]),
    ):
        (tmp_path / name).mkdir()
        iso = stock_media["9"].changed(tmp_path / name, change, implant=False)
        menus = checked(iso, tmp_path / name / "tree.esp")
        assert seen(menus) == expected
    assert "INITRD_O.IMG" in menus.findings[0].message


def as_release_6(tree: Path) -> None:
    """The menus of release 6: words without inst., and the old GRUB."""
    line = "ks=cdrom:/ks.cfg"
    (tree / ISOLINUX).write_text(
        "default vesamenu.c32\n#prompt 1\ntimeout 600\n\ndisplay boot.msg\n\nmenu background splash.png\n"
        "menu title Welcome to CentOS 6.10!\n\nlabel linux\n  menu label ^Install or upgrade an existing system\n"
        "  menu default\n  kernel vmlinuz\n  append initrd=initrd.img \nlabel vesa\n"
        "  menu label Install system with ^basic video driver\n  kernel vmlinuz\n"
        "  append initrd=initrd.img xdriver=vesa nomodeset\nlabel rescue\n  menu label ^Rescue installed system\n"
        f"  kernel vmlinuz\n  append initrd=initrd.img rescue\nlabel ks\n  kernel vmlinuz\n"
        f"  append initrd=initrd.img {line}\nlabel local\n  menu label Boot from ^local drive\n"
        "  localboot 0xffff\nlabel memtest86\n  menu label ^Memory test\n  kernel memtest\n  append -\n"
    )
    (tree / "isolinux/memtest").write_bytes(b"memtest")
    kernel, initrd = "\tkernel /images/pxeboot/vmlinuz", "\tinitrd /images/pxeboot/initrd.img\n"
    conf = (
        f"#debug --graphics\ndefault=0\nsplashimage=/EFI/BOOT/splash.xpm.gz\ntimeout 5\nhiddenmenu\n"
        f"title CentOS 6\n{kernel}\n{initrd}title Install system with basic video driver\n{kernel} xdriver=vesa "
        f"nomodeset askmethod\n{initrd}title rescue\n{kernel} rescue askmethod\n{initrd}"
        f"title ks\n{kernel} {line}\n{initrd}"
    )
    (tree / GRUB).unlink()
    (tree / "EFI/BOOT/BOOTX64.conf").write_text(conf)
    (tree / "EFI/BOOT/splash.xpm.gz").write_bytes(b"a picture")
    image = tree.with_name(f"{tree.name}.esp")
    subprocess.run(["mdel", "-i", image, f"::/{GRUB}", "::/EFI/BOOT/grubx64.efi"], check=True, timeout=60)
    subprocess.run(["mcopy", "-i", image, tree / "EFI/BOOT/BOOTX64.conf", "::/EFI/BOOT/"], check=True, timeout=60)
    treeinfo = (tree / ".treeinfo").read_text()
    (tree / ".treeinfo").write_text(treeinfo.replace("version = 7", "version = 6.10"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (every(), []),
        (edit(ISOLINUX, "ks=cdrom:/ks.cfg", "inst.ks=cdrom:/ks.cfg"),
         [("menu-argument-ignored", f"{ISOLINUX}, line 25")]),
        (edit("EFI/BOOT/BOOTX64.conf", "default=0", "default=9"),
         [("menu-default-missing", "EFI/BOOT/BOOTX64.conf, line 2"), ("menu-copies-differ",
           "EFI/BOOT/BOOTX64.conf in the EFI image")]),
        (edit("EFI/BOOT/BOOTX64.conf", "rescue askmethod", "rescue sshd"),
         [("menu-arguments-differ", f"{ISOLINUX}, line 22"),
          ("menu-copies-differ", "EFI/BOOT/BOOTX64.conf in the EFI image")]),
    ],
    ids=["good", "inst.ks", "default", "arguments"],
)  # fmt: skip
def test_release_6(
    change: Change, expected: list[tuple[str, str]], stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    iso = stock_media["7"].changed(tmp_path, every(as_release_6, old_isolinux, change), implant=False)
    menus = checked(iso, tmp_path / "tree.esp")
    assert seen(menus) == expected, menus.findings
    assert [menu.loader for menu in menus.menus] == ["isolinux", "grub-legacy", "grub-legacy"]


def windows(path: str) -> Change:
    def change(tree: Path) -> None:
        data = (tree / path).read_bytes()
        (tree / path).write_bytes(data.replace(b"\n", b"\r\n").replace(b"rack", b"r\xe4ck"))

    return change


DEBIANS = """search --file --set=root /.treeinfo
set prefix=($root)/boot/grub
source $prefix/grub.cfg
"""
SEARCHES = (
    "search --no-floppy --set=root -l 'CentOS-Stream-9-BaseOS-x86_64'",
    "search --no-floppy --label CentOS-Stream-9-BaseOS-x86_64 --set root",
    "search --no-floppy --set=root -u 2023-11-14-22-13-20-00",
    "search --no-floppy --set=root --file /images/install.img",
    "if ! search --set=root -l NONE; then\n  search --set=root -l CentOS-Stream-9-BaseOS-x86_64\nfi",
    "for name in one CentOS-Stream-9-BaseOS-x86_64; do\n  search --set=root -l $name\ndone",
)
GOOD: dict[str, Change] = {
    **{
        f"search {number}": grub("search --no-floppy --set=root -l 'CentOS-Stream-9-BaseOS-x86_64'", search)
        for number, search in enumerate(SEARCHES)
    },
    "a stub in the EFI image": every(
        lambda tree: write("boot/grub/grub.cfg", (tree / GRUB).read_text())(tree),
        write(GRUB, DEBIANS),
        to_esp,
    ),
    "an EFI image that leads to the tree": only_esp(write(
        GRUB, "search --file --set=root /.treeinfo\nconfigfile /EFI/BOOT/grub.cfg\n")),
    "a list that does not end": edit(ISOLINUX, "menu end\n", ""),
    "entries for other things": every(
        appended(GRUB, "if loadfont /none.pf2; then\n set theme=/none.txt\nfi\nmenuentry 'Disk' {\n if search --file "
                 "--set=root /EFI/centos/shimx64.efi; then\n  chainloader /EFI/centos/shimx64.efi\n fi\n}\n"
                 "menuentry 'Windows' {\n search --set=root -f /EFI/Microsoft/Boot/bootmgfw.efi\n chainloader "
                 "/EFI/Microsoft/Boot/bootmgfw.efi\n}\nmenuentry 'Firmware' { fwsetup; }\nfrobnicate --all\n"),
        to_esp,
        appended(ISOLINUX, "label more\n  frobnicate\n  localboot -1\nmenu frobnicate 3\nnonsense\n"),
    ),
    "by firmware": grub("\tlinuxefi ", "\tif [ $grub_platform = pc ]; then linux16 /x; fi\n\tlinuxefi "),
    "a kickstart elsewhere": everywhere("/ks.cfg quiet", "/ks.cfg inst.addrepo=a,http://example.org/a inst.repo=cdrom "
                                        "inst.updates=http://example.org/u.img inst.dd=hd:sdb1:/dd.iso quiet"),
    "windows line ends": every(windows(ISOLINUX), windows(GRUB), to_esp),
    "upper case": edit(ISOLINUX, "label entry0\n  menu label", "LABEL entry0\n  MENU LABEL"),
    "a kickstart that asks": every(appended("ks.cfg", "%pre\nclearpart\n%end\n"), rack_by_default()),
    "waiting for somebody": every(
        appended("ks.cfg", ERASING), rack_by_default(), edit(ISOLINUX, "timeout 600", "timeout 0"),
        grub("set timeout=60", "set timeout=-1")),
    "a serial console": everywhere("/ks.cfg quiet", "/ks.cfg quiet console=ttyS0,115200"),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_what_is_no_mistake_raises_nothing(case: str, stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    iso = stock_media["9"].changed(tmp_path, GOOD[case], implant=False)
    menus = checked(iso, tmp_path / "tree.esp")
    assert menus.findings == ()


def test_without_rock_ridge_linux_and_grub_see_other_names(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    stock = stock_media["9"]
    for names in (("-J",), ("-l",)):
        iso = master(stock.tree, tmp_path / "plain.iso", stock.stock, implant=False, names=names)
        assert checked(iso, stock.tree.with_name(f"{stock.tree.name}.esp")).findings == ()


@pytest.mark.practice
def test_our_own_medium_raises_nothing(demo_iso: Path, tmp_path: Path) -> None:
    image = tmp_path / "efiboot.img"
    command = ["xorriso", "-osirrox", "on", "-indev", str(demo_iso), "-extract", "/images/efiboot.img", str(image)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    menus = checked(demo_iso, image)
    assert menus.findings == ()
    assert menus.kickstarts
    assert len(menus.menus) == 3


# Our own media, of every release.

_MENUS = Path(__file__).parent.parent / "menus"
_OWN = sorted(path.parent for path in (Path(__file__).parent / "golden/media").glob("*/*/ks"))


def own_tree(tree: Path, approved: Path) -> str:
    """Lay out a medium with approved menus and kickstarts; its volume id."""
    shutil.copytree(approved, tree)
    for path in ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/install.img", "LiveOS/squashfs.img"):
        write(path, b"a file")(tree)
    for menu in (tree / "EFI/BOOT", tree / "boot/grub2"):
        if menu.exists():
            write(f"{menu.relative_to(tree)}/theme/theme.txt", 'desktop-image: "background.png"\n')(tree)
            shutil.copyfile(_MENUS / "background.png", menu / "theme/background.png")
    write("EFI/BOOT/BOOTX64.EFI", b"MZ")(tree)
    write("EFI/BOOT/fonts/unicode.pf2", b"PFF2")(tree)
    if (tree / "isolinux").exists():
        write("isolinux/isolinux.bin", b"ISOLINUX 6.04")(tree)
        for name in ("vesamenu.c32", "chain.c32", "splash.png"):
            write(f"isolinux/{name}", b"a file")(tree)
    if (tree / "boot/grub2").exists():
        write("boot/grub2/i386-pc/normal.mod", b"a module")(tree)
    write(".discinfo", f"1.0\nCentOS {approved.parent.name.partition('-')[0]}\nx86_64\n")(tree)
    return f"CAMPUS-{approved.parent.name.upper()}"


@pytest.mark.parametrize("approved", _OWN, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_our_own_media_of_every_release_raise_nothing(approved: Path, tmp_path: Path) -> None:
    tree, iso = tmp_path / "tree", tmp_path / "own.iso"
    label = own_tree(tree, approved)
    esp = esp_image(
        tmp_path / "esp",
        {str(path.relative_to(tree)): path.read_bytes() for path in tree.glob("EFI/**/*") if path.is_file()},
    )
    command: list[str | Path] = ["xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-R", "-V", label, tree]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    menus = checked(iso, esp)
    assert menus.findings == ()
    # The one for images of machines has no entry.
    assert set(menus.kickstarts) == {f"ks/{path.name}" for path in (approved / "ks").iterdir()} - {"ks/image.cfg"}
    assert len({menu.path for menu in menus.menus}) == (2 if "aarch64" in approved.name else 3)


# Menus of other vendors' remasters, with the mistakes that they were published with.


def test_a_real_remaster_of_6(real_metadata: Path, stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    folder = real_metadata / "bootcfg/centos-6"

    def remaster(tree: Path) -> None:
        as_release_6(tree)
        old_isolinux(tree)
        shutil.copyfile(folder / "isolinux.cfg", tree / ISOLINUX)
        shutil.copyfile(folder / "BOOTX64.conf", tree / "EFI/BOOT/BOOTX64.conf")
        image = tree.with_name("tree.esp")
        subprocess.run(["mcopy", "-o", "-i", image, folder / "BOOTX64.conf", "::/EFI/BOOT/"], check=True, timeout=60)
        (tree / "isolinux/splash.jpg").write_bytes(b"a picture")
        (tree / "isolinux/ks.cfg").write_text((tree / "ks.cfg").read_text() + ERASING)

    menus = checked(stock_media["7"].changed(tmp_path, remaster, implant=False), tmp_path / "tree.esp")
    assert seen(menus) == [
        # Left alone for three seconds on a BIOS, for five on UEFI.
        ("menu-default-erases", f"{ISOLINUX}, line 22"),
        ("menu-default-erases", "EFI/BOOT/BOOTX64.conf in the EFI image, line 2"),
        ("menu-entry-not-everywhere", f"{ISOLINUX}, line 21"),
        ("menu-arguments-differ", f"{ISOLINUX}, line 26"),
    ]
    messages = [finding.message for finding in menus.findings]
    assert "after 3 seconds" in messages[0]
    assert "after 5 seconds" in messages[1]
    assert "plain install" in messages[2]
    assert "add_xen_entry=1" in messages[3]
    assert "is_efi=1" in messages[3]


def test_a_real_remaster_of_7(real_metadata: Path, stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    folder = real_metadata / "bootcfg/centos-7"

    def remaster(tree: Path) -> None:
        shutil.copyfile(folder / "isolinux.cfg", tree / ISOLINUX)
        shutil.copyfile(folder / "grub.cfg", tree / GRUB)
        to_esp(tree)
        (tree / "isolinux/memtest").write_bytes(b"memtest")

    menus = checked(stock_media["7"].changed(tmp_path, remaster, implant=False), tmp_path / "tree.esp")
    assert seen(menus) == [
        ("menu-label-other", f"{ISOLINUX}, line 65"),
        ("menu-default-unseen", f"{ISOLINUX}, line 61"),
        ("menu-kickstart-not-everywhere", f"{ISOLINUX}, line 65"),
    ]
    assert "ViaB-CentOS-7" in menus.findings[0].message
    assert escaped("CentOS 7 x86_64") in menus.findings[0].message


# Damaged and hostile media.


def test_damaged_menus_are_findings_and_no_faults(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    stock = stock_media["7"]
    esp = stock.tree.with_name(f"{stock.tree.name}.esp")
    data = stock.iso.read_bytes()
    places = [
        data.index(text)
        for text in (b"default vesamenu.c32", b'set default="1"', b"# A rack node", b"[checksums]", b"CD001")
    ]
    rng = random.Random(7)
    for _ in range(40):
        patches = [
            (rng.choice(places) + rng.randrange(1500), bytes(rng.randrange(256) for _ in range(rng.randrange(1, 40))))
            for _ in range(6)
        ]
        # The volume descriptor itself is another check's.
        iso = stock.patched(tmp_path, *[(place, new) for place, new in patches if place > 20 * 2048])
        checked(iso, esp)


def test_hostile_menus_end(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    doubling = "".join(f"function f{n} {{ f{n + 1}; f{n + 1}; }}\n" for n in range(40)) + "f0\n"
    many = "".join(f"set v{n}=1\n" for n in range(6000)) + "if a; then true; fi\n" * 6000
    quoted = '"' + "$ \\ " * 30_000 + '"\n'
    for number, text in enumerate((many, quoted, "\n" * 200_000, ";" * 200_000, "{\n" * 100_000, "a " * 100_000)):
        (tmp_path / str(number)).mkdir()
        path = stock_media["uefi"].changed(tmp_path / str(number), write(GRUB, text), implant=False)
        assert checked(path, None).findings
    hostile = every(
        write(ISOLINUX, "include isolinux.cfg\n" * 4000 + "label a\n kernel vmlinuz\n" * 4000),
        write(
            GRUB, doubling + "set x=" + "$x" * 4000 + "\nsource $prefix/grub.cfg\n" * 500 + "if " * 9000 + "{" * 9000
        ),
        to_esp,
    )
    iso = stock_media["9"].changed(tmp_path, hostile, implant=False)
    assert checked(iso, tmp_path / "tree.esp").findings
