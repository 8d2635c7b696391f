"""Names on a medium: what is damaged among them is told, and the rest is read; xorriso and genisoimage made them."""

import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from isobuilder.iso.units import BLOCK
from isobuilder.verify.medium import Medium, Unreadable, open_medium
from tests.stock_media import StockMedium


@pytest.fixture
def iso(stock_media: dict[str, StockMedium], tmp_path: Path) -> Path:
    return shutil.copyfile(stock_media["9"].iso, tmp_path / "medium.iso")


def records(iso: Path, identifier: bytes) -> Iterator[int]:
    """Where the directory records of that plain name start."""
    data = iso.read_bytes()
    place = data.find(bytes([len(identifier)]) + identifier)
    while place >= 0:
        yield place - 32
        place = data.find(bytes([len(identifier)]) + identifier, place + 1)


def patch(iso: Path, place: int, data: bytes) -> None:
    with iso.open("r+b") as file:
        file.seek(place)
        file.write(data)


def damage(iso: Path) -> list[str]:
    with open_medium(iso) as medium:
        return [f"{finding.kind.id} {finding.place}: {finding.message}" for finding in medium.damage()]


def both_ways(number: int) -> bytes:
    return struct.pack("<I", number) + struct.pack(">I", number)


def test_a_folder_that_leads_back_is_read_once(iso: Path) -> None:
    root = struct.unpack_from("<I", iso.read_bytes(), 16 * BLOCK + 158)[0]
    [place] = records(iso, b"PACKAGES")
    patch(iso, place + 2, both_ways(root))
    assert damage(iso) == ["names-damaged Packages/: this folder lies where another one does"]


def test_a_folder_of_zeros_or_noise_is_told_and_the_rest_is_read(iso: Path) -> None:
    with open_medium(iso) as medium:
        everything = set(medium.files)
    [place] = records(iso, b"PACKAGES")
    (block,) = struct.unpack_from("<I", iso.read_bytes(), place + 2)
    patch(iso, block * BLOCK, b"\x05" * BLOCK)
    assert damage(iso)[0].startswith("names-damaged Packages/: the folder cannot be read: ")
    with open_medium(iso) as medium:
        assert set(medium.files) == {path for path in everything if not path.startswith("Packages/")}


def test_a_file_beyond_the_end_is_told(iso: Path) -> None:
    for place in records(iso, b"KS.CFG;1"):
        patch(iso, place + 2, both_ways(0x00FFFFFF))
    assert [line.partition(":")[0] for line in damage(iso)] == ["file-outside ks.cfg"]


def test_two_files_of_one_name_are_told(iso: Path) -> None:
    # Rock Ridge's names alone: those of plain ISO 9660 stay apart.
    data = iso.read_bytes()
    place = data.index(b"NM\x0f\x01\x00media.repo")
    other = data.index(b"NM\x0b\x01\x00ks.cfg")
    patch(iso, place + 2, b"\x0b\x01\x00ks.cfg")
    patch(iso, place + 11, b"\x00" * 4)
    assert other != place
    assert "names-damaged ks.cfg: two things have this name, and readers see one of them" in damage(iso)


@pytest.mark.parametrize("program", ["xorriso -as mkisofs", "genisoimage"])
def test_folders_that_lie_too_deep_for_iso_9660_are_where_they_belong(program: str, tmp_path: Path) -> None:
    deep = tmp_path / "tree/a/b/c/d/e/f/g/h/i/j"
    deep.mkdir(parents=True)
    (deep / "a file with a long name").write_text("deep down")
    (tmp_path / "tree/link").symlink_to("a")
    iso = tmp_path / "deep.iso"
    command = [*program.split(), "-quiet", "-R", "-o", str(iso), str(tmp_path / "tree")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with open_medium(iso) as medium:
        path = "a/b/c/d/e/f/g/h/i/j/a file with a long name"
        assert set(medium.files) == {path, "link"}
        assert medium.read(path, limit=100) == b"deep down"
        assert list(medium.damage()) == []
        with pytest.raises(Unreadable, match="not on the medium"):
            medium.read("link", limit=100)
        assert medium.read(path.replace("a/b", "link/b", 1), limit=100) == b"deep down"
        with pytest.raises(Unreadable, match="9 bytes, and 8 is the most"):
            medium.read(path, limit=8)
        with pytest.raises(Unreadable, match="not on the medium"):
            medium.read("missing", limit=8)


def test_paths_are_found_as_people_write_them(iso: Path) -> None:
    with open_medium(iso) as medium:
        assert isinstance(medium, Medium)
        for path in ("ks.cfg", "/ks.cfg", "//ks.cfg", "./ks.cfg", "/images/./install.img"):
            assert medium.find(path) is not None
        assert medium.find("images/../ks.cfg") is None


def test_a_record_that_its_folder_cuts_off_is_damage(iso: Path) -> None:
    data = iso.read_bytes()
    block, size = struct.unpack_from("<I4xI", data, 16 * BLOCK + 158)
    # The last byte of the folder is the length of a record of which there is no more.
    patch(iso, block * BLOCK + size - 1, b"\x40")
    place = block * BLOCK
    while data[place]:
        place += data[place]
    patch(iso, place, bytes([40]) + bytes(39))
    patch(iso, 16 * BLOCK + 166, both_ways(place - block * BLOCK + 20))
    assert [line for line in damage(iso) if line.startswith("names-damaged /: the folder cannot be read")]
