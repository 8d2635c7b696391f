"""Work that is done once: a second time the same comes out of what was kept, and out of nothing else."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from isobuilder.errors import ResolveError, TrustError
from isobuilder.kept import Kept
from isobuilder.kickstart.request import PackageRequest, Wanted, WantedGroup
from isobuilder.resolve import solve as solving
from isobuilder.resolve.pool import PackagePool, Source
from isobuilder.resolve.selection import Selection
from isobuilder.resolve.solve import Resolution, RoleRequest, resolve
from tests.repositories import Fake, make_repository, write_repodata
from tests.test_repository_repodata import COMPS, EPOCH, lock_package
from tests.test_resolve_random import _comps, _distribution


def known(source: Source) -> Source:
    """`source`, with the checksums that its files have."""
    sums = {kind: hashlib.sha256(path.read_bytes()).hexdigest() for kind, path in source.files.items()}
    return replace(source, sha256=sums)


def run(sources: Sequence[Source], words: Sequence[str], kept: Kept | None) -> Resolution:
    groups = tuple(WantedGroup(word[1:], 1) for word in words if word.startswith("@"))
    names = tuple(Wanted(word, 1) for word in words if not word.startswith("@"))
    request = PackageRequest(names, groups, None, (), ())
    return resolve(sources, [RoleRequest("one", request, "one.ks")], arch="x86_64", always=(), kept=kept)


def outcome(sources: Sequence[Source], words: Sequence[str], kept: Kept | None) -> object:
    """A resolution, or all that is said of why there is none."""
    try:
        return run(sources, words, kept)
    except ResolveError as error:
        return error.message, tuple(error.details)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_read_back_resolves_as_what_was_parsed(seed: int, tmp_path: Path) -> None:
    chance = random.Random(100 + seed)
    packages = _distribution(chance)
    half = len(packages) // 2
    sources = [
        known(make_repository(tmp_path / "base", packages[: half + 20], comps=_comps(chance))),
        known(make_repository(tmp_path / "site", packages[half:], id="site", priority=chance.choice([99, 50]))),
    ]
    kept = Kept(tmp_path / "kept")
    asked = [
        [f"n{number}" for number in chance.sample(range(120), 3)] + chance.choice([[], ["@g1"], ["/usr/share/n7/data"]])
        for _ in range(25)
    ]
    plain = [outcome(sources, words, None) for words in asked]
    assert [outcome(sources, words, kept) for words in asked] == plain
    assert any(isinstance(each, Resolution) for each in plain)
    for source in sources:
        # Only what is small is read again.
        for kind in ("primary", "filelists"):
            source.files[kind].unlink()
    assert [outcome(sources, words, kept) for words in asked] == plain


def test_metadata_of_another_sha256_is_read(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    first = known(make_repository(tmp_path / "one", [Fake("a"), Fake("b", requires=["a"])]))
    second = known(make_repository(tmp_path / "two", [Fake("a", "2-1"), Fake("b", requires=["a"])]))
    for source, version in ((first, "1-1"), (second, "2-1"), (first, "1-1")):
        names = [package.nevra for package in run([source], ["b"], kept).packages]
        assert names == [f"a-0:{version}.noarch", "b-0:1-1.noarch"]


@pytest.mark.parametrize("kind", ["primary", "filelists", "group"])
def test_metadata_that_is_not_what_it_must_be_is_refused(kind: str, tmp_path: Path) -> None:
    packages = [Fake("a", files=["/usr/share/a"]), Fake("b", requires=["/usr/share/a"])]
    source = known(make_repository(tmp_path / "one", packages, comps="<group><id>core</id></group>"))
    source.files[kind].write_bytes(source.files[kind].read_bytes() + b"\0")
    with pytest.raises(TrustError, match="not what it was"):
        run([source], ["b"], Kept(tmp_path / "kept"))


def test_only_what_was_not_solved_before_is_solved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(tmp_path / "kept")
    fakes = [Fake("a", requires=["b"]), Fake("b"), Fake("b", "2-1"), Fake("c"), Fake("d", requires=["nothing"])]
    source = known(make_repository(tmp_path / "one", fakes))
    solved: list[str] = []

    def counted(pool: PackagePool, selection: Selection, problems: list[str]) -> list[tuple[Any, str]]:
        solved.append(selection.role.role)
        return solve(pool, selection, problems)

    solve = solving._solve
    monkeypatch.setattr(solving, "_solve", counted)

    def both(*roles: tuple[str, list[str]], of: Source = source, keep: Kept | None = kept) -> tuple[list[str], object]:
        solved.clear()
        requests = [
            RoleRequest(role, PackageRequest(tuple(Wanted(word, 1) for word in words), (), None, (), ()), f"{role}.ks")
            for role, words in roles
        ]
        resolution = resolve([of], requests, arch="x86_64", always=(), kept=keep, with_needs=True)
        return list(solved), resolution

    assert both(("one", ["a"]), ("two", ["c"]))[0] == ["one", "two"]
    again, resolution = both(("one", ["a"]), ("two", ["c", "b"]))
    assert again == ["two"]
    assert resolution == both(("one", ["a"]), ("two", ["c", "b"]), keep=None)[1]
    assert both(("one", ["a"]), ("two", ["c", "b"])) == ([], resolution)
    # Whatever else it depends on makes it another one.
    assert both(("one", ["a"]), of=replace(source, excludes=("b-2-1",)))[0] == ["one"]
    assert both(("one", ["a"]), of=replace(source, priority=7))[0] == ["one"]
    assert both(("one", ["a"]), of=replace(source, sha256={}))[0] == ["one"]
    for _ in range(2):
        with pytest.raises(ResolveError, match="does not fit together"):
            both(("two", ["d"]), ("one", ["a"]), ("three", ["c", "a"]))
        assert solved in (["two", "three"], ["two"])
    assert solved == ["two"]


def test_what_is_kept_of_a_repository_and_was_changed_is_not_used(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    source = known(make_repository(tmp_path / "one", [Fake("a")]))
    before = run([source], ["a"], kept)
    for path in kept.folder.iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert run([source], ["a"], kept) == before


def test_repodata_of_a_medium_is_the_same_from_what_was_kept(tmp_path: Path) -> None:
    fakes = [Fake(f"p{number}", files=[f"/usr/share/{number}"]) for number in range(9)]
    source = make_repository(tmp_path / "one", fakes)
    kept = Kept(tmp_path / "kept")
    packages = [lock_package(fake, source) for fake in fakes]
    metadata = {"base": source.files}
    eight = write_repodata(packages[:8], metadata, COMPS, epoch=EPOCH)
    nine = write_repodata(packages, metadata, COMPS, epoch=EPOCH)
    assert write_repodata(packages[:8], metadata, COMPS, epoch=EPOCH, kept=kept) == eight
    assert write_repodata(packages, metadata, COMPS, epoch=EPOCH, kept=kept) == nine
    written = sorted(kept.folder.glob("*-data-0"))
    assert len(written) == 2
    assert write_repodata(packages[:8], metadata, COMPS, epoch=EPOCH, kept=kept) == eight
    for path in written:
        path.unlink()
    # Made again, and of pieces alone: the metadata is not asked any more for what is known.
    parsed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("isobuilder.repository.pieces._entries", lambda name, *_: parsed.append(name))
        assert write_repodata(packages[:8], metadata, COMPS, epoch=EPOCH, kept=kept) == eight
    assert not parsed


def test_a_package_that_was_locked_otherwise_is_not_taken_from_what_was_kept(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "one", [Fake("a")])
    kept = Kept(tmp_path / "kept")
    package = lock_package(Fake("a"), source)
    write_repodata([package], {"base": source.files}, COMPS, epoch=EPOCH, kept=kept)
    changed = package.model_copy(update={"nevra": "a-0:2-1.noarch"})
    with pytest.raises(TrustError, match="does not have a-0:2-1"):
        write_repodata([changed], {"base": source.files}, COMPS, epoch=EPOCH, kept=kept)
