"""What lies in the cache is told, and goes when nothing needs it; builds that run meanwhile lose nothing."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from isobuilder.errors import HostError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.memory import Memory
from isobuilder.fetch.upkeep import contents, prune, verify
from isobuilder.progress import Silent
from tests.conftest import Demo, isobuilder

LONG_AGO = 1_000_000_000


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Two files, an answer, and two partial downloads."""
    cache = Cache(tmp_path / "cache")
    cache.add(b"first")
    cache.add(b"second")
    Memory(cache).keep("https://repo.example.org/repomd.xml", b"<repomd/>")
    for digit in "ab":
        with cache.claim(digit * 64, lambda: None) as part:
            part.write(b"part")
    return cache


def left(cache: Cache) -> tuple[set[bytes], int, int]:
    found = contents(cache)
    return {one.path.read_bytes() for one in found.files}, len(found.partial), len(found.answers)


def pruned(cache: Cache, *keep: bytes, **how: Any) -> tuple[int, int, int]:
    names = {cache.add(data).name for data in keep}
    arguments = {"keep_answers": lambda _url: False, "before": None, "dry_run": False} | how
    done = prune(cache, keep=names, **arguments)
    return done.files, done.partial, done.size


def test_what_no_lock_needs_goes(cache: Cache) -> None:
    assert pruned(cache, b"first", dry_run=True) == (2, 2, 6 + 9 + 8)
    assert left(cache) == ({b"first", b"second", b"<repomd/>"}, 2, 1)
    assert pruned(cache, b"first", keep_answers=lambda url: "example" in url) == (1, 2, 6 + 8)
    assert left(cache) == ({b"first", b"<repomd/>"}, 0, 1)
    assert pruned(cache) == (2, 0, 5 + 9)
    assert left(cache) == (set(), 0, 0)
    assert Memory(cache).recall("https://repo.example.org/repomd.xml") is None


def test_only_what_was_not_needed_for_long(cache: Cache) -> None:
    for one in (*contents(cache).files, *contents(cache).partial[:1]):
        os.utime(one.path, (LONG_AGO, LONG_AGO))
    cache.mark_used(cache.add(b"first").name)
    assert pruned(cache, before=LONG_AGO + 1) == (2, 1, 6 + 9 + 4)
    assert left(cache)[0] == {b"first"}


def test_a_build_that_runs_loses_nothing(cache: Cache) -> None:
    with cache.in_use(), cache.in_use(), pytest.raises(HostError, match="a build is using this cache"):
        pruned(cache)
    assert len(left(cache)[0]) == 3
    # One that does not say so holds its partial download at least.
    with cache.claim("a" * 64, lambda: None) as part:
        assert pruned(cache) == (3, 1, 5 + 6 + 9 + 4)
        part.seek(0)
        assert part.read() == b"part"
        cache.settle(part, "a" * 64)
    assert left(cache)[0] == {b"part"}


def test_a_cache_that_is_somebody_elses_can_be_used(cache: Cache) -> None:
    shutil.rmtree(cache.root)
    cache.root.write_text("no folder, so no lock")
    with cache.in_use():
        pass


def test_what_is_damaged_or_in_the_wrong_place_is_removed(cache: Cache) -> None:
    damaged = cache.add(b"first")
    damaged.write_bytes(b"firSt")
    wrong = cache.root / "sha256/zz" / cache.add(b"second").name
    wrong.parent.mkdir()
    wrong.write_bytes(b"second")
    (cache.root / "sha256/zz/README").write_text("somebody's")
    count, removed = verify(cache, Silent())
    assert (count, {one.path for one in removed}) == (4, {damaged, wrong})
    assert left(cache)[0] == {b"second", b"<repomd/>"}
    assert verify(cache, Silent()) == (2, [])


def test_pipes_and_links_to_nowhere_are_removed_unopened(cache: Cache) -> None:
    pipe, link = cache.add(b"first"), cache.add(b"second")
    pipe.unlink()
    os.mkfifo(pipe)
    link.unlink()
    link.symlink_to("nowhere")
    _, removed = verify(cache, Silent())
    assert {one.path for one in removed} == {pipe, link}
    assert not os.path.lexists(pipe)
    assert not os.path.lexists(link)


def test_an_empty_cache_is_nothing_special(tmp_path: Path) -> None:
    for command in (["info"], ["verify", "--json"], ["prune", "--all"]):
        done = isobuilder("cache", *command, "--cache-dir", str(tmp_path / "none"), cwd=tmp_path)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "code", "finding"),
    [
        ([], 2, "this would empty the cache"),
        (["--older-than", "soon"], 2, "'soon' is not an age"),
        (["--keep", "no.lock"], 3, "no.lock: there is no such lock"),
    ],
)
def test_nothing_is_removed_by_a_slip(cache: Cache, words: list[str], code: int, finding: str) -> None:
    done = isobuilder("cache", "prune", *words, "--cache-dir", str(cache.root))
    assert (done.returncode, finding in done.stderr) == (code, True)
    assert len(left(cache)[0]) == 3


@pytest.mark.practice
def test_what_a_lock_needs_stays_and_a_build_needs_nothing_else(demo: Demo, tmp_path: Path) -> None:
    for name in ("media.toml", "practice.toml", "rack-node.ks.j2", demo.lock.name):
        shutil.copy(demo.folder / name, tmp_path)
    shutil.copytree(demo.folder / "eucalyptus", tmp_path / "eucalyptus")
    cache = tmp_path / "cache"
    subprocess.run(["cp", "-r", demo.cache, cache], check=True, timeout=60)
    extra = Cache(cache).add(b"of another medium")

    def run(*words: str, code: int = 0) -> str:
        done = isobuilder(*words, "--cache-dir", str(cache), cwd=tmp_path)
        assert done.returncode == code, done.stderr
        return done.stdout

    count = len(contents(Cache(cache)).files)
    told = json.loads(run("cache", "info", "--json"))
    assert told["files"]["count"] == count
    assert told["lock"]["files"] == told["lock"]["files-here"] < count
    run("cache", "prune", "--keep", demo.lock.name)
    assert not extra.exists()
    assert "0 files" in run("cache", "prune", "--keep", demo.lock.name)
    run("build", "--offline")
    run("lock", "--update", "--offline")
    assert (tmp_path / demo.lock.name).read_text() == demo.lock.read_text()
    files = contents(Cache(cache)).files
    victim = files[0].path
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    assert json.loads(run("cache", "verify", "--json", code=5)) == {"files": len(files), "removed": [str(victim)]}
    assert "are what they were when they came" in run("cache", "verify")
