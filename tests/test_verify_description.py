"""What a medium says it is must be so: .treeinfo, .discinfo and media.repo, broken one way at a time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from isobuilder.verify.description import describe
from isobuilder.verify.medium import open_medium
from tests.stock_media import StockMedium, master
from tests.verifying import found, message

TREEINFO = ".treeinfo"


def replaced(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(tree: Path) -> None:
        text = (tree / path).read_text()
        assert old in text
        (tree / path).write_text(text.replace(old, new))

    return change


def removed(path: str) -> Callable[[Path], None]:
    return lambda tree: (tree / path).unlink()


def appended(path: str, data: bytes) -> Callable[[Path], None]:
    def change(tree: Path) -> None:
        # Not in place: the tree's files may be hard links.
        whole = (tree / path).read_bytes() + data
        (tree / path).unlink()
        (tree / path).write_bytes(whole)

    return change


def written(path: str, data: bytes) -> Callable[[Path], None]:
    def change(tree: Path) -> None:
        (tree / path).write_bytes(data)

    return change


BREAKS: dict[str, tuple[Callable[[Path], None], set[tuple[str, str]]]] = {
    "no treeinfo": (removed(TREEINFO), {("treeinfo-missing", TREEINFO)}),
    "no INI": (written(TREEINFO, b"no section = 1\n"), {("treeinfo-malformed", TREEINFO)}),
    "not text": (written(TREEINFO, b"\xff\xfe\x00"), {("treeinfo-malformed", TREEINFO)}),
    "no stage 2": (
        replaced(TREEINFO, "mainimage = images/install.img", "mainimage = LiveOS/squashfs.img"),
        {("treeinfo-file-missing", TREEINFO)},
    ),
    "no such initrd": (
        replaced(TREEINFO, "initrd = images/pxeboot/initrd.img", "initrd = images/pxeboot/initrd"),
        {("treeinfo-file-missing", TREEINFO)},
    ),
    "no such image": (
        replaced(TREEINFO, "efiboot.img = images/efiboot.img", "efiboot.img = images/efi.img"),
        {("treeinfo-image-missing", TREEINFO)},
    ),
    "other stage 2": (appended("images/install.img", b"more"), {("treeinfo-sum-differs", "images/install.img")}),
    "other EFI image": (
        appended("images/efiboot.img", bytes(2048)),
        {("treeinfo-image-differs", "images/efiboot.img")},
    ),
    "another release": (
        replaced(".discinfo", "CentOS Stream 9", "CentOS Stream 8"),
        {("version-differs", ".discinfo, line 2")},
    ),
    "a vendor's own count": (replaced(".discinfo", "CentOS Stream 9", "Racks 1.8"), set()),
    "no sum": (
        replaced(TREEINFO, "images/install.img = sha256:", "images/install.img = crc:"),
        {("treeinfo-sum-malformed", TREEINFO)},
    ),
    "no repository": (
        replaced(TREEINFO, "repository = .", "repository = BaseOS"),
        {("treeinfo-repository-missing", TREEINFO)},
    ),
    "another variant": (
        appended(TREEINFO, b"\n[variant-AppStream]\nid = AppStream\nrepository = ../AppStream\n"),
        {("treeinfo-variant-missing", TREEINFO)},
    ),
    "another architecture": (
        replaced(TREEINFO, "arch = x86_64", "arch = aarch64"),
        {("arch-differs", ".discinfo, line 3")},
    ),
    "no discinfo": (removed(".discinfo"), {("discinfo-missing", ".discinfo")}),
    "two lines": (written(".discinfo", b"1.0\nCentOS\n"), {("discinfo-malformed", ".discinfo")}),
    "no time": (
        written(".discinfo", b"today\nCentOS\nx86_64\n"),
        {("discinfo-malformed", ".discinfo, line 1")},
    ),
    "no architecture": (
        written(".discinfo", b"1700000000.123456\nCentOS\nAll of them\n"),
        {("discinfo-malformed", ".discinfo, line 3")},
    ),
    "another disc": (
        replaced("media.repo", "mediaid=1700000000.123456", "mediaid=1600000000.5"),
        {("media-repo-differs", "media.repo")},
    ),
    "no section": (written("media.repo", b"[Media]\nname=x\n"), {("media-repo-malformed", "media.repo")}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_break_is_found_and_nothing_else(name: str, stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    change, expected = BREAKS[name]
    assert expected <= (seen := found(stock_media["9"].changed(tmp_path, change)))
    # Other checks may follow from some of these breaks; descriptions raise nothing more.
    kinds = ("treeinfo", "discinfo", "media-repo", "arch", "version")
    assert {finding for finding in seen if finding[0].startswith(kinds)} == expected


def test_what_stock_media_are_known_to_say_is_no_finding(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    # The DVD of 7 names images/boot.iso, which only its tree has; that of 8 has no mediaid.
    def change(tree: Path) -> None:
        path = tree / TREEINFO
        path.write_text(path.read_text().replace("[images-xen]", "[images-xen]\nboot.iso = images/boot.iso"))
        media = tree / "media.repo"
        media.write_text(media.read_text().replace("mediaid=1700000000.123456", "mediaid=None"))
        (tree / ".discinfo").write_text("1700000000.123456\nCentOS\nx86_64\nALL\n")

    assert found(stock_media["9"].changed(tmp_path, change)) == set()


def test_findings_say_what_stands_there(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    iso = stock_media["9"].changed(tmp_path, replaced(TREEINFO, "arch = x86_64", "arch = aarch64"))
    assert message(iso, "arch-differs") == ".discinfo, line 3: it says x86_64, and .treeinfo aarch64"


@pytest.mark.parametrize(
    ("folder", "family", "version"),
    [
        ("centos-6.6-vendor", "SugonOS", "6.6"),
        ("centos-7.3", "CentOS Linux", "7"),
        ("centos-8", "CentOS Linux", "8"),
        ("rocky-9.6", "Rocky Linux", "9.6"),
    ],
)
def test_real_descriptions_are_read(
    folder: str, family: str, version: str, real_metadata: Path, tmp_path: Path, stock_media: dict[str, StockMedium]
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for path in (real_metadata / "trees" / folder).iterdir():
        (tree / path.name).write_bytes(path.read_bytes())
    iso = master(tree, tmp_path / "real.iso", stock_media["uefi"].stock, boot=False)
    with open_medium(iso) as medium:
        read = describe(medium, frozenset({"", "BaseOS", "minimal"}))
    assert (read.family, read.version, read.arch) == (family, version, "x86_64")
    assert {finding.kind.id for finding in read.findings} <= {
        "discinfo-missing",
        "treeinfo-file-missing",
        "treeinfo-image-missing",
    }
