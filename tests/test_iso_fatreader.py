"""FAT as mkfs.msdos and mtools make it is read; what fsck.fat finds wrong with one is found."""

import os
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from isobuilder.iso.fatreader import FatVolume
from tests.isotree import noise

FILES = {
    "EFI/BOOT/BOOTX64.EFI": noise("loader", 200_000),
    "EFI/BOOT/grub.cfg": b"set default=0\n",
    "EFI/BOOT/a rather long name, of a file.txt": noise("long", 5000),
    "EFI/BOOT/fonts/unicode.pf2": noise("font", 70_000),
    "EFI/empty": b"",
    "README": b"short\n",
    "größe.txt": b"other letters\n",
}


def run(*command: str | Path) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def made(path: Path, bits: int, size: int) -> bytes:
    """An image of `size` KiB with the files, by mkfs.msdos and mcopy."""
    run("mkfs.msdos", "-C", "-F", str(bits), "-n", "ANACONDA", path, str(size))
    tree = path.with_suffix(".tree")
    for name, data in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    run("mcopy", "-s", "-i", path, *sorted(tree.iterdir()), "::/")
    return path.read_bytes()


def volume(image: bytes) -> FatVolume:
    def read(place: int, size: int) -> bytes:
        data = image[place : place + size]
        if len(data) != size:
            raise ValueError("beyond the end")
        return data

    return FatVolume(read)


@pytest.fixture(scope="module")
def fat16(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made(tmp_path_factory.mktemp("fat") / "image", 16, 9000)


@pytest.mark.parametrize(("bits", "size"), [(12, 1440), (12, 4000), (16, 9000), (16, 40_000), (32, 40_000)])
def test_every_file_reads_back(bits: int, size: int, tmp_path: Path) -> None:
    found = volume(made(tmp_path / "image", bits, size))
    assert found.bits == bits
    assert {name: found.read(name, 1 << 20) for name in found.files} == FILES
    assert found.damage == []
    assert found.size <= size * 1024


def test_names_are_found_in_any_case(fat16: bytes) -> None:
    found = volume(fat16)
    assert found.read("efi/boot/GRUB.CFG", 100) == FILES["EFI/BOOT/grub.cfg"]
    assert found.find("EFI/BOOT/grub.cfg.old") is None
    with pytest.raises(LookupError):
        found.read("nothing", 100)
    with pytest.raises(ValueError, match="is the most"):
        found.read("EFI/BOOT/BOOTX64.EFI", 100)


class Layout:
    """Where FAT16's parts are, by the boot sector."""

    def __init__(self, image: bytes) -> None:
        self.per_cluster, reserved, copies, roots = struct.unpack_from("<BHBH", image, 13)
        (per_table,) = struct.unpack_from("<H", image, 22)
        self.tables = [(reserved + number * per_table) * 512 for number in range(copies)]
        self.root = (reserved + copies * per_table) * 512
        self.data = self.root + roots * 32

    def entry(self, image: bytes | bytearray, name: bytes) -> int:
        """Where the folder entry of a short name is."""
        return image.index(name, self.root)

    def cluster(self, image: bytes | bytearray, name: bytes) -> int:
        cluster: int = struct.unpack_from("<H", image, self.entry(image, name) + 26)[0]
        return cluster


def linked(image: bytearray, layout: Layout, cluster: int, to: int) -> None:
    """Change a link of a chain, in both copies."""
    for table in layout.tables:
        struct.pack_into("<H", image, table + 2 * cluster, to)


Break = Callable[[bytearray, Layout], None]


def crossing(image: bytearray, layout: Layout) -> None:
    linked(image, layout, layout.cluster(image, b"BOOTX64 EFI") + 3, layout.cluster(image, b"UNICODE PF2"))


def circle(image: bytearray, layout: Layout) -> None:
    start = layout.cluster(image, b"BOOTX64 EFI")
    linked(image, layout, start + 5, start)


def short_chain(image: bytearray, layout: Layout) -> None:
    linked(image, layout, layout.cluster(image, b"BOOTX64 EFI") + 5, 0xFFFF)


def astray(image: bytearray, layout: Layout) -> None:
    linked(image, layout, layout.cluster(image, b"BOOTX64 EFI") + 5, 0xFF00)


def no_cluster(image: bytearray, layout: Layout) -> None:
    struct.pack_into("<H", image, layout.entry(image, b"BOOTX64 EFI") + 26, 0)


def other_copy(image: bytearray, layout: Layout) -> None:
    image[layout.tables[1] + 40] ^= 1


def bad_name(image: bytearray, layout: Layout) -> None:
    image[layout.entry(image, b"README  ")] = 0x07


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (crossing, "EFI/BOOT/"),
        (circle, "EFI/BOOT/BOOTX64.EFI"),
        (short_chain, "EFI/BOOT/BOOTX64.EFI"),
        (astray, "EFI/BOOT/BOOTX64.EFI"),
        (no_cluster, "EFI/BOOT/BOOTX64.EFI"),
        (other_copy, "its allocation table"),
        (bad_name, "'\\x07EADME'"),
    ],
)
def test_damage_is_found_where_fsck_finds_some(broken: Break, place: str, fat16: bytes, tmp_path: Path) -> None:
    image = bytearray(fat16)
    broken(image, Layout(fat16))
    path = tmp_path / "broken"
    path.write_bytes(image)
    assert subprocess.run(["fsck.fat", "-n", path], check=False, capture_output=True).returncode == 1
    found = volume(bytes(image))
    assert found.damage
    assert all(where.startswith(place) for where, _ in found.damage)
    # The rest is read all the same.
    assert found.read("EFI/BOOT/grub.cfg", 100) == FILES["EFI/BOOT/grub.cfg"]


@pytest.mark.parametrize(
    ("place", "data"),
    [(510, b"\0\0"), (11, b"\x33\x02"), (13, b"\x03"), (14, b"\0\0"), (16, b"\x09"), (21, b"\x11"), (22, b"\1\0"),
     (19, b"\x10\0"), (17, b"\0\0")],
)  # fmt: skip
def test_a_boot_sector_that_makes_no_sense_is_refused(place: int, data: bytes, fat16: bytes) -> None:
    with pytest.raises(ValueError, match=r"sector|cluster|table|file system"):
        volume(fat16[:place] + data + fat16[place + len(data) :])


def test_damage_of_any_kind_is_told_or_refused(fat16: bytes) -> None:
    layout = Layout(fat16)
    for seed in range(400):
        dice = random.Random(seed)
        image = bytearray(fat16)
        for _ in range(dice.choice((1, 3, 12))):
            place = dice.choice(
                (dice.randrange(64), layout.tables[0] + dice.randrange(600), layout.root + dice.randrange(30_000))
            )
            image[place] = dice.choice((0, 1, 2, 0x10, 0x80, 0xFF, dice.randrange(256)))
        try:
            found = volume(bytes(image))
            for name in found.files:
                found.read(name, 1 << 20)
        except (ValueError, LookupError):
            continue
