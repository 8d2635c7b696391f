"""Files are taken out of images that xorriso made, and out of none that is damaged."""

import os
import subprocess
from pathlib import Path

import pytest

from isobuilder.errors import HostError, MediumError, UsageError
from isobuilder.iso.reader import read_file


def make_iso(folder: Path, files: dict[str, bytes]) -> Path:
    """An ISO of xorriso's with these files, started by isolinux when it is among them."""
    tree, iso = folder / "tree", folder / "medium.iso"
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    boot = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot"]
    boot += ["-boot-load-size", "4", "-boot-info-table"]
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "SMALL"]
    command += boot if "isolinux/isolinux.bin" in files else []
    subprocess.run([*command, "-o", iso, tree], check=True, capture_output=True)
    return iso


def test_files_are_found_among_many(tmp_path: Path) -> None:
    # Some twenty sectors of directory records.
    files = {f"many/file{number:04}.txt": str(number).encode() for number in range(700)}
    iso = make_iso(tmp_path, files | {"many/empty": b""})
    assert read_file(iso, "many/file0000.txt", limit=10) == b"0"
    assert read_file(iso, "many/file0699.txt", limit=3) == b"699"
    assert read_file(iso, "many/empty", limit=0) == b""
    for path, finding in (
        ("many/file0700.txt", "no FILE0700.TXT"),
        ("many", "a folder where a file should"),
        ("many/empty/x", "a file stands where a folder should"),
        ("many/file0699.txt/", "a file stands where a folder should"),
    ):
        with pytest.raises(MediumError, match=finding):
            read_file(iso, path, limit=100)


def test_a_damaged_image_is_no_bug_of_ours(tmp_path: Path) -> None:
    whole = make_iso(tmp_path, {"isolinux/isolinux.cfg": b"default vesamenu.c32\n" * 100}).read_bytes()
    iso = tmp_path / "damaged.iso"
    root = int.from_bytes(whole[32768 + 158 : 32768 + 162], "little") * 2048
    damaged = [whole[:size] for size in (0, 40_000, root, root + 2000)]
    for place in (*range(32768 + 156, 32768 + 190), *range(root, root + 200, 3)):
        changed = (bytes([value]) for value in (0, 1, 33, 255))
        damaged += [whole[:place] + byte + whole[place + 1 : root + 8192] for byte in changed]
    for image in damaged:
        iso.write_bytes(image)
        try:
            data = read_file(iso, "isolinux/isolinux.cfg", limit=1 << 20)
        except MediumError:
            continue
        assert len(data) <= 1 << 20


@pytest.mark.parametrize("path", ["no.iso", "file/no.iso"])
def test_an_image_that_is_not_there_is_wrong_usage(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"no\.iso: (No such file|Not a directory)"):
        read_file(tmp_path / path, "x", limit=1)


def test_an_image_that_may_not_be_read_is_the_hosts_fault(tmp_path: Path) -> None:
    iso = make_iso(tmp_path, {"x": b"y"})
    iso.chmod(0)
    user = os.geteuid()
    # Root may read everything.
    os.seteuid(user or 65534)
    try:
        with pytest.raises(HostError, match=r"medium\.iso: cannot be read: Permission denied"):
            read_file(iso, "x", limit=1)
    finally:
        os.seteuid(user)


def test_what_is_no_image_is_a_wrong_medium(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no image\n" * 10_000)
    (tmp_path / "short").write_bytes(b"")
    for path in ("text", "short", "."):
        with pytest.raises(MediumError):
            read_file(tmp_path / path, "x", limit=1)
