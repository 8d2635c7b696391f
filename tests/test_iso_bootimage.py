"""The FAT image, held against mtools and fsck.fat; the boot info table, held against xorriso."""

import os
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isobuilder.errors import MediumError
from isobuilder.iso.bootimage import fat_image, with_boot_info
from tests.isotree import ISOLINUX, noise

EPOCH = 1_700_000_001
UTC_ENVIRONMENT = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", "MTOOLS_FAT_COMPATIBILITY": "0"}


def make(files: dict[str, bytes], *, label: str = "ANACONDA", epoch: int = EPOCH, identity: str = "test") -> bytes:
    return fat_image(files, label=label, epoch=epoch, identity=identity)


def read_back(image: Path, target: Path) -> dict[str, bytes]:
    """Every file in the image, as mtools reads it."""
    target.mkdir()
    subprocess.run(["mcopy", "-s", "-i", image, "::/*", target], check=True, env=UTC_ENVIRONMENT, capture_output=True)
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def check(image: Path) -> None:
    result = subprocess.run(["fsck.fat", "-n", "-v", image], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "2 FATs, 16 bit entries" in result.stdout


@pytest.mark.parametrize(
    "files",
    [
        {"EFI/BOOT/BOOTX64.EFI": noise("shim", 900_000), "EFI/BOOT/grub.cfg": b"menu", "EFI/BOOT/empty": b""},
        {"one": b"x" * 512, "two": b"y" * 513, "three": b"z" * 511},
        {"a/b/c/d/e/f/g/h/i/file": b"deep", "a/b/c/other": b"less deep"},
        {f"folder/a rather long name, number {n}.config": bytes([n]) for n in range(200)},
        {"x" * 255: b"the longest name", "y" * 13: b"exactly one entry", "z" * 26: b"exactly two"},
        {"grüße/日本語.txt": b"other letters"},
        {"plain": noise("large", 40_000_000)},
    ],
    ids=["usual", "cluster-edges", "deep", "many", "long", "letters", "large"],
)
def test_every_file_reads_back_and_fsck_finds_nothing(files: dict[str, bytes], tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(make(files))
    check(image)
    assert read_back(image, tmp_path / "out") == files


name = st.text(
    st.characters(exclude_characters='"*/:<>?\\|', exclude_categories=["C", "Z"], max_codepoint=0xFFFF)
    | st.sampled_from(" .~"),
    min_size=1,
    max_size=30,
).filter(lambda name: name[-1] not in ". " and name[0] != " ")


@given(
    files=st.dictionaries(st.lists(name, min_size=1, max_size=3).map("/".join), st.binary(max_size=1500), max_size=12)
)
@settings(max_examples=40)
def test_any_set_of_names_reads_back_or_is_refused(files: dict[str, bytes]) -> None:
    with TemporaryDirectory() as folder:
        image = Path(folder, "image")
        try:
            image.write_bytes(make({"anchor.txt": b"", **files}))
        except MediumError:
            assert clashes(files)
            return
        check(image)
        assert read_back(image, Path(folder, "out")) == {"anchor.txt": b"", **files}


def clashes(files: dict[str, bytes]) -> bool:
    """Whether two of the paths, or the folders that they imply, are one to FAT or are a file and a folder."""
    parts = [path.split("/") for path in [*files, "anchor.txt"]]
    spelled = {"/".join(part[:depth]) for part in parts for depth in range(1, len(part) + 1)}
    folders = {"/".join(part[:depth]) for part in parts for depth in range(1, len(part))}
    return len({path.upper() for path in spelled}) < len(spelled) or bool(folders & files.keys())


def test_old_readers_find_short_names_by_their_plain_form() -> None:
    """No long-name entry is needed to find what firmware asks for."""
    image = make({"EFI/BOOT/BOOTX64.EFI": b"x", "EFI/BOOT/grub.cfg": b"y", "EFI/BOOT/grub.cfg.backup": b"z"})
    assert b"EFI        \x10" in image
    assert b"BOOTX64 EFI\x20" in image
    assert b"GRUB    CFG\x20" in image
    assert b"GRUBCF~1BAC\x20" in image


def test_the_label_and_the_time_are_those_given_in_utc(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(make({"file": b"x"}))
    listing = subprocess.run(["mdir", "-i", image], check=True, capture_output=True, text=True, env=UTC_ENVIRONMENT)
    assert "Volume in drive : is ANACONDA" in listing.stdout
    assert datetime.fromtimestamp(EPOCH, UTC).strftime("%Y-%m-%d  %H:%M") in listing.stdout
    blkid = subprocess.run(
        ["blkid", "-p", "-s", "TYPE", "-s", "LABEL", "-o", "value", image], check=True, capture_output=True, text=True
    )
    assert set(blkid.stdout.split()) == {"vfat", "ANACONDA"}


@pytest.mark.parametrize("epoch", [0, -1, 1 << 40])
def test_a_time_that_fat_cannot_say_becomes_the_nearest(epoch: int, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(make({"file": b"x"}, epoch=epoch))
    check(image)


def test_the_same_files_are_the_same_bits_in_any_order() -> None:
    files = {f"a/{n}/file {n}": noise(str(n), 100 * n) for n in range(20)}
    assert make(files) == make(dict(reversed(files.items())))


def test_the_identity_changes_the_serial_number_alone() -> None:
    one, other = make({"a": b"b"}, identity="one"), make({"a": b"b"}, identity="other")
    assert one[39:43] != other[39:43]
    assert one[:39] + one[43:] == other[:39] + other[43:]


@pytest.mark.parametrize("size", [3_000_000, 10_000_000, 32_000_000])
def test_there_is_little_slack(size: int) -> None:
    assert size < len(make({"file": bytes(size)})) < size * 1.02 + 40_000


@pytest.mark.parametrize(
    "path",
    [
        "/absolute",
        "a//b",
        "../up",
        "a/./b",
        "",
        "dot.",
        "space ",
        " space",
        "a:b",
        "a\\b",
        "a\x01b",
        "x" * 256,
        "\U0001f600",
        "half a letter \udc80",
    ],
)
def test_a_name_that_fat_cannot_hold_is_refused(path: str) -> None:
    with pytest.raises(MediumError, match="cannot hold a file named"):
        make({path: b""})


@pytest.mark.parametrize(
    "files",
    [
        {"grub.cfg": b"", "GRUB.CFG": b""},
        {"EFI/BOOT/a": b"", "EFI/boot/b": b""},
        {"a": b"", "a/b": b""},
        {"a!": b"", "a": b"", "a/b": b""},
    ],
)
def test_names_that_fat_takes_for_one_are_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(MediumError):
        make(files)


def test_a_top_folder_holds_only_so_much() -> None:
    make({f"FILE{n}": b"" for n in range(511)})
    with pytest.raises(MediumError, match="top folder"):
        make({f"FILE{n}": b"" for n in range(512)})


@pytest.mark.parametrize("label", ["", "TWELVE-CHARS", "a/b", "größe", "A B"])
def test_a_label_that_cannot_be_is_refused(label: str) -> None:
    with pytest.raises(MediumError, match="labelled"):
        make({}, label=label)


class Huge(bytes):
    """Says that it is larger than the file system, without the memory for it."""

    def __len__(self) -> int:
        return 3 << 30


def test_more_than_the_file_system_can_hold_is_refused() -> None:
    with pytest.raises(MediumError, match="more than the 2 GB"):
        make({"kernel": Huge()})


@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_the_boot_info_table_is_the_one_that_xorriso_writes(extra: int, tmp_path: Path) -> None:
    loader = ISOLINUX.read_bytes() + b"\xff" * extra
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "loader.bin").write_bytes(loader)
    iso = tmp_path / "oracle.iso"
    subprocess.run(
        [
            *("xorriso", "-as", "mkisofs", "-o", iso, "-b", "loader.bin", "-no-emul-boot"),
            *("-boot-load-size", "4", "-boot-info-table", tmp_path / "tree"),
        ],
        check=True,
        capture_output=True,
    )
    data = iso.read_bytes()
    place = data.index(loader[64:]) - 64
    assert struct.unpack_from("<I", data, place + 12) == (place // 2048,)
    assert with_boot_info(loader, block=place // 2048) == data[place : place + len(loader)]


def test_an_image_without_room_for_the_table_is_refused() -> None:
    with pytest.raises(MediumError, match="too short"):
        with_boot_info(bytes(64), block=1)
