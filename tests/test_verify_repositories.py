"""The repositories of a medium are whole, or it is said what is not: broken one way at a time, after createrepo_c."""

import gzip
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stock_media import StockMedium, make_packages, make_repodata, master
from tests.verifying import found, message, verdict

PACKAGE = "Packages/bash-1.0-1.noarch.rpm"
REPOMD = "repodata/repomd.xml"
PLACE = "repodata, primary"


def one(tree: Path, kind: str) -> Path:
    """The file of metadata of that kind."""
    [path] = (tree / "repodata").glob(f"*-{kind}*.gz")
    return path


def rewritten(kind: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    """Other content for a file of metadata, with repomd.xml to match, so that only the content is wrong."""

    def run(tree: Path) -> None:
        path = one(tree, kind)
        old = path.read_bytes()
        text = change(gzip.decompress(old).decode())
        assert text != gzip.decompress(old).decode()
        new = gzip.compress(text.encode(), mtime=0)
        path.write_bytes(new)
        index = tree / REPOMD
        said = index.read_text().replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest())
        renamed = path.with_name(path.name.replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest()))
        path.rename(renamed)
        index.write_text(said.replace(f"<size>{len(old)}</size>", f"<size>{len(new)}</size>"))

    return run


def changed_byte(path: str, at: int = -10) -> Callable[[Path], None]:
    def run(tree: Path) -> None:
        data = bytearray((tree / path).read_bytes())
        data[at] ^= 1
        (tree / path).unlink()
        (tree / path).write_bytes(data)

    return run


def appended(path: str) -> Callable[[Path], None]:
    def run(tree: Path) -> None:
        (tree / path).write_bytes((tree / path).read_bytes() + b"\0")

    return run


def no_such_kind(tree: Path) -> None:
    text = (tree / REPOMD).read_text()
    (tree / REPOMD).write_text(text.replace('<checksum type="sha256">', '<checksum type="crc32">', 1))


def no_other(tree: Path) -> None:
    one(tree, "other").unlink()


def no_filelists(tree: Path) -> None:
    one(tree, "filelists").unlink()


def no_comps(tree: Path) -> None:
    one(tree, "comps").unlink()


def damaged_gzip(tree: Path) -> None:
    path = one(tree, "primary")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def repomd(text: str) -> Callable[[Path], None]:
    def run(tree: Path) -> None:
        (tree / REPOMD).write_text(text)

    return run


def unlisted(tree: Path) -> None:
    shutil.copyfile(tree / PACKAGE, tree / "Packages/other-1.0-1.noarch.rpm")


def moved(tree: Path) -> None:
    (tree / "other").mkdir()
    (tree / PACKAGE).rename(tree / "other" / Path(PACKAGE).name)


