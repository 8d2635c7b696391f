"""Repositories as other tools than CentOS's make them: read where they can be, refused in words where not."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from isobuilder.errors import TrustError
from isobuilder.repository import rpmmd
from isobuilder.repository.repomd import parse_repomd
from isobuilder.resolve.pool import PackagePool, Source
from tests.repositories import COMPRESSIONS, Fake, make_repository

PACKAGES = (Fake("a", files=("/opt/a",), requires=("/opt/b",)), Fake("b", "1:2-3", files=("/opt/b",)))
SUM = "a" * 64


def record(kind: str, more: str = "", *, sum_type: str = "sha256", digest: str = SUM, place: str = "") -> str:
    where = place or f'href="repodata/{kind}.xml.gz"'
    return (
        f'<data type="{kind}"><checksum type="{sum_type}">{digest}</checksum>{more}'
        f"<location {where}/><timestamp>1600000000</timestamp><size>5</size></data>"
    )


def repomd(
    *records: str, root: str = "repomd", namespace: str = 'xmlns="http://linux.duke.edu/metadata/repo"'
) -> bytes:
    return f'<?xml version="1.0"?>\n<{root} {namespace}>{"".join(records)}</{root}>'.encode()


BOTH = (record("primary"), record("filelists"))


@pytest.mark.parametrize(
    "data",
    [
        # The Open Build Service: data of zypper's, a key for others, tags that say what the product is.
        repomd('<tags><content>pool</content><repo cpeid="cpe:/o:opensuse">obsproduct://x</repo></tags>', *BOTH,
               record("susedata"), record("susedata.de"), record("patterns"), record("appdata", sum_type="sha512"),
               record("license", "<open-size>x</open-size>")),
        # Fedora's: zchunk beside gzip, with sums and sizes of headers; SQLite, deltas and updates.
        repomd("<revision>1600000000</revision>", *BOTH, record("primary_zck", "<header-checksum type='sha256'>b</header-checksum>"
               "<header-size>9</header-size>"), record("primary_db"), record("prestodelta"), record("updateinfo")),
        # Prefixes for namespaces, and none at all.
        re.sub(rb"<(/?)(?!\?)(\w)", rb"<\1r:\2", repomd(*BOTH)).replace(b"xmlns=", b"xmlns:r="),
        repomd(*BOTH, namespace=""),
        # Times with fractions and none; sizes of what is packed, or not.
        repomd(*BOTH).replace(b">1600000000<", b">1600000000.25<"),
        repomd(*BOTH).replace(b"<timestamp>1600000000</timestamp>", b""),
        # Lines of Windows, a byte order mark, another encoding, sums in capitals.
        repomd(*BOTH).replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + repomd(*BOTH),
        repomd(*BOTH).decode().replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"),
        repomd(*BOTH).replace(SUM.encode(), SUM.upper().encode()),
    ],
    ids=["obs", "fedora", "prefixes", "no-namespace", "fractions", "no-times", "crlf", "bom", "utf-16", "capitals"],
)  # fmt: skip
def test_repomd_of_other_makers_is_read(data: bytes) -> None:
    found = parse_repomd(data, where="repomd.xml")
    assert set(found.records) == {"primary", "filelists"}
    assert {(one.sha256, one.size) for one in found.records.values()} == {(SUM, 5)}


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([record("primary", sum_type="sha", digest="a" * 40), BOTH[1]], "primary has no sha256 checksum but sha"),
        ([record("primary", sum_type="sha1", digest="a" * 40), BOTH[1]], "no sha256 checksum but sha1"),
        ([record("primary", sum_type="sha224", digest="a" * 56), BOTH[1]], "no sha256 checksum but sha224"),
        ([record("primary", sum_type="sha512", digest="a" * 128), BOTH[1]], "no sha256 checksum but sha512"),
        ([record("primary", sum_type="md5", digest="a" * 32), BOTH[1]], "no sha256 checksum but md5"),
        ([record("primary", sum_type="sha256", digest="a" * 40), BOTH[1]], "no sha256 checksum"),
        ([record("primary_zck"), BOTH[1]], "publishes no primary"),
        ([BOTH[0]], "publishes no filelists"),
        ([record("primary_db"), record("filelists_db")], "no primary and no filelists"),
        ([*BOTH, record("primary", digest="b" * 64)], "primary is there twice"),
        ([record("primary", place='xml:base="https://cdn.example.org/" href="x"'), BOTH[1]], "another server .xml:base."),
        ([record("primary", place='href="https://cdn.example.org/x"'), BOTH[1]], "does not lie inside"),
        ([BOTH[0].replace("<size>5</size>", ""), BOTH[1]], "primary has no size"),
    ],
)  # fmt: skip
def test_repomd_that_cannot_be_used_says_why(records: Sequence[str], words: str) -> None:
    with pytest.raises(TrustError, match=words) as caught:
        parse_repomd(repomd(*records), where="repomd.xml")
    assert caught.value.message.startswith("repomd.xml: ")


def pool(folder: Path, primary: bytes, filelists: bytes) -> PackagePool:
    (folder / "primary").write_bytes(primary)
    (folder / "filelists").write_bytes(filelists)
    files = {"primary": folder / "primary", "filelists": folder / "filelists"}
    return PackagePool([Source("vendor", 99, files)], arch="x86_64", paths=("/opt/b",))


@pytest.fixture
def documents(tmp_path: Path) -> tuple[bytes, bytes]:
    source = make_repository(tmp_path / "repository", PACKAGES, compression="")
    return source.files["primary"].read_bytes(), source.files["filelists"].read_bytes()


def test_primary_of_other_makers_is_read(documents: tuple[bytes, bytes], tmp_path: Path) -> None:
    primary, filelists = documents
    changes = {
        # The count is what nobody relies on: some write it before they know it.
        "no count": re.sub(rb' packages="2"', b"", primary),
        "a count that lies": re.sub(rb' packages="2"', b' packages="77"', primary),
        "another prefix for rpm's names": primary.replace(b"<rpm:", b"<r:").replace(b"</rpm:", b"</r:").replace(b"xmlns:rpm", b"xmlns:r"),
        "elements of nobody's": primary.replace(b"<format>", b"<x:y xmlns:x='urn:x'><x:z>1</x:z></x:y><format>"),
        "no description, packager or address": re.sub(rb"<(description|packager|url)>.*?</\1>", b"", primary),
        "comments": primary.replace(b"<package ", b"<!-- made by hand --><package "),
        "lines of Windows": primary.replace(b"\n", b"\r\n"),
        "one line": primary.replace(b"\n", b""),
    }  # fmt: skip
    for what, changed in changes.items():
        found = pool(tmp_path, changed, filelists)
        assert sorted(found.names()) == ["a", "b"], what
        [[provider]] = found.named("/opt/b")
        assert str(provider) == "b-1:2-3.noarch", what
        assert found.file(provider).sha256 == hashlib.sha256(b"b-1:2-3.noarch").hexdigest(), what


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_metadata_is_read_however_it_is_packed_and_whatever_its_name(tmp_path: Path, compression: str) -> None:
    files = make_repository(tmp_path / "repository", PACKAGES, compression=compression).files
    found = pool(tmp_path, files["primary"].read_bytes(), files["filelists"].read_bytes())
    assert sorted(found.names()) == ["a", "b"]


@pytest.mark.parametrize("kind", ["primary", "filelists"])
def test_metadata_that_libraries_would_find_nothing_in_is_refused(
    documents: tuple[bytes, bytes], tmp_path: Path, kind: str
) -> None:
    good = dict(zip(("primary", "filelists"), documents, strict=True))
    prefixed = re.sub(rb"<(/?)(?!rpm:|\?|!)(\w)", rb"<\1c:\2", good[kind]).replace(b"xmlns=", b"xmlns:c=")
    for data, root in ((prefixed, "c:"), (b"<html><body>404</body></html>", "html"), (b"<repomd/>", "repomd")):
        with pytest.raises(
            TrustError, match=f"{kind}: {kind} begins with '{root}.*and not with '(metadata|filelists)'"
        ):
            pool(tmp_path, **{**good, kind: data})


@pytest.mark.parametrize("name", ["md5", "sha1", "sha224", "sha384", "sha512"])
def test_packages_with_other_checksums_are_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    source = make_repository(tmp_path / "repository", [Fake("a", checksum_type=name)], compression="")
    found = PackagePool([source], arch="x86_64")
    with pytest.raises(TrustError, match=f"vendor|base: a-1-1.noarch: .* not sha256 but {name}") as caught:
        found.file(found.every("a")[0])
    assert "createrepo_c --checksum sha256" in caught.value.hint


@pytest.mark.parametrize("size", [33 << 30, 10**18])
def test_a_package_of_absurd_size_is_refused(tmp_path: Path, size: int) -> None:
    source = make_repository(tmp_path / "repository", [Fake("a", size=size)], compression="")
    found = PackagePool([source], arch="x86_64")
    with pytest.raises(TrustError, match=f"gives it {size} bytes; no package is that large"):
        found.file(found.every("a")[0])


@pytest.mark.parametrize("name", ["UTF-7", "EUC-JP", "nonsense"])
def test_encodings_that_the_parser_does_not_know_are_refused(name: str, tmp_path: Path) -> None:
    data = f'<?xml version="1.0" encoding="{name}"?><otherdata/>'.encode()
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(TrustError, match="other: not"):
        rpmmd.check_xml(path, "other")
    with pytest.raises(TrustError, match="here: not"):
        rpmmd.parse_xml(data, "here")
