"""Boot menus of good media raise nothing, and each mistake in one is found where it is."""

from pathlib import Path

import pytest

from isobuilder.verify.menus import KINDS
from tests.menu_media import (
    BIOS,
    ERASING,
    GRUB,
    INSIDE,
    ISOLINUX,
    Change,
    appended,
    checked,
    drop_last_entry,
    edit,
    every,
    everywhere,
    grub,
    only_esp,
    rack_by_default,
    remove,
    remove_inside,
    seen,
    to_esp,
    write,
)
from tests.stock_media import StockMedium, kernel_lines

STOCK = ("7", "9", "10", "uefi")


@pytest.mark.parametrize("name", STOCK)
def test_good_media_raise_nothing(name: str, stock_media: dict[str, StockMedium]) -> None:
    stock = stock_media[name]
    menus = checked(stock.iso, stock.tree.with_name(f"{stock.tree.name}.esp"))
    assert menus.findings == ()
    # The menu of BIOS, that of the EFI image, and that of the tree.
    assert [menu.path for menu in menus.menus] == [
        *{"isolinux": [ISOLINUX], "grub": [BIOS]}.get(stock.stock.bios or "", []),
        INSIDE,
        GRUB,
    ]
    for menu in menus.menus:
        lines = [boot.arguments for entry in menu.entries for boot in entry.boots]
        assert lines == list(kernel_lines(stock.stock).values()) or menu.loader == "grub"
        assert sorted(lines) == sorted(kernel_lines(stock.stock).values())
        assert menu.default.entry
        assert menu.default.entry.title.startswith("Test this media")
    assert set(menus.kickstarts) == {"ks.cfg"}
    assert len(menus.kickstarts["ks.cfg"]) == len(menus.menus)


# What is broken, in which medium, how, and what is said: each kind with its place.
def linked(tree: Path) -> None:
    (tree / ISOLINUX).with_name("vmlinuz").unlink()
    (tree / ISOLINUX).with_name("vmlinuz").symlink_to("../images/pxeboot/vmlinuz")