BREAKS: dict[str, tuple[Callable[[Path], None], set[tuple[str, str]]]] = {
    "a package is not there": (lambda tree: (tree / PACKAGE).unlink(), {("package-missing", PACKAGE)}),
    "one bit of a package": (changed_byte(PACKAGE), {("package-sum-differs", PACKAGE)}),
    "a package has grown": (appended(PACKAGE), {("package-size-differs", PACKAGE)}),
    "a package that nobody names": (unlisted, {("package-unlisted", "Packages/other-1.0-1.noarch.rpm")}),
    "a package that lies elsewhere": (
        rewritten("primary", lambda text: text.replace(f'href="{PACKAGE}"', 'href="../../etc/passwd"')),
        {("package-elsewhere", PLACE), ("package-unlisted", PACKAGE)},
    ),
    "a package with a base address": (
        rewritten(
            "primary",
            lambda text: text.replace(f'href="{PACKAGE}"', f'xml:base="http://example.org/" href="{PACKAGE}"'),
        ),
        {("package-elsewhere", PLACE)},
    ),
    "comps that are none": (
        rewritten("comps", lambda text: text.replace("</group>", "")),
        {("repodata-malformed", "COMPS")},
    ),
    "no primary": (lambda tree: one(tree, "primary").unlink(), {("repodata-missing", REPOMD)}),
    "a package in a folder of another name": (moved, {("package-missing", PACKAGE)}),
    "no filelists": (no_filelists, {("repodata-missing", REPOMD)}),
    "no comps": (no_comps, {("repodata-missing", REPOMD)}),
    "no changelogs": (no_other, {("repodata-extra-missing", REPOMD)}),
    "a kind of checksum that nobody knows": (no_such_kind, {("repodata-malformed", REPOMD)}),
    "no XML": (repomd("<repomd>"), {("repodata-malformed", REPOMD)}),
    "entities": (
        repomd('<!DOCTYPE r [<!ENTITY a "b">]><repomd>&a;</repomd>'),
        {("repodata-malformed", REPOMD)},
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_break_is_found_and_nothing_else(name: str, stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    change, expected = BREAKS[name]

    def run(tree: Path) -> None:
        change(tree)
        # .treeinfo has the sum of repomd.xml, which is not what is looked at here.
        path = tree / ".treeinfo"
        path.write_text(re.sub(r"repodata/repomd.xml = .*\n", "", path.read_text()))

    seen = found(stock_media["9"].changed(tmp_path, run))
    kinds = ("package-", "repodata-")
    named = {(kind, "COMPS" if "comps" in place else place) for kind, place in seen if kind.startswith(kinds)}
    assert named == expected


def test_damaged_metadata_is_told_by_its_sum_and_by_its_content(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    iso = stock_media["9"].changed(tmp_path, damaged_gzip)
    kinds = {kind for kind, _ in found(iso)}
    assert {"repodata-sum-differs", "repodata-malformed"} <= kinds


def test_metadata_must_be_packed_as_the_installer_of_its_release_reads_it(
    stock_media: dict[str, StockMedium], tmp_path: Path
) -> None:
    def change(tree: Path) -> None:
        subprocess.run(
            [Path(sys.executable).with_name("createrepo_c"), "--quiet", "--general-compress-type=zstd", tree],
            check=True,
            capture_output=True,
            timeout=60,
        )

    for name, kinds in (("7", {"repodata-format"}), ("9", set())):
        folder = tmp_path / name
        folder.mkdir()
        seen = {kind for kind, _ in found(stock_media[name].changed(folder, change)) if kind.startswith("repodata")}
        assert seen == kinds


def test_packages_of_another_architecture_are_told_as_that(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    change = rewritten("primary", lambda text: text.replace("<arch>noarch</arch>", "<arch>aarch64</arch>"))
    iso = stock_media["9"].changed(tmp_path, change)
    said = [finding.message for finding in verdict(iso).findings if finding.kind.id == "packages-unresolved"]
    assert any("bash-1.0.0-1.aarch64 does not have a compatible architecture" in text for text in said)


def test_several_repositories_are_looked_at_each(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    def change(tree: Path) -> None:
        make_packages(tree / "AppStream/Packages", ["tmux"])
        make_repodata(tree / "AppStream")
        (tree / "AppStream/Packages/tmux-1.0-1.noarch.rpm").unlink()

    iso = stock_media["9"].changed(tmp_path, change)
    assert found(iso) == {("package-missing", "AppStream/Packages/tmux-1.0-1.noarch.rpm")}


def test_names_that_linux_would_not_see_are_missing(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    medium = stock_media["uefi"]
    iso = master(medium.tree, tmp_path / "plain.iso", medium.stock, names=("--norock", "-iso-level", "1"))
    seen = found(iso)
    assert ("names-plain", "the file system") in seen
    assert ("repodata-missing", REPOMD) in seen
    assert not verdict(iso).passed


def test_a_message_says_what_is_there_and_what_should_be(stock_media: dict[str, StockMedium], tmp_path: Path) -> None:
    iso = stock_media["9"].changed(tmp_path, appended(PACKAGE))
    size = (stock_media["9"].tree / PACKAGE).stat().st_size
    assert message(iso, "package-size-differs") == (
        f"{PACKAGE}: it has {size + 1} bytes, and repodata, primary says {size}"
    )
