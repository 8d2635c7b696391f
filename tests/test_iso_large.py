"""What a medium may hold at most: a file of more than 4 GiB, and thousands of files in one folder."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from isobuilder.tree import Cached, Content, Inline
from tests.isotree import noise, sample_tree, with_files, write

_GIB = 1 << 30


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def sparse(path: Path, size: int) -> Cached:
    """A file of zeros that takes no space, with some bytes at its start, across 4 GiB, and at its end."""
    with path.open("wb") as file:
        file.truncate(size)
        for place in (0, 4 * _GIB - 1000, size - 1000):
            os.pwrite(file.fileno(), noise(str(place), 1000 if place else 5000), place)
    with path.open("rb") as file:
        return Cached(path, hashlib.file_digest(file, "sha256").hexdigest(), size)


def test_a_file_of_more_than_4_gib_is_read_back_by_others(cache: Path, tmp_path: Path) -> None:
    large = sparse(cache / "large", 4 * _GIB + 5_000_001)
    tree = with_files(sample_tree(cache), {"images/install.img": large, "zz/behind-it": Inline(b"still there\n")})
    iso = write(tree, tmp_path / "large.iso").path
    subprocess.run(["checkisomd5", iso], check=True, capture_output=True, timeout=300)
    listed = subprocess.run(
        ["xorriso", "-indev", iso, "-find", "/images/install.img", "-exec", "lsdl"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert str(large.size) in listed.stdout.split()
    for path, sha256 in (("images/install.img", large.sha256), ("zz/behind-it", None)):
        with subprocess.Popen(["bsdtar", "-xOf", iso, path], stdout=subprocess.PIPE) as process:
            assert process.stdout
            digest = hashlib.sha256()
            while piece := process.stdout.read(1 << 20):
                digest.update(piece)
        assert process.returncode == 0
        assert digest.hexdigest() == (sha256 or hashlib.sha256(b"still there\n").hexdigest())


def test_twenty_thousand_names_in_one_folder_are_all_there(cache: Path, tmp_path: Path) -> None:
    names = [f"Packages/package-with-a-long-name-{number * 7919 % 20_000:05}-1.2.3.rpm" for number in range(19_990)]
    names += [f"Packages/{letter * 251}.rpm" for letter in "abcdefghij"]
    files: dict[str, Content] = {
        name: Inline(b"" if number % 9 else name.encode()) for number, name in enumerate(names)
    }
    tree = with_files(sample_tree(cache), files)
    iso = write(tree, tmp_path / "many.iso").path
    subprocess.run(["checkisomd5", iso], check=True, capture_output=True, timeout=300)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["bsdtar", "-xf", iso, "-C", out, "Packages"], check=True, timeout=300)
    there = {f"Packages/{path.name}": path.read_bytes() for path in (out / "Packages").iterdir() if path.is_file()}
    assert there == {name: content.data for name, content in files.items() if isinstance(content, Inline)}
    found = subprocess.run(
        ["xorriso", "-indev", iso, "-find", "/Packages", "-name", "*.rpm", "-exec", "echo"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    seen = {line.strip("'").removeprefix("/") for line in found.stdout.splitlines() if line.startswith("'/Packages/")}
    assert seen >= set(names)
