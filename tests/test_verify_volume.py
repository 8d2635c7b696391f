"""The volume says twice what it says, for several readers: changed by hand in one place, it is told; blkid is asked."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from isobuilder.iso.units import BLOCK
from isobuilder.verify.medium import open_medium
from isobuilder.verify.volume import check_volume
from tests.broken_media import Bytes
from tests.stock_media import StockMedium
from tests.verifying import found

PVD = 16 * BLOCK
DESCRIPTOR = "the volume descriptor"


def record(image: Bytes, name: bytes) -> int:
    """Where the directory record of a plain name begins."""
    return image.data.index(bytes([len(name)]) + name) - 32


def seen(image: Bytes, iso: Path) -> list[tuple[str, str]]:
    iso.write_bytes(image.data)
    with open_medium(iso) as medium:
        return [(finding.kind.id, finding.place) for finding in check_volume(medium)]


def unannounced(image: Bytes) -> None:
    image.put(image.data.index(b"SP\x07\x01\xbe\xef"), b"XX")


def closed(image: Bytes) -> None:
    at = record(image, b"PACKAGES")
    mode = image.data.index(b"PX", at) + 4
    image.put(mode, struct.pack("<I", 0o40600) + struct.pack(">I", 0o40600))


BREAKS: dict[str, tuple[Callable[[Bytes], None], list[tuple[str, str]]]] = {
    "a label changed by hand": (
        lambda i: i.put(PVD + 40, b"RACK".ljust(32)),
        [("volume-labels-differ", DESCRIPTOR)],
    ),
    "a size that is too small": (
        lambda i: i.put(PVD + 80, struct.pack("<I", 5000) + struct.pack(">I", 5000)),
        [("volume-short", DESCRIPTOR)],
    ),
    "a size of which one copy is other": (
        lambda i: i.put(PVD + 84, struct.pack(">I", 77)),
        [("numbers-differ", f"{DESCRIPTOR}, byte 80")],
    ),
    "a place of which one copy is other": (
        lambda i: i.put(record(i, b"INSTALL.IMG;1") + 6, b"\0\0\0\1"),
        [("numbers-differ", "images/install.img")],
    ),
    "a path table that is not there": (
        lambda i: i.put(PVD + 140, b"\0\0\0\x7f"),
        [("path-table", "the little-endian path table, block 2130706432")],
    ),
    "a path table of something else": (
        lambda i: i.put(PVD + 148, b"\0\0\0\x10"),
        [("path-table", "the big-endian path table, block 16")],
    ),
    "small blocks": (
        lambda i: i.put(PVD + 128, struct.pack("<H", 512) + struct.pack(">H", 512)),
        [("block-size", DESCRIPTOR)],
    ),
    "Rock Ridge that is not announced": (unannounced, [("rock-ridge-unannounced", "the root folder")]),
    "a folder that only root enters": (closed, [("folder-modes", "Packages")]),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_break_is_found_and_nothing_else(name: str, stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    change, expected = BREAKS[name]
    image = Bytes(stock_media["9"].iso)
    change(image)
    assert seen(image, tmp_path / "broken.iso") == expected


@pytest.mark.parametrize(
    ("primary", "joliet"),
    [
        (b"RACK", None),
        (b"CentOS-Stream-9-BaseOS-x86_64", None),
        (b"CentOS-Stream-9-other", None),
        (b"RACK_1", "RACK 1"),
        (b"RACK", ""),
        (b"RACK", "RACK-2"),
    ],
)
def test_the_label_is_the_one_that_blkid_finds(
    primary: bytes, joliet: str | None, stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    image = Bytes(stock_media["9"].iso)
    image.put(PVD + 40, primary.ljust(32))
    if joliet is not None:
        image.put(18 * BLOCK + 40, joliet.ljust(16).encode("utf-16-be"))
    iso = tmp_path / "labelled.iso"
    iso.write_bytes(image.data)
    asked = ["blkid", "-p", "-s", "LABEL", "-o", "value", str(iso)]
    label = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    with open_medium(iso) as medium:
        assert medium.label == label


def test_menus_name_the_label_that_linux_sees(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    image = Bytes(stock_media["9"].iso)
    image.put(18 * BLOCK + 40, "RACK".ljust(16).encode("utf-16-be"))
    iso = tmp_path / "labelled.iso"
    iso.write_bytes(image.data)
    assert {kind for kind, _ in found(iso)} == {"volume-labels-differ", "menu-label-other", "media-sum-differs"}


def test_a_link_to_nothing_is_told_and_others_are_followed(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    def change(tree: Path) -> None:
        (tree / "Server").mkdir()
        (tree / "Server/Packages").symlink_to("../Packages")
        (tree / "README").symlink_to("Server/./../ks.cfg")
        (tree / "outside").symlink_to("/etc/motd")
        (tree / "circle").symlink_to("circle")

    iso = stock_media["9"].changed(tmp_path, change)
    assert found(iso) == {("link-dangling", "outside"), ("link-dangling", "circle")}
    with open_medium(iso) as medium:
        assert medium.read("README", limit=1000).startswith(b"# A rack node")
        assert medium.find("Server/Packages/bash-1.0-1.noarch.rpm") == medium.find("Packages/bash-1.0-1.noarch.rpm")
        assert medium.find("circle") is None or not medium.files["circle"].is_plain


def test_media_that_xorriso_changed_are_as_good_as_new(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    """As mkksiso calls it: what a first session leaves behind is no fault."""
    iso, more = tmp_path / "changed.iso", tmp_path / "more"
    more.write_bytes(bytes(3_000_000))
    stock = stock_media["9"]
    subprocess.run(
        [
            *("xorriso", "-indev", stock.iso, "-outdev", iso, "-boot_image", "any", "replay", "-joliet", "on"),
            *("-compliance", "joliet_long_names", "-volid", stock.stock.label, "-map", more, "/more"),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    subprocess.run(["implantisomd5", "--force", iso], check=True, capture_output=True, timeout=60)
    assert found(iso) == set()
