"""How the files of a repository are opened: whatever they are packed with, bounded, and never outside of it."""

import gzip
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobuilder.errors import HostError, TrustError
from isobuilder.repository import rpmmd
from tests.repositories import COMPRESSIONS


@pytest.mark.parametrize(
    "href",
    [
        *("/etc/passwd", "../x", "a/../../x", "a/..", "%2e%2e/x", "a/%2E%2E/x", "https://evil.example.org/x", "file:x"),
        *("", "a//b", "a\\b", "a\nb", "a?b", "a#b", "//evil.example.org/x", "%2fetc"),
    ],
)
def test_a_location_outside_the_repository_is_refused(href: str) -> None:
    with pytest.raises(TrustError, match="does not lie inside the repository"):
        rpmmd.location(href, "here")


@pytest.mark.parametrize(
    ("href", "address"),
    [
        ("Packages/libstdc++-1:4~rc1^2-1.x86_64.rpm", "Packages/libstdc++-1:4~rc1^2-1.x86_64.rpm"),
        ("Packages/a b.rpm", "Packages/a%20b.rpm"),
        ("Packages/a%20b.rpm", "Packages/a%20b.rpm"),
        ("Packages/é.rpm", "Packages/%C3%A9.rpm"),
    ],
)
def test_a_location_becomes_an_address(href: str, address: str) -> None:
    assert rpmmd.location(href, "here") == address


@given(st.text())
def test_no_location_ever_leads_out(href: str) -> None:
    try:
        address = rpmmd.location(href, "here")
    except TrustError:
        return
    assert ".." not in address.split("/")
    assert not address.startswith("/")
    assert address.isascii()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_compression_is_unpacked(compression: str) -> None:
    data = os.urandom(100) * 50_000
    packed = COMPRESSIONS[compression](data)
    assert rpmmd.unpack(packed, "modules", "here") == data
    assert rpmmd.unpack(packed * 2, "modules", "here") == data * 2


@pytest.mark.parametrize("compression", [".gz", ".xz", ".bz2", ".zst"])
def test_damage_is_an_error_of_ours(compression: str) -> None:
    whole = COMPRESSIONS[compression](b"some text" * 1000)
    for damaged in (whole[:6] + bytes([0xFF]) * 100, whole[:-5], whole + b"something else, not compressed"):
        with pytest.raises(TrustError, match="here: the compressed modules is damaged"):
            rpmmd.unpack(damaged, "modules", "here")


@pytest.mark.parametrize("compression", ["", ".gz", ".xz", ".zst"])
def test_what_is_too_large_is_refused(compression: str) -> None:
    bomb = COMPRESSIONS[compression](bytes(rpmmd.LIMITS["group"] + 1))
    assert len(bomb) < 100_000 or not compression
    with pytest.raises(TrustError, match="group unpacks to more than 8,388,608 bytes"):
        rpmmd.unpack(bomb, "group", "here")


def test_xml_for_the_libraries_is_checked_all_through(tmp_path: Path) -> None:
    path = tmp_path / "filelists"
    path.write_bytes(gzip.compress(b'<!DOCTYPE f [<!ENTITY a "b">]><f>&a;</f>'))
    with pytest.raises(TrustError, match="declares entities"):
        rpmmd.check_xml(path, "filelists")
    path.write_bytes(gzip.compress(b"<f>" + bytes(100))[:-8])
    with pytest.raises(TrustError, match="damaged"):
        rpmmd.check_xml(path, "filelists")
    path.write_bytes(b" " * 100_000 + b"<f/>")
    with pytest.raises(TrustError, match="no element in its first 64 KiB"):
        rpmmd.check_xml(path, "filelists")
    path.write_bytes(b'<!DOCTYPE comps PUBLIC "-//CentOS//DTD Comps info//EN" "comps.dtd"><comps/>')
    rpmmd.check_xml(path, "group")


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_root_may_come_late(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "comps"
    # Of this, no decompressor gives everything at once.
    data = b"<!-- " + os.urandom(25_000).hex().encode() + b" --><comps/>"
    path.write_bytes(COMPRESSIONS[compression](data))
    rpmmd.check_xml(path, "group")
    with rpmmd.unpacked_xml(path, "group") as plain:
        assert plain.read() == data


def test_elements_within_each_other_have_an_end() -> None:
    def nested(depth: int) -> bytes:
        return b"<a>" * depth + b"</a>" * depth

    assert len(list(rpmmd.parse_xml(nested(32), "here").iter())) == 32
    for depth in (33, 100_000):
        with pytest.raises(TrustError, match="here: the XML has more than 32 elements within each other"):
            rpmmd.parse_xml(nested(depth), "here")
    # Beside each other there may be many.
    assert len(rpmmd.parse_xml(b"<a>" + b"<b/>" * 1000 + b"</a>", "here")) == 1000


def test_a_file_that_cannot_be_read_is_the_hosts_trouble(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="none: No such file"):
        rpmmd.check_xml(tmp_path / "none", "primary")
    with pytest.raises(HostError, match="Is a directory"), rpmmd.unpacked_xml(tmp_path, "primary"):
        raise AssertionError


def test_a_place_for_temporary_files_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "comps"
    path.write_bytes(b"<comps/>")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(HostError, match="temporary files: No such file") as caught, rpmmd.unpacked_xml(path, "group"):
        raise AssertionError
    assert "TMPDIR" in caught.value.hint


def test_an_error_of_whoever_reads_it_stays_theirs(tmp_path: Path) -> None:
    path = tmp_path / "comps"
    path.write_bytes(b"<comps/>")
    with pytest.raises(BrokenPipeError), rpmmd.unpacked_xml(path, "group"):
        raise BrokenPipeError
