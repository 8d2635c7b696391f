"""repomd.xml and .treeinfo: what is read, and everything that is refused."""

import os
from pathlib import Path

import createrepo_c
import productmd.treeinfo
import pytest

from isobuilder.errors import TrustError
from isobuilder.repository.repomd import metadata_files, parse_repomd, parse_treeinfo
from tests.repositories import Fake, make_repository

SHA256 = "ab" * 32


def repomd(*records: str, root: str = "repomd") -> bytes:
    return f'<{root} xmlns="http://linux.duke.edu/metadata/repo"><revision>7</revision>{"".join(records)}</{root}>'.encode()


def record(
    kind: str,
    href: str = "",
    *,
    checksum: str = SHA256,
    algorithm: str = "sha256",
    size: str = "10",
    opened: str = "20",
) -> str:
    return (
        f'<data type="{kind}"><checksum type="{algorithm}">{checksum}</checksum>'
        f'<location href="{href or f"repodata/{kind}.xml.gz"}"/><timestamp>1600000000.9</timestamp>'
        f"<size>{size}</size><open-size>{opened}</open-size></data>"
    )


def test_what_createrepo_c_writes_is_read(tmp_path: Path) -> None:
    make_repository(tmp_path, [Fake("a")], comps="<group><id>core</id></group>")
    path = tmp_path / "repodata" / "repomd.xml"
    oracle = {entry.type: entry for entry in createrepo_c.Repomd(os.fspath(path)).records}

    read = parse_repomd(path.read_bytes(), where="repomd.xml")

    assert read.timestamp == 1_600_000_000
    assert read.records.keys() == oracle.keys() == {"primary", "filelists", "other", "group"}
    for kind, found in read.records.items():
        assert (found.href, found.sha256, found.size) == (
            oracle[kind].location_href,
            oracle[kind].checksum,
            oracle[kind].size,
        )


def test_files_are_named_by_kind_and_the_compressed_comps_is_taken() -> None:
    kinds = ("primary", "filelists", "group", "group_gz", "primary_db", "updateinfo")
    files = metadata_files(parse_repomd(repomd(*map(record, kinds)), where="x"))
    assert {kind: file.path for kind, file in files.items()} == {
        "primary": "repodata/primary.xml.gz",
        "filelists": "repodata/filelists.xml.gz",
        "group": "repodata/group_gz.xml.gz",
    }
    assert (files["primary"].sha256, files["primary"].size) == (SHA256, 10)


def test_records_that_nobody_reads_may_be_anything() -> None:
    odd = record("updateinfo", "../../etc/passwd", algorithm="md5", checksum="x", size="-1")
    assert "updateinfo" not in parse_repomd(repomd(record("primary"), record("filelists"), odd), where="x").records


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html><body>Log in to the wireless</body></html>", "not repomd.xml"),
        (b"", "not XML"),
        (b"<repomd>", "not well-formed"),
        (b"<repomd>" * 100_000, "elements within each other"),
        (repomd(record("primary")), "no filelists"),
        (repomd(), "no primary and no filelists"),
        (repomd(record("primary", algorithm="sha"), record("filelists")), "primary has no sha256"),
        (repomd(record("primary", checksum="zz"), record("filelists")), "primary has no sha256"),
        (repomd(record("primary", size=""), record("filelists")), "primary has no size"),
        (repomd(record("primary", size="ten"), record("filelists")), "'ten' is not a number"),
        (repomd(record("primary", opened="99999999999"), record("filelists")), "no repository is that large"),
        (repomd(record("primary", "../primary.xml"), record("filelists")), "does not lie inside"),
        (b'<!DOCTYPE repomd [<!ENTITY a "aaaa">]>' + repomd(record("primary", "&a;")), "declares entities"),
        ('<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "b">]><r/>'.encode("utf-16"), "declares entities"),
    ],
)
def test_hostile_repomd_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(TrustError, match="https://mirror") as caught:
        parse_repomd(data, where="https://mirror.example.org")
    assert words in caught.value.message


TREEINFOS = {
    "old": b"[general]\nfamily = CentOS\ntimestamp = 1480944027.47\nvariant = \nversion = 6.6\narch = x86_64\n",
    "new": b"[header]\nversion = 1.2\n[general]\narch = i386\ntimestamp = 1\n"
    b"[tree]\narch = aarch64\nbuild_timestamp = 1748290782\n"
    b"[checksums]\nimages/Boot.iso = sha256:" + SHA256.encode() + b"\nimages/old.img = md5:abc\n",
}


def test_an_old_treeinfo_is_read() -> None:
    info = parse_treeinfo(TREEINFOS["old"], where=".treeinfo")
    assert (info.arch, info.timestamp, info.checksums) == ("x86_64", 1_480_944_027, {})


def test_a_new_treeinfo_is_read_and_a_weak_checksum_is_none() -> None:
    info = parse_treeinfo(TREEINFOS["new"], where=".treeinfo")
    assert (info.arch, info.timestamp, info.checksums) == ("aarch64", 1_748_290_782, {"images/Boot.iso": SHA256})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>", "not a .treeinfo"),
        (b"\xff\xfe", "not a .treeinfo"),
        (b"[general]\narch = x86_64\n", "not a .treeinfo"),
        (b"[general]\narch = x86_64\ntimestamp = soon\n", "'soon' is not a number"),
        (b"[general]\narch = x86_64\ntimestamp = 99999999999\n", "not a time of this century"),
        (TREEINFOS["old"] + b"[checksums]\n../x = sha256:" + SHA256.encode(), "does not lie inside"),
    ],
)
def test_a_broken_treeinfo_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(TrustError) as caught:
        parse_treeinfo(data, where=".treeinfo")
    assert words in caught.value.message


def test_real_treeinfos_are_read_as_productmd_reads_them(real_metadata: Path) -> None:
    read = {}
    for path in sorted(real_metadata.glob("trees/*/.treeinfo")):
        info = parse_treeinfo(path.read_bytes(), where=os.fspath(path))
        read[path.parent.name] = info
        oracle = productmd.treeinfo.TreeInfo()
        try:
            oracle.load(os.fspath(path))
        except ValueError:
            # productmd takes no empty variant, which CentOS 6 has.
            assert path.parent.name == "centos-6.6-vendor"
            continue
        assert (info.arch, info.timestamp) == (oracle.tree.arch, oracle.tree.build_timestamp)
        assert info.checksums == {name: value for name, (_, value) in oracle.checksums.checksums.items()}
    assert read["centos-6.6-vendor"].timestamp == 1_414_159_790
    assert len(read["rocky-9.6"].checksums) == 4


def test_real_repomd_is_read(real_metadata: Path) -> None:
    for path in real_metadata.glob("repos/*/repodata/repomd.xml"):
        read = parse_repomd(path.read_bytes(), where=os.fspath(path))
        assert read.records.keys() == {"primary", "filelists", "other", "group"}
        # The revision is the second in which createrepo_c ended.
        revision = int(createrepo_c.Repomd(os.fspath(path)).revision)
        assert read.timestamp in {revision - 1, revision}
