"""Every checksum that a medium carries is compared in one pass; isomd5sum and sha256sum made them, and judge too."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from isobuilder.iso.listing import Node
from isobuilder.progress import Silent
from isobuilder.verify.finding import Kind
from isobuilder.verify.medium import open_medium
from isobuilder.verify.sums import Expected, check_sums
from tests.stock_media import StockMedium
from tests.verifying import found, message

FIELD = 16 * 2048 + 883
KIND = Kind("test", "error", "differs", "nothing")


@pytest.fixture
def iso(stock_media: dict[str, StockMedium], tmp_path: Path) -> Path:
    """A good medium of one's own."""
    return shutil.copyfile(stock_media["9"].iso, tmp_path / "medium.iso")


def patch(iso: Path, place: int, data: bytes) -> Path:
    with iso.open("r+b") as file:
        file.seek(place)
        file.write(data)
    return iso


def checkisomd5(iso: Path) -> bool:
    return subprocess.run(["checkisomd5", iso], check=False, capture_output=True, timeout=60).returncode == 0


def test_good_media_raise_nothing(stock_media: dict[str, StockMedium]) -> None:
    for medium in stock_media.values():
        assert checkisomd5(medium.iso)
        assert found(medium.iso) == set()


def test_one_changed_bit_anywhere_is_found_by_the_media_sum(iso: Path) -> None:
    # In the padding behind all files, where nothing else vouches for it.
    patch(iso, iso.stat().st_size - 40 * 2048, b"\1")
    assert not checkisomd5(iso)
    assert found(iso) == {("media-sum-differs", "the medium")}


def test_wrong_sums_of_fragments_are_found_though_the_whole_is_right(iso: Path) -> None:
    text = iso.read_bytes()[FIELD : FIELD + 512]
    place = text.index(b"FRAGMENT SUMS = ") + len("FRAGMENT SUMS = ")
    other = b"0" if text[place : place + 1] != b"0" else b"1"
    patch(iso, FIELD + place, other)
    assert found(iso) == {("media-sum-differs", "the volume descriptor")}


def test_a_medium_without_a_sum_is_told(iso: Path) -> None:
    patch(iso, FIELD, b" " * 512)
    assert found(iso) == {("media-sum-missing", "the volume descriptor")}


def test_a_sum_that_cannot_be_read_is_told(iso: Path) -> None:
    patch(iso, FIELD, b"ISO MD5SUM = not-a-sum")
    assert found(iso) == {("media-sum-malformed", "the volume descriptor")}
    patch(iso, FIELD, b"ISO MD5SUM = 00000000000000000000000000000000;SKIPSECTORS = 99999999;".ljust(512))
    assert found(iso) == {("media-sum-malformed", "the volume descriptor")}


def test_the_file_beside_the_image_is_compared(iso: Path) -> None:
    beside = iso.with_name("medium.iso.sha256")
    good = hashlib.sha256(iso.read_bytes()).hexdigest()
    for line in (f"{good}  medium.iso\n", f"{good} *medium.iso\n", f"SHA256 (medium.iso) = {good}\n"):
        beside.write_text(line)
        assert (
            subprocess.run(["sha256sum", "-c", beside], cwd=iso.parent, check=False, capture_output=True).returncode
            == 0
        )
        assert found(iso) == set()
    wrong = good[:-1] + ("0" if good[-1] != "0" else "1")
    beside.write_text(f"{wrong}  medium.iso\n")
    assert found(iso) == {("sha256-differs", "medium.iso.sha256")}
    assert good in message(iso, "sha256-differs")
    beside.write_text(f"{good}  another.iso\n")
    assert "another.iso" in message(iso, "sha256-malformed")
    beside.write_text("no sum at all\n")
    assert found(iso) == {("sha256-malformed", "medium.iso.sha256")}


def test_a_medium_that_was_cut_short_is_told_from_one_that_was_changed(iso: Path) -> None:
    os.truncate(iso, iso.stat().st_size // 2)
    kinds = {kind for kind, _ in found(iso)}
    assert {"image-truncated", "file-outside", "media-sum-differs"} <= kinds
    assert "package-sum-differs" not in kinds


def test_two_files_in_one_place_are_found_and_hard_links_are_not(
    stock_media: dict[str, StockMedium], iso: Path
) -> None:
    with open_medium(iso) as medium:
        kernel = medium.files["images/pxeboot/vmlinuz"]
        assert kernel.extents == medium.files["isolinux/vmlinuz"].extents
        (block, size), (other, _) = kernel.extents[0], medium.files["ks.cfg"].extents[0]
    data = iso.read_bytes()
    # The record of ks.cfg, in both byte orders, moved into the kernel.
    old = other.to_bytes(4, "little") + other.to_bytes(4, "big")
    new = (block + 3).to_bytes(4, "little") + (block + 3).to_bytes(4, "big")
    assert size > 4 * 2048
    place = data.index(old)
    while place >= 0:
        patch(iso, place, new)
        place = data.find(old, place + 1)
    assert ("files-overlap", "ks.cfg") in found(iso)


def test_files_of_several_extents_in_any_order_are_summed(iso: Path) -> None:
    data = iso.read_bytes()
    extents = ((100, 5000), (400, 3000)), ((400, 3000), (100, 5000))
    with open_medium(iso) as medium:
        for each in extents:
            node = Node("both", "BOTH", each)
            whole = b"".join(data[block * 2048 : block * 2048 + size] for block, size in each)
            right = Expected("both", node, "sha512", hashlib.sha512(whole).hexdigest().upper(), KIND, "a test")
            wrong = Expected("both", node, "sha", hashlib.sha1(b"").hexdigest(), KIND, "a test")
            assert [finding.kind.id for finding in check_sums(medium, [right, wrong], Silent())] == ["test"]


def test_files_that_lie_over_each_other_cost_no_more_than_the_image(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    """A thousand checksums of nearly the whole image: the first few are compared."""
    iso = stock_media["9"].iso
    with open_medium(iso) as medium:
        nodes = [Node(f"x{number}", "", ((0, medium.size - number),)) for number in range(1000)]
        expected = [Expected(node.path, node, "md5", "0" * 32, KIND, "x") for node in nodes]
        seen = [finding.place for finding in check_sums(medium, expected, Silent())]
    assert seen == [f"x{number}" for number in range(8)]
