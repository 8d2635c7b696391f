"""Mirror lists and metalinks: what is taken out of them, and what is refused."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobuilder.errors import FetchError, TrustError
from isobuilder.repository.mirrors import Mirrors, parse_metalink, parse_mirrorlist
from tests.metalinks import metalink, published

NEWEST, OLDER, OLDEST = b"<repomd>3</repomd>", b"<repomd>2</repomd>", b"<repomd>1</repomd>"
REPOMD = "repodata/repomd.xml"
LISTED = [
    ("rsync", "100", f"rsync://a.example.org/9/{REPOMD}"),
    ("http", "100", f"http://a.example.org/9/{REPOMD}"),
    ("https", "100", f"https://a.example.org/9/{REPOMD}"),
    ("http", "99", f"http://plain.example.org/9/{REPOMD}"),
    ("ftp", "98", f"ftp://b.example.org/9/{REPOMD}"),
    ("https", "97", f"https://b.example.org/centos/9/{REPOMD}"),
    ("https", "98", f"https://c.example.org:8443/{REPOMD}"),
]
BEST = (
    "https://a.example.org/9/",
    "https://c.example.org:8443/",
    "https://b.example.org/centos/9/",
    "http://plain.example.org/9/",
)


def read(data: bytes) -> Mirrors:
    return parse_metalink(data, where="metalink")


def test_the_best_mirrors_of_a_metalink() -> None:
    assert read(metalink(LISTED, NEWEST)).baseurls == BEST
    # Metalinks shuffle mirrors of one preference at each answer.
    assert read(metalink(reversed(LISTED), NEWEST)).baseurls == BEST
    many = [("https", "50", f"https://m{number}.example.org/{REPOMD}") for number in range(99)]
    assert len(read(metalink(many, NEWEST)).baseurls) == 8


def test_a_metalink_says_what_repomd_must_be() -> None:
    found = read(metalink(LISTED, NEWEST, OLDER, OLDEST))
    assert [found.age(data, where="x") for data in (NEWEST, OLDER, OLDEST)] == [0, 1, 2]
    for wrong in (b"", NEWEST[:-1], NEWEST.replace(b"3", b"4"), NEWEST + b"\n"):
        with pytest.raises(TrustError, match="x: is not what the metalink says"):
            found.age(wrong, where="x")


def test_the_strongest_checksum_counts() -> None:
    text = metalink(LISTED, NEWEST).decode()
    strong, weak = (published(NEWEST, 1_600_000_000, names) for names in (("sha256",), ("md5", "sha1")))
    both = published(NEWEST, 1_600_000_000)
    assert both in text
    assert read(text.replace(both, strong).encode()).age(NEWEST, where="x") == 0
    with pytest.raises(TrustError, match="no sha512 or sha256"):
        read(text.replace(both, weak).encode())
    # Where they contradict each other, the stronger is believed.
    sha512 = hashlib.sha512(OLDER).hexdigest()
    torn = read(text.replace(hashlib.sha512(NEWEST).hexdigest(), sha512).encode())
    assert torn.age(OLDER, where="x") == 0
    with pytest.raises(TrustError):
        torn.age(NEWEST, where="x")


def test_an_alternate_without_a_strong_checksum_is_none() -> None:
    both = published(OLDER, 1_599_999_999)
    text = metalink(LISTED, NEWEST, OLDER).decode()
    assert both in text
    found = read(text.replace(both, published(OLDER, 1_599_999_999, ("md5", "sha1"))).encode())
    assert len(found.versions) == 1


@pytest.mark.parametrize(
    "url",
    [
        f"file:///etc/{REPOMD}",
        f"https://user:secret@a.example.org/{REPOMD}",
        f"https://a.example.org/?x=/{REPOMD}",
        f"https://a.example.org/#/{REPOMD}",
        f"https://a.example.org/a b/{REPOMD}",
        f"https://a.example.org/\u00e9/{REPOMD}",
        f"https:///{REPOMD}",
        "https://a.example.org/repomd.xml",
        "",
    ],
)
def test_addresses_that_no_definition_could_have_are_left_out(url: str) -> None:
    assert read(metalink([*LISTED, ("https", "100", url)], NEWEST)).baseurls == BEST
    with pytest.raises(FetchError, match="names no mirror"):
        read(metalink([("https", "100", url)], NEWEST))


def test_a_preference_that_is_none() -> None:
    odd = [("https", preference, f"https://odd.example.org/{REPOMD}") for preference in ("-1", "1e9", "\u0661", "9999")]
    assert read(metalink([*LISTED, *odd], NEWEST)).baseurls == BEST


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not XML"),
        (b"<html>Log in</html>", "not a metalink but 'html'"),
        (b"<metalink><files/></metalink>", "not of repomd.xml"),
        (metalink(LISTED, NEWEST).replace(b"repomd.xml'>", b"other.iso'>"), "not of repomd.xml"),
        (b"<!DOCTYPE metalink [<!ENTITY a 'b'>]>" + metalink(LISTED, NEWEST).partition(b"\n")[2], "declares entities"),
        (metalink(LISTED, NEWEST).replace(b"timestamp>16", b"timestamp>-16"), "is not a timestamp"),
        (metalink(LISTED, NEWEST)[:-30], "not well-formed"),
        (b"<metalink>" + b"<a>" * 1000, "within each other"),
    ],
)
def test_what_is_no_metalink_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(TrustError, match=words):
        read(data)


def test_the_lines_of_a_mirror_list() -> None:
    text = (
        b"# mirrors of today\r\n\r\nhttp://a.example.org/7/os/x86_64\r\nftp://b.example.org/7/\r\n"
        b"  https://c.example.org/el7/$basearch/  \nrsync://d.example.org/\nhttps://a.example.org/7/os/x86_64/\n"
        b"http://e.example.org/ # near\nhttp://f.example.org/${basearch}\n"
    )
    assert parse_mirrorlist(text, "aarch64", where="x").baseurls == (
        "https://c.example.org/el7/aarch64/",
        "https://a.example.org/7/os/x86_64/",
        "http://f.example.org/aarch64/",
    )


@pytest.mark.parametrize(
    "text", [b"", b"# none\n", b"Invalid release/repo/arch combination\n", b"\xff\xfe\x00", b"http://"]
)
def test_a_list_without_a_mirror_says_what_it_has(text: bytes) -> None:
    with pytest.raises(FetchError, match="x: names no mirror") as caught:
        parse_mirrorlist(text, "x86_64", where="x")
    assert "Invalid release" not in str(text) or "Invalid release" in caught.value.message


def test_a_metalink_is_no_mirror_list() -> None:
    with pytest.raises(FetchError) as caught:
        parse_mirrorlist(metalink(LISTED, NEWEST), "x86_64", where="x")
    assert "metalink" in caught.value.hint


def test_real_mirror_lists(real_metadata: Path) -> None:
    for path in sorted((real_metadata / "mirrorlists").glob("*.txt")):
        data = path.read_bytes()
        assert parse_mirrorlist(data, "x86_64", where=path.name).baseurls == tuple(data.decode().split()[:8])


@given(st.binary(max_size=400))
def test_nothing_but_our_errors_comes_of_noise(data: bytes) -> None:
    for metalink_wanted in (True, False):
        try:
            found = read(data) if metalink_wanted else parse_mirrorlist(data, "x86_64", where="x")
        except (FetchError, TrustError):
            continue
        assert found.baseurls
