"""Real packages, cut short and changed all over: what rpm's own program refuses, we refuse, and nothing fails oddly."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from isobuilder.errors import MediumError, TrustError
from isobuilder.trust.packages import verify_digests, verify_package
from isobuilder.trust.rpmheader import read_head
from isobuilder.trust.rpmpayload import read_member
from isobuilder.trust.signatures import Keyring
from tests.rpm_files import header_at, payload_at, rpm_database, rpmkeys_accepts

pytestmark = pytest.mark.practice

# Small ones of a distribution's real programs, and one of our own making.
NAMES = ("rack-common-*", "rack-tools-*", "syslinux-6*")


@pytest.fixture(scope="module")
def packages(mirror: Path) -> list[Path]:
    found = [next(path for path in sorted(mirror.rglob(f"{name}.rpm"))) for name in NAMES]
    assert len(set(found)) == len(NAMES)
    return found


@pytest.fixture(scope="module")
def keyring(mirror: Path) -> Keyring:
    key = (mirror / "os/RPM-GPG-KEY-practice").read_bytes()
    return Keyring.from_files([key], [(mirror / "fingerprint").read_text().strip()])


def lengths(data: bytes) -> Iterator[int]:
    """Where a package is cut: at each border, one byte beside it, and here and there."""
    borders = {0, 4, 96, 104, 112, header_at(data), header_at(data) + 16, payload_at(data), len(data)}
    near = {border + shift for border in borders for shift in (-1, 0, 1)}
    return iter(sorted(length for length in near | set(range(0, len(data), 997)) if 0 <= length < len(data)))


def test_a_package_that_is_cut_short_anywhere_is_refused(
    packages: list[Path], keyring: Keyring, tmp_path: Path
) -> None:
    torn = tmp_path / "torn.rpm"
    for package in packages:
        data = package.read_bytes()
        for length in lengths(data):
            torn.write_bytes(data[:length])
            with pytest.raises(TrustError):
                verify_package(torn, keyring)
            with pytest.raises(TrustError):
                verify_digests(torn)


def mutants(data: bytes, count: int) -> Iterator[bytes]:
    dice = random.Random(11)
    start, end = header_at(data), payload_at(data)
    for _ in range(count):
        changed = bytearray(data)
        # Lead, signature header, header and payload alike, though they differ in size.
        at = dice.choice((dice.randrange(96), dice.randrange(96, start), dice.randrange(start, end),
                          dice.randrange(end, len(data))))  # fmt: skip
        match dice.randrange(4):
            case 0:
                changed[at] ^= 1 << dice.randrange(8)
            case 1:
                changed[at : at + 4] = dice.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
            case 2:
                del changed[at : at + dice.randrange(1, 64)]
            case _:
                changed[at:at] = dice.randbytes(dice.randrange(1, 64))
        if bytes(changed) != data:
            yield bytes(changed)


def test_what_rpm_refuses_is_refused(packages: list[Path], keyring: Keyring, mirror: Path, tmp_path: Path) -> None:
    database = tmp_path / "database"
    database.mkdir()
    rpm_database(database, (mirror / "os/RPM-GPG-KEY-practice").read_bytes())
    made = []
    for number, package in enumerate(packages):
        for other, data in enumerate(mutants(package.read_bytes(), 80)):
            path = tmp_path / f"{number}-{other}.rpm"
            path.write_bytes(data)
            made.append(path)
    theirs = rpmkeys_accepts(database, [*packages, *made])
    assert all(theirs[package] for package in packages)
    refused = [path for path in made if not theirs[path]]
    assert len(refused) > 150
    for path in refused:
        with pytest.raises(TrustError):
            verify_package(path, keyring)
    for path in packages:
        verify_package(path, keyring)


def test_nothing_but_our_errors_comes_of_reading_what_is_torn(packages: list[Path], tmp_path: Path) -> None:
    torn = tmp_path / "torn.rpm"
    for package in packages:
        for data in mutants(package.read_bytes(), 120):
            torn.write_bytes(data)
            try:
                with torn.open("rb") as file:
                    read_head(file)
                read_member(torn, "/usr/share/syslinux/mbr.bin", limit=1 << 20)
            except (TrustError, MediumError):
                continue
