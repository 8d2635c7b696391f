"""Owners of files out of filelists: found wherever they stand, and nothing that is cut short passes."""

import gzip
import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

import createrepo_c
import pytest

from isobuilder.errors import TrustError
from isobuilder.repository import filelists
from isobuilder.repository.filelists import find_owners
from tests.repositories import Fake, make_repository


def repository(folder: Path, packages: Sequence[Fake]) -> Path:
    return make_repository(folder, packages).files["filelists"]


def by_createrepo_c(path: Path, wanted: set[str]) -> dict[str, list[str]]:
    """What a parser of all the XML finds."""
    found: dict[str, list[str]] = {}

    def keep(package: createrepo_c.Package) -> None:
        here = sorted(wanted & {folder + name for _, folder, name, *_ in package.files})
        if here:
            found[package.pkgId] = here

    createrepo_c.xml_parse_filelists(str(path), None, keep)
    return found


@pytest.mark.parametrize("chunk", [7, 100, 1 << 20])
def test_owners_are_those_that_a_parser_of_xml_finds(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = random.Random(chunk)
    odd = ["/usr/share/a & b", "/usr/share/<tag>", "/usr/share/ö", "/usr/share/q\"uote's", "/usr/share/package pkgid="]
    paths = [*odd, *(f"/usr/lib/file{number}" for number in range(60))]
    packages = [Fake(f"pkg{number}", files=generator.sample(paths, generator.randrange(12))) for number in range(200)]
    path = repository(tmp_path / "one", packages)
    plain = gzip.decompress(path.read_bytes())
    monkeypatch.setattr(
        "isobuilder.repository.rpmmd.plain_chunks",
        lambda *_: (plain[at : at + chunk] for at in range(0, len(plain), chunk)),
    )
    wanted = {*odd, "/usr/lib/file1", "/usr/lib/file59", "/usr/lib/file", "/nowhere"}
    found = find_owners(path, wanted, "here")
    assert {owner.pkgid: list(owner.paths) for owner in found} == by_createrepo_c(path, wanted)
    assert len(found) > 50
    names = {hashlib.sha256(fake.nevra.encode()).hexdigest(): fake.name for fake in packages}
    assert {owner.name for owner in found} == {names[owner.pkgid] for owner in found}


def change(path: Path, *replacements: tuple[bytes, bytes]) -> Path:
    data = gzip.decompress(path.read_bytes())
    for old, new in replacements:
        assert old in data
        data = data.replace(old, new, 1)
    path.write_bytes(gzip.compress(data))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"</filelists>", b"", "do not come to an end"),
        (b'packages="2"', b'packages="3"', "2 packages, and they say 3"),
        (b'packages="2"', b"", "no root says how many"),
        (b'encoding="UTF-8"', b'encoding="ISO-8859-1"', "written in ISO-8859-1"),
        (b'name="a"', b'name="\xff"', "not in UTF-8"),
    ],
)
def test_what_is_not_whole_or_not_to_be_read_so_is_refused(old: bytes, new: bytes, said: str, tmp_path: Path) -> None:
    path = change(repository(tmp_path / "one", [Fake("a", files=["/a"]), Fake("b")]), (old, new))
    with pytest.raises(TrustError, match=said):
        find_owners(path, ["/a"], "repository base")


def test_another_file_than_was_promised_is_refused(tmp_path: Path) -> None:
    path = repository(tmp_path / "one", [Fake("a", files=["/a"])])
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert [owner.name for owner in find_owners(path, ["/a"], "here", sha256)] == ["a"]
    with pytest.raises(TrustError, match="not what it was"):
        find_owners(change(path, (b"/a<", b"/b<")), ["/a"], "here", sha256)


def test_one_package_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filelists, "_MOST", 1000)
    path = repository(tmp_path / "one", [Fake("a", files=[f"/usr/share/{number}" for number in range(200)])])
    with pytest.raises(TrustError, match="a package of more than 1,000 bytes"):
        find_owners(path, ["/a"], "here")
