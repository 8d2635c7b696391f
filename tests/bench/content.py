"""Files of the sizes that packages have, and a medium of them: as a tree for us, and as a folder for xorriso."""

import hashlib
import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isobuilder.tree import Cached, Content, Inline, Isolinux, Tree
from tests.isotree import EPOCH, ISOHDPFX, ISOLINUX, efi_image

VOLUME_ID = "BENCH-9-x86_64"
_SMALLEST = 5_000
_LARGEST = 80_000_000


@dataclass(frozen=True)
class Filled:
    """A medium's files below `folder`: path on the medium, sha256 and size in bytes, as `index` has them."""

    folder: Path
    index: Path

    def tree(self) -> Tree:
        files: dict[str, Content] = {
            path: Cached(self.folder / path, sha256, size) for path, sha256, size in json.loads(self.index.read_text())
        }
        files["images/efiboot.img"] = Inline((self.folder / "images/efiboot.img").read_bytes())
        return Tree(VOLUME_ID, EPOCH, "bench", files, Isolinux("isolinux/isolinux.bin", "images/efiboot.img", _mbr()))


def sizes(count: int, total: int, seed: int = 1) -> list[int]:
    """`count` sizes that add up to `total`, distributed as those of packages are: log-normal, from 5 KB to 80 MB."""
    generator = random.Random(seed)
    drawn = [min(max(generator.lognormvariate(11.5, 1.6), _SMALLEST), _LARGEST) for _ in range(count)]
    scale = total / sum(drawn)
    return [max(1, int(size * scale)) for size in drawn]


def fill(folder: Path, wanted: Sequence[int]) -> Filled:
    """A medium in `folder` with a file of each of the sizes `wanted`, in Packages/, and what it starts from."""
    listed = []
    for name, data in _boot_files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        listed.append((name, hashlib.sha256(data).hexdigest(), len(data)))
    for number, size in enumerate(wanted):
        name = f"Packages/{_letter(number)}/bench-package-with-a-long-name-{number:05}-1.2.3-4.el9_0.1.x86_64.rpm"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        listed.append((name, _written(path, size), size))
    index = folder.with_name(f"{folder.name}.json")
    index.write_text(json.dumps(listed))
    return Filled(folder, index)


def _written(path: Path, size: int) -> str:
    """A file of bytes that nothing compresses; its sha256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            piece = os.urandom(min(1 << 20, size - start))
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _letter(number: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[number % 26]


def _boot_files() -> Iterator[tuple[str, bytes]]:
    yield "isolinux/isolinux.bin", ISOLINUX.read_bytes()
    yield "isolinux/isolinux.cfg", b"default linux\n"
    yield "images/efiboot.img", efi_image()


def _mbr() -> bytes:
    return ISOHDPFX.read_bytes()
