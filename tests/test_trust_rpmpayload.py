"""One file out of a package, of every compression that rpm has had; bsdtar is asked for the same file."""

import lzma
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isobuilder.errors import HostError, IsobuilderError, MediumError, TrustError
from isobuilder.trust.rpmpayload import read_member
from tests.rpm_files import make_rpm, payload_at, rename_tag, rpmbuild

MEMBER = "/usr/share/syslinux/isohdpfx.bin"
CODE = bytes(range(256)) + b"code" * 44
SPEC = f"""
Name: boot
Version: 1
Release: 1
Summary: Boot code
License: none
%description
%install
mkdir -p %{{buildroot}}/usr/share/syslinux
cp %{{code}} %{{buildroot}}{MEMBER}
ln %{{buildroot}}{MEMBER} %{{buildroot}}{MEMBER}.1
ln -s isohdpfx.bin %{{buildroot}}{MEMBER}.link
cp %{{code}} %{{buildroot}}{MEMBER}.own
%files
/usr/share/syslinux
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {"/usr/bin/other": b"x" * 1001, MEMBER: CODE, "/usr/share/zeros": bytes(1 << 20)}
    return make_rpm(tmp_path_factory.mktemp("payload") / "tiny.rpm", files)


def bsdtar_reads(package: Path, member: str) -> bytes:
    command: list[str | Path] = ["bsdtar", "--extract", "--to-stdout", "--file", package, f".{member}"]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


@pytest.mark.parametrize("compression", ["gzip", "xz", "lzma", "zstd"])
def test_a_file_is_read(tmp_path: Path, compression: str) -> None:
    package = make_rpm(tmp_path / "tiny.rpm", {"/usr/bin/a": b"abc", MEMBER: CODE}, compression=compression)
    assert read_member(package, MEMBER, limit=len(CODE)) == CODE
    assert read_member(package, "/usr/bin/a", limit=3) == b"abc"


@pytest.mark.parametrize("payload", ["w9.gzdio", "w9.bzdio", "w6.xzdio", "w6.lzdio", "w19.zstdio", "w.ufdio"])
def test_a_file_is_read_out_of_what_rpmbuild_makes(tmp_path: Path, payload: str) -> None:
    (tmp_path / "code").write_bytes(CODE)
    package = rpmbuild(tmp_path / "boot.rpm", SPEC, code=tmp_path / "code", _binary_payload=payload)
    assert read_member(package, f"{MEMBER}.own", limit=1000) == bsdtar_reads(package, f"{MEMBER}.own") == CODE
    with pytest.raises(MediumError, match="not a regular file"):
        read_member(package, f"{MEMBER}.link", limit=1000)
    with pytest.raises(MediumError, match="not a regular file"):
        read_member(package, "/usr/share/syslinux", limit=1000)
    # Of two names for one file, the archive has the bytes with the last: it is read, or refused, and never empty.
    read = 0
    for name in (MEMBER, f"{MEMBER}.1"):
        try:
            assert read_member(package, name, limit=1000) == CODE
        except MediumError:
            continue
        read += 1
    assert read == 1


def test_what_is_not_there_is_said(package: Path, tmp_path: Path) -> None:
    with pytest.raises(MediumError, match="has no file /usr/share/syslinux/isohdpfx"):
        read_member(package, "/usr/share/syslinux/isohdpfx", limit=1000)
    with pytest.raises(HostError, match="No such file"):
        read_member(tmp_path / "none.rpm", MEMBER, limit=1000)


def test_no_more_is_unpacked_than_allowed(package: Path) -> None:
    with pytest.raises(MediumError, match=f"has {len(CODE)} bytes; at most {len(CODE) - 1}"):
        read_member(package, MEMBER, limit=len(CODE) - 1)
    with pytest.raises(TrustError, match="unpacks to more than 100000 bytes"):
        read_member(package, "/usr/zzz", limit=1000, unpacked_limit=100_000)


def test_a_payload_that_is_not_what_the_header_says(package: Path, tmp_path: Path) -> None:
    good = package.read_bytes()
    changed = tmp_path / "changed.rpm"
    for payload in (
        b"",
        b"BZh9" + bytes(99),
        good[payload_at(good) : payload_at(good) + 99],
        b"\x1f\x8b\x08" + bytes(99),
    ):
        changed.write_bytes(good[: payload_at(good)] + payload)
        with pytest.raises(TrustError):
            read_member(changed, "/usr/zzz", limit=1000)
    # Without a word on its compression, the payload would be a bare archive.
    changed.write_bytes(rename_tag(good, 1125, 5999))
    with pytest.raises(TrustError, match="not a cpio archive"):
        read_member(changed, MEMBER, limit=1000)
    changed.write_bytes(good.replace(b"gzip\0", b"gzap\0"))
    with pytest.raises(TrustError, match="'gzap', which is not known"):
        read_member(changed, MEMBER, limit=1000)


@pytest.mark.parametrize(("name", "kind"), [("xz", lzma.FORMAT_XZ), ("lzma", lzma.FORMAT_ALONE)])
def test_a_payload_that_needs_too_much_memory(tmp_path: Path, name: str, kind: int) -> None:
    package = make_rpm(tmp_path / "tiny.rpm", {MEMBER: CODE}, compression=name)
    good = package.read_bytes()
    archive = lzma.decompress(good[payload_at(good) :])
    coder = {lzma.FORMAT_XZ: lzma.FILTER_LZMA2, lzma.FORMAT_ALONE: lzma.FILTER_LZMA1}[kind]
    for window, taken in ((64 << 20, True), (256 << 20, False)):
        filters = [{"id": coder, "preset": 0, "dict_size": window}]
        package.write_bytes(good[: payload_at(good)] + lzma.compress(archive, format=kind, filters=filters))
        if taken:
            assert read_member(package, MEMBER, limit=len(CODE)) == CODE
        else:
            with pytest.raises(TrustError, match=f"{package}: the payload does not unpack"):
                read_member(package, MEMBER, limit=len(CODE))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small package of each compression."""
    folder = tmp_path_factory.mktemp("packed")
    return {
        compression: make_rpm(folder / f"{compression}.rpm", {MEMBER: CODE}, compression=compression).read_bytes()
        for compression in ("gzip", "xz", "lzma", "zstd")
    }


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), compression=st.sampled_from(["gzip", "xz", "lzma", "zstd"]))
def test_nothing_but_our_errors_comes_of_damage(
    tmp_path: Path, packed: dict[str, bytes], data: st.DataObject, compression: str
) -> None:
    good = packed[compression]
    start = data.draw(st.integers(payload_at(good), len(good)))
    stop = data.draw(st.integers(start, min(start + 32, len(good))))
    damaged = tmp_path / "damaged.rpm"
    damaged.write_bytes(good[:start] + data.draw(st.binary(max_size=32)) + good[stop:])
    with pytest.raises(IsobuilderError):
        read_member(damaged, "/usr/zzz", limit=1000)
