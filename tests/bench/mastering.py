"""Row 1: the whole release step, from files to an image with its checksums on the disk.

As a program it is one side of the comparison: python -m tests.bench.mastering FOLDER OUTPUT writes the image,
--floor IMAGE reads one and sums it twice.
"""

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from isobuilder.iso.writer import write_iso
from isobuilder.progress import Silent
from tests.bench.content import VOLUME_ID, Filled, fill, sizes
from tests.bench.measuring import Children, Cost, Figure, Size, in_turns
from tests.bench.world import Bench
from tests.isotree import ISOHDPFX

NAME = "mastering"
_LIMIT = 0.65
_FLOOR_LIMIT = 1.25
_MEDIA = (("1,200 files, 1.5 GB", 1_200, 1_500_000_000), ("6,000 files, 6 GB", 6_000, 6_000_000_000))


def figures(bench: Bench) -> Iterator[Figure]:
    work, size = bench.folder(NAME), bench.size
    for title, count, total in _MEDIA:
        folder = work / "medium"
        filled = fill(folder, sizes(size.of(count, 10), size.of(total, 4_000_000)))
        yield from _compare(title, filled, work, size)
        shutil.rmtree(folder)


def _compare(title: str, filled: Filled, work: Path, size: Size) -> Iterator[Figure]:
    children = Children()
    ours, theirs = work / "ours.iso", work / "theirs.iso"

    def write() -> Cost:
        _without(ours, theirs)
        return children.run(program(filled, ours))

    def xorriso() -> Cost:
        _without(theirs)
        return xorriso_step(children, filled.folder, theirs, "openssl")

    def floor() -> Cost:
        return children.run([sys.executable, "-m", "tests.bench.mastering", "--floor", theirs])

    mine, usual, least = in_turns(size.rounds, write, xorriso, floor)
    _without(ours, theirs)
    yield Figure.of(
        f"mastering, {title}",
        mine,
        usual,
        _LIMIT,
        "of xorriso -as mkisofs + implantisomd5 + openssl dgst -sha256 + sync, Rock Ridge on both sides (aim: 0.60)",
    )
    yield Figure.of(f"mastering, {title}: floor", mine, least, _FLOOR_LIMIT, "of one md5 and one sha256 of the bytes")


def program(filled: Filled, output: Path) -> list[str | Path]:
    """What writes our image."""
    return [sys.executable, "-m", "tests.bench.mastering", filled.folder, output]


def xorriso_step(children: Children, folder: Path, output: Path, hasher: str) -> Cost:
    """What the usual chain costs, from a folder to a finished image; `hasher` is openssl or sha256sum."""
    digest = ("openssl", "dgst", "-sha256") if hasher == "openssl" else ("sha256sum",)
    # What lorax gives xorriso for CentOS 9, without Joliet, which we do not write either.
    boot = (
        *("-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat"),
        *("-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"),
        *("-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot"),
        *("-isohybrid-mbr", ISOHDPFX, "-isohybrid-gpt-basdat"),
    )
    steps: tuple[tuple[str | Path, ...], ...] = (
        ("xorriso", "-as", "mkisofs", "-o", output, "-V", VOLUME_ID, "-R", "-iso-level", "3", *boot, folder),
        ("implantisomd5", output),
        (*digest, output),
        ("sync", output),
    )
    return sum((children.run(step) for step in steps), Cost(0, 0))


def _without(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    os.sync()


def _floor(image: Path) -> None:
    buffer = memoryview(bytearray(1 << 20))
    for digest in (hashlib.md5(usedforsecurity=False), hashlib.sha256()):
        with image.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
        print(digest.hexdigest())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("paths", nargs="+", type=Path)
    parsed = parser.parse_args()
    if parsed.floor:
        _floor(parsed.paths[0])
    else:
        folder, output = parsed.paths
        write_iso(Filled(folder, folder.with_name(f"{folder.name}.json")).tree(), output, progress=Silent(), force=True)


if __name__ == "__main__":
    main()
