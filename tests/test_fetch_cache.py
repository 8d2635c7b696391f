"""Where the cache lies and how files lie in it; what comes into it is tested with the fetcher."""

import fcntl
import hashlib
import os
from io import FileIO
from pathlib import Path

import pytest

from isobuilder.errors import HostError, TrustError
from isobuilder.fetch.cache import Cache, default_cache_root


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_bytes_are_kept_under_their_sha256(cache: Cache) -> None:
    # The sha256 of "abc", from FIPS 180-2.
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert not cache.has(sha256, 3)
    path = cache.add(b"abc")
    assert path == cache.root / "sha256" / "ba" / sha256
    assert path.read_bytes() == b"abc"
    assert cache.add(b"abc") == path
    assert cache.has(sha256, 3)
    assert not cache.has(sha256, 4)
    assert sorted(cache.root.rglob("*.part*")) == []


def test_a_file_is_checked_before_it_is_used_again(cache: Cache) -> None:
    sha256 = hashlib.sha256(b"abc").hexdigest()
    path = cache.add(b"abc")
    assert cache.check(sha256) == path
    path.write_bytes(b"abd")
    with pytest.raises(TrustError, match=f"{path}: the file in the cache is not what it was") as damaged:
        cache.check(sha256)
    assert "are fetched again" in damaged.value.hint
    path.unlink()
    with pytest.raises(HostError, match=f"{path}: No such file"):
        cache.check(sha256)
    with pytest.raises(TrustError, match="is not a sha256"):
        cache.check("../../etc/passwd")


def test_a_file_that_is_damaged_once_more_is_an_error(cache: Cache) -> None:
    entry = cache.add(b"twice")

    def work() -> Path:
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_bytes(b"other")
        return cache.check(entry.name)

    told: list[str] = []
    with pytest.raises(TrustError, match="not what it was") as caught:
        cache.whole(work, told.append)
    assert len(told) == 1
    assert "cache verify removes them" in caught.value.hint
    assert not entry.exists()


def test_a_part_that_is_moved_before_we_lock_it_is_left_alone(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = hashlib.sha256(b"theirs").hexdigest()
    flock = fcntl.flock

    def finish_first(file: FileIO, operation: int) -> None:
        """Another process, which moves the file to its place between our opening and our locking."""
        monkeypatch.setattr(fcntl, "flock", flock)
        file.write(b"theirs")
        place.parent.mkdir(parents=True)
        Path(os.fsdecode(file.name)).rename(place)
        flock(file, operation)

    place = cache.path(sha256)
    monkeypatch.setattr(fcntl, "flock", finish_first)
    with cache.claim(sha256, wait=lambda: None) as part:
        assert cache.has(sha256, 6)
        part.write(b"ours")
    assert place.read_bytes() == b"theirs"


def test_a_cache_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HostError, match="file"):
        Cache(tmp_path / "file").add(b"data")


@pytest.mark.parametrize("sha256", ["../../../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_a_name_that_is_no_sha256_is_refused(cache: Cache, sha256: str) -> None:
    with pytest.raises(TrustError, match="is not a sha256"):
        cache.path(sha256)


def test_where_the_cache_is() -> None:
    home = {"HOME": "/home/me"}
    assert default_cache_root(home) == Path("/home/me/.cache/isobuilder")
    assert default_cache_root(home | {"XDG_CACHE_HOME": "/x"}) == Path("/x/isobuilder")
    assert default_cache_root(home | {"XDG_CACHE_HOME": "relative"}) == Path("/home/me/.cache/isobuilder")
    assert default_cache_root(home | {"XDG_CACHE_HOME": "/x", "ISOBUILDER_CACHE": "/y"}) == Path("/y")
    with pytest.raises(HostError):
        default_cache_root({})


def test_what_is_added_is_for_everybody_who_shares_the_cache(tmp_path: Path) -> None:
    assert Cache(tmp_path).add(b"metadata").stat().st_mode & 0o777 == 0o644
