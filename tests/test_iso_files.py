"""Files out of installer DVDs as xorriso makes them: many in a folder, large ones, and damaged images."""

import random
import subprocess
from pathlib import Path

import pytest

from isobuilder.errors import HostError, MediumError
from isobuilder.iso.files import IsoFiles
from tests.test_iso_reader import make_iso, record_at


def content(iso: Path, path: str, start: int = 0) -> bytes | None:
    with IsoFiles(iso) as files:
        found = files.find(path)
        return None if found is None else b"".join(found.chunks(start))


def test_each_of_thousands_of_packages_is_found_and_nothing_else(tmp_path: Path) -> None:
    packages = {f"Packages/name{number:05}-1.0-1.el9.x86_64.rpm": str(number).encode() for number in range(8000)}
    iso = make_iso(tmp_path, packages | {"Packages/plain": b"plain", ".treeinfo": b"[general]"})
    with IsoFiles(iso) as files:
        for path, data in packages.items():
            found = files.find(path)
            assert found is not None
            assert (found.size, b"".join(found.chunks(0))) == (len(data), data)
        for absent in (
            "Packages/name",
            "Packages/x/y",
            "packages.rpm",
            "",
            "Packages/../.treeinfo",
            "Packages/plain/x",
        ):
            assert files.find(absent) is None
    # By Rock Ridge in its own case, and by plain ISO 9660 in any.
    assert content(iso, ".treeinfo") == b"[general]"
    assert content(iso, "PACKAGES/PLAIN") == b"plain"


@pytest.mark.parametrize("start", [0, 1, 2_047_999, 2_048_000, 2_500_000, 3_000_000])
def test_a_file_of_several_extents_is_one_file(tmp_path: Path, start: int) -> None:
    data = random.Random(1).randbytes(3_000_000)
    iso = make_iso(tmp_path, {"a.bin": data[:2_048_000], "b.bin": data[2_048_000:]})
    image = bytearray(iso.read_bytes())
    first, second = record_at(bytes(image), b"A.BIN;1"), record_at(bytes(image), b"B.BIN;1")
    image[first + 25] |= 0x80
    image[second : second + image[second]] = (
        image[second : second + image[second]].replace(b"B.BIN", b"A.BIN").replace(b"b.bin", b"a.bin")
    )
    iso.write_bytes(image)
    assert content(iso, "a.bin", start) == data[start:]
    read_by_bsdtar = subprocess.run(["bsdtar", "-xOf", iso, "a.bin"], check=True, capture_output=True).stdout
    assert read_by_bsdtar == data


def test_what_is_no_plain_file_or_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to("/etc/passwd")
    iso = make_iso(tmp_path, {"folder/file": bytes(500_000)})
    for path in ("folder", "link"):
        with pytest.raises(MediumError, match=f"{path} is not a plain file"):
            content(iso, path)
    iso.write_bytes(iso.read_bytes()[:500_000])
    with pytest.raises(MediumError, match="cut short"):
        content(iso, "folder/file")
    (tmp_path / "text").write_text("no image" * 10_000)
    with pytest.raises(MediumError, match="no ISO 9660 image"):
        IsoFiles(tmp_path / "text")
    with pytest.raises(HostError, match="No such file"):
        IsoFiles(tmp_path / "absent")