CASES: dict[str, tuple[str, Change, list[tuple[str, str]]]] = {
    # Menus that are not there or not to be read.
    "no isolinux.cfg": ("9", remove(ISOLINUX), [("menu-missing", "isolinux/isolinux.bin")]),
    "no grub.cfg for a BIOS": ("10", remove(BIOS), [("menu-missing", BIOS)]),
    "NUL bytes": ("9", write(ISOLINUX, b"default \0\0"), [("menu-unreadable", ISOLINUX)]),
    "a menu as large as an image": ("10", write(BIOS, b"#" * (2 << 20)), [("menu-unreadable", BIOS)]),
    "a byte order mark": (
        "9",
        lambda tree: write(ISOLINUX, b"\xef\xbb\xbf" + (tree / ISOLINUX).read_bytes())(tree),
        [("menu-byte-order-mark", f"{ISOLINUX}, line 1")],
    ),
    "no menu in the EFI image": (
        "9",
        remove_inside,
        [("menu-missing", "EFI/BOOT in the EFI image")],
    ),
    "an old copy": ("7", write("EFI/BOOT/BOOT.conf", "menuentry 'old' {\n linux /v\n}\n"),
                    [("menu-stale-copy", "EFI/BOOT/BOOT.conf")]),
    "an empty menu": ("9", write(ISOLINUX, "default vesamenu.c32\ntimeout 600\n"), [("menu-empty", ISOLINUX)]),
    # Grammar and names.
    "a brace is missing": ("9", grub("initrd.img\n}\n", "initrd.img\n", 1), [("menu-syntax", f"{INSIDE}, line 19")]),
    "a quote is missing": ("9", grub("'Troubleshooting -->'", "'Troubleshooting -->"),
                           [("menu-syntax", f"{INSIDE}, line 27")]),
    "initrd before linux": ("10", edit(BIOS, "\tlinux /images", "\tlinx /images", 1),
                            [("menu-syntax", f"{BIOS}, line 21")]),
    "menuentry in another spelling": ("10", edit(BIOS, "menuentry 'Install a rack", "menuentri 'Install a rack"),
                                      [("menu-syntax", f"{BIOS}, line 37")]),
    "an id twice": ("10", edit(BIOS, "menuentry 'Rescue", "menuentry --id same 'x' {\n true\n}\nmenuentry --id same "
                                     "'y' {\n true\n}\nmenuentry 'Rescue"),
                    [("menu-entry-twice", f"{BIOS}, line 32")]),
    "a label twice": ("9", edit(ISOLINUX, "label entry2", "label entry0"),
                      [("menu-entry-twice", f"{ISOLINUX}, line 10")]),
    "two defaults": ("9", edit(ISOLINUX, "label entry3\n", "label entry3\n  menu default\n"),
                     [("menu-default-twice", f"{ISOLINUX}, line 15"),
                      ("menu-defaults-differ", f"{ISOLINUX}, line 26")]),
    "a label too long": ("9", edit(ISOLINUX, "label entry0", f"label {'x' * 300}"),
                         [("menu-label-long", f"{ISOLINUX}, line 10")]),
    "a line too long": ("9", edit(ISOLINUX, "menu title", f"menu title {'x' * 5000}", 1),
                        [("menu-syntax", f"{ISOLINUX}, line 7")]),
    "a kernel line too long": ("9", everywhere("nomodeset", f"nomodeset {'x' * 2000}"),
                               [("menu-kernel-line-long", f"{ISOLINUX}, line 24"),
                                ("menu-kernel-line-long", f"{INSIDE}, line 29")]),
    # Files that are named.
    "no kernel": ("9", edit(ISOLINUX, "kernel vmlinuz\n", "kernel vmlinux\n", 1),
                  [("menu-kernel-missing", f"{ISOLINUX}, line 12")]),
    "an empty kernel": ("9", write("isolinux/vmlinuz", b""), [("menu-kernel-missing", f"{ISOLINUX}, line 12")]),
    "no initrd": ("9", edit(ISOLINUX, "initrd=initrd.img", "initrd=initrd.gz", 1),
                  [("menu-initrd-missing", f"{ISOLINUX}, line 13")]),
    "a kernel that is a link": (
        "9",
        linked,
        [("menu-kernel-missing", f"{ISOLINUX}, line 12")],
    ),
    "a kickstart at no address": ("9", everywhere("inst.ks=hd:LABEL=CentOS-Stream-9-BaseOS-x86_64:/ks.cfg",
                                                  "inst.ks=@KICKSTART@"),
                                  [("menu-kickstart-missing", f"{ISOLINUX}, line 34")]),
    "a label without LABEL=": ("9", everywhere("inst.ks=hd:LABEL=", "inst.ks=hd:"),
                               [("menu-label-other", f"{ISOLINUX}, line 34")]),
    "capitals of an initrd": ("10", edit(BIOS, "pxeboot/initrd.img", "pxeboot/Initrd.img", 1),
                              [("menu-initrd-missing", f"{BIOS}, line 21")]),
    "no initrd named": ("9", edit(ISOLINUX, "initrd=initrd.img ", "", 1), [("menu-no-initrd", f"{ISOLINUX}, line 13")]),
    "no vesamenu.c32": ("9", remove("isolinux/vesamenu.c32"), [("menu-module-missing", f"{ISOLINUX}, line 1")]),
    "no included menu": ("9", appended(ISOLINUX, "include more.cfg\n"),
                         [("menu-included-missing", f"{ISOLINUX}, line 46")]),
    "no memory test": ("9", appended(ISOLINUX, "label memtest\n  kernel memtest\n  append -\n"),
                       [("menu-program-missing", f"{ISOLINUX}, line 47")]),
    "no chained loader": ("9", every(appended(GRUB, "menuentry 'Shell' {\n chainloader /EFI/shell.efi\n}\n"), to_esp),
                          [("menu-chained-missing", f"{INSIDE}, line 42")]),
    "no boot.msg": ("9", remove("isolinux/boot.msg"), [("menu-message-missing", f"{ISOLINUX}, line 4")]),
    "no background": ("9", remove("isolinux/splash.png"), [("menu-picture-missing", f"{ISOLINUX}, line 6")]),
    "no theme": ("9", grub("load_video\nset", "set theme=/EFI/BOOT/theme.txt\nload_video\nset"),
                 [("menu-picture-missing", f"{INSIDE}, line 7")]),
    "a picture of a theme": (
        "10",
        every(write("boot/grub2/theme.txt", 'desktop-image: "none.png"\n'), edit(BIOS, "set timeout", "set theme="
              "($root)/boot/grub2/theme.txt\nset timeout")),
        [("menu-picture-missing", "boot/grub2/theme.txt")],
    ),
    "nothing sets root": ("9", grub("search --no-floppy --set=root -l 'CentOS-Stream-9-BaseOS-x86_64'\n", ""),
                          [("menu-root-lost", f"{INSIDE}, line 19")]),
    "linuxefi on a BIOS": ("10", edit(BIOS, "\tlinux /", "\tlinuxefi /", 1),
                           [("menu-wrong-command", f"{BIOS}, line 20")]),
    "linuxefi with initrd": ("9", grub("\tinitrdefi", "\tinitrd", 1), [("menu-mixed-commands", f"{INSIDE}, line 20")]),
    # Labels.
    "another label": ("9", everywhere("hd:LABEL=CentOS-Stream-9-BaseOS-x86_64 rd", "hd:LABEL=CentOS-9 rd"),
                      [("menu-label-other", f"{ISOLINUX}, line 19")]),
    "a blank in a label": ("7", edit(ISOLINUX, r"CentOS\x207\x20x86_64 rd", "CentOS 7 x86_64 rd"),
                           [("menu-label-escape", f"{ISOLINUX}, line 19"),
                            ("menu-arguments-differ", f"{ISOLINUX}, line 19")]),
    "a quoted blank": ("7", grub(r"inst.stage2=hd:LABEL=CentOS\x207\x20x86_64 rd",
                                 '"inst.stage2=hd:LABEL=CentOS 7 x86_64" rd'),
                       [("menu-label-escape", f"{INSIDE}, line 24")]),
    "capitals of an escape": ("7", edit(ISOLINUX, r"\x207\x20x86_64:/ks", r"\X207\X20x86_64:/ks"),
                              [("menu-label-other", f"{ISOLINUX}, line 34")]),
    "a doubled backslash": ("7", edit(ISOLINUX, r"CentOS\x207\x20x86_64 rd", r"CentOS\\x207\\x20x86_64 rd"),
                            [("menu-label-escape", f"{ISOLINUX}, line 19")]),
    "another UUID": ("9", everywhere("LABEL=CentOS-Stream-9-BaseOS-x86_64 rd", "UUID=2020-01-01-00-00-00-00 rd"),
                     [("menu-uuid-other", f"{ISOLINUX}, line 19")]),
    "a search with escapes": ("7", grub("-l 'CentOS 7 x86_64'", r"-l 'CentOS\x207\x20x86_64'"),
                              [("menu-search-fails", f"{INSIDE}, line 16")]),
    "a search for a file": ("9", grub("-l 'CentOS-Stream-9-BaseOS-x86_64'", "-f /.disk/info"),
                            [("menu-search-fails", f"{INSIDE}, line 16")]),
    # What the installer fetches.
    "no kickstart": ("9", remove("ks.cfg"), [("menu-kickstart-missing", f"{ISOLINUX}, line 34")]),
    "another name of a kickstart": ("9", everywhere(":/ks.cfg", ":/KS.cfg"),
                                    [("menu-kickstart-missing", f"{ISOLINUX}, line 34")]),
    "no second stage": ("9", remove("images/install.img"), [("menu-stage2-missing", f"{ISOLINUX}, line 13")]),
    "a repository that is not there": (
        "9",
        everywhere("/ks.cfg quiet", "/ks.cfg inst.addrepo=more,file:///run/install/repo/more quiet"),
        [("menu-repository-missing", f"{ISOLINUX}, line 34")],
    ),
    "a repository without repodata": (
        "9",
        everywhere("/ks.cfg quiet", "/ks.cfg inst.repo=hd:LABEL=CentOS-Stream-9-BaseOS-x86_64:/EFI quiet"),
        [("menu-repository-missing", f"{ISOLINUX}, line 34")],
    ),
    "no updates": (
        "9",
        everywhere("/ks.cfg quiet", "/ks.cfg inst.updates=hd:LABEL=CentOS-Stream-9-BaseOS-x86_64:/u.img quiet"),
        [("menu-image-missing", f"{ISOLINUX}, line 34")],
    ),
    "a kickstart by cdrom": ("9", everywhere("inst.ks=hd:LABEL=CentOS-Stream-9-BaseOS-x86_64:", "inst.ks=cdrom:"),
                             [("menu-kickstart-optical", f"{ISOLINUX}, line 34")]),
    "ks= on 9": ("9", everywhere("inst.ks=", "ks="), [("menu-argument-ignored", f"{ISOLINUX}, line 34")]),
    "no inst.stage2": ("9", everywhere("inst.stage2=hd:LABEL=CentOS-Stream-9-BaseOS-x86_64 rd", "rd"),
                       [("menu-stage2-unnamed", f"{ISOLINUX}, line 19"),
                        ("menu-stage2-unnamed", f"{INSIDE}, line 24")]),
    # Menus that are not alike.
    "a role in isolinux only": ("9", every(lambda tree: drop_last_entry(tree / GRUB), to_esp),
                                [("menu-kickstart-not-everywhere", f"{ISOLINUX}, line 34")]),
    "a rescue in GRUB only": ("9", edit(ISOLINUX, "inst.rescue ", ""),
                              [("menu-entry-not-everywhere", f"{GRUB}, line 33")]),
    "other words": ("9", edit(ISOLINUX, "nomodeset", "nomodeset selinux=0"),
                    [("menu-arguments-differ", f"{ISOLINUX}, line 24")]),
    "another default": ("9", edit(ISOLINUX, "label entry1\n  menu label ^Test this media & install CentOS 9\n  menu "
                        "default\n", "label entry1\n  menu label ^Test\n"),
                        [("menu-defaults-differ", f"{ISOLINUX}, line 10")]),
    "a role in the tree only": ("9", only_esp(lambda tree: drop_last_entry(tree / GRUB)),
                                [("menu-copies-differ", INSIDE)]),
    "another label in the tree": ("9", only_esp(edit(GRUB, "nomodeset", "nomodeset debug")),
                                  [("menu-copies-differ", INSIDE)]),
    "another comment in the tree": ("9", only_esp(edit(GRUB, "### END", "### The end")),
                                    [("menu-texts-differ", INSIDE)]),
    # The default.
    "no such default": ("9", grub('default="1"', 'default="7"'), [("menu-default-missing", f"{INSIDE}, line 1")]),
    "no default at all": ("9", edit(ISOLINUX, "default vesamenu.c32\n", "\n"), [("menu-default-missing", ISOLINUX)]),
    "a default that erases": (
        "9",
        every(appended("ks.cfg", ERASING), rack_by_default()),
        [("menu-default-erases", f"{ISOLINUX}, line 30")],
    ),
    "a default out of the network": (
        "9",
        every(rack_by_default(), everywhere("inst.ks=hd:LABEL=CentOS-Stream-9-BaseOS-x86_64:/ks.cfg",
                                                     "inst.ks=http://example.org/ks.cfg")),
        [("menu-default-unseen", f"{ISOLINUX}, line 30")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_mistake_is_found_where_it_is(case: str, stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    name, change, expected = CASES[case]
    iso = stock_media[name].changed(tmp_path, change, implant=False)
    menus = checked(iso, tmp_path / "tree.esp")
    assert seen(menus) == expected, menus.findings
    for finding in menus.findings:
        assert finding.message
        assert finding.kind in KINDS


def test_each_kind_has_a_case() -> None:
    covered = {kind for _, _, expected in CASES.values() for kind, _ in expected}
    # test_isolinux_4_sees_plain_names_only
    assert {kind.id for kind in KINDS} - covered == {"menu-name-unseen"}
    assert len({kind.id for kind in KINDS}) == len(KINDS)


def test_a_limit_is_that_of_the_kernel_which_is_started(stock_media: dict[str, StockMedium]) -> None:
    stock = stock_media["uefi"]
    limits = {"images/pxeboot/vmlinuz": 150}
    menus = checked(stock.iso, None, limits)
    assert {kind for kind, _ in seen(menus)} == {"menu-kernel-line-long"}
    assert checked(stock.iso, None, {"images/pxeboot/vmlinuz": 255}).findings == ()
