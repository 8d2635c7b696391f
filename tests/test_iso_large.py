"""What a medium may hold: a file of more than 4 GiB, thousands of files in one folder, one file at many places."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from isobuilder.tree import Cached, Content, Inline
from tests.isotree import cached, contents, noise, sample_tree, with_files, write

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


def test_what_is_on_it_twice_takes_its_place_once(cache: Path, tmp_path: Path) -> None:
    """The kernel and the initrd of a stock tree lie where isolinux looks and where a network boot does."""
    sample = sample_tree(cache)
    twin = cached(cache, noise("initrd", 5_000_000))
    paths = ["images/pxeboot/initrd.img", "isolinux/initrd-again.img", "zz/initrd.img"]
    alone = write(with_files(sample, {paths[0]: twin}), tmp_path / "alone.iso")
    tree = with_files(sample, dict.fromkeys(paths, twin))
    written = write(tree, tmp_path / "thrice.iso")
    assert written.size - alone.size <= 1 << 20
    subprocess.run(["checkisomd5", written.path], check=True, capture_output=True, timeout=300)
    for reader in ("bsdtar", "xorriso"):
        out = tmp_path / reader
        out.mkdir()
        command: list[str | Path] = ["bsdtar", "-xf", written.path, "-C", out]
        if reader == "xorriso":
            command = ["xorriso", "-osirrox", "on", "-indev", written.path, "-extract", "/", out]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        for path, data in contents(tree).items():
            # The loader is told its own place.
            if path != "isolinux/isolinux.bin":
                assert (out / path).read_bytes() == data, path
        modes = {(out / path).stat().st_mode for path in paths}
        assert len(modes) == 1


def test_a_loader_that_is_told_its_place_shares_its_bytes_with_nobody(cache: Path, tmp_path: Path) -> None:
    sample = sample_tree(cache)
    loader = sample.files["isolinux/isolinux.bin"]
    tree = with_files(sample, {"images/copy-of-the-loader.bin": loader})
    iso = write(tree, tmp_path / "x.iso").path
    read = [
        subprocess.run(["bsdtar", "-xOf", iso, path], check=True, capture_output=True).stdout
        for path in ("images/copy-of-the-loader.bin", "isolinux/isolinux.bin")
    ]
    assert read[0] == contents(tree)["isolinux/isolinux.bin"]
    assert read[1] != read[0]
    assert read[1][64:] == read[0][64:]
