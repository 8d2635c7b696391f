"""Files that come while something else goes on: who waits for which, what is told, and what happens to failures."""

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from isobuilder.errors import FetchError, HostError, TrustError
from isobuilder.fetch.arrivals import Arrivals
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.progress import Expected, Silent, Timed
from tests.serving import Fault, Mirror, Slept, serve


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve() as mirror:
        yield mirror


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def fetcher(cache: Cache) -> Iterator[Fetcher]:
    with Fetcher(cache, progress=Silent(), sleep=Slept()) as fetcher:
        yield fetcher


def named(mirror: Mirror, path: str, data: bytes, there: bytes | None = None) -> Wanted:
    mirror.files[path] = data if there is None else there
    return Wanted(Place((mirror.url + path,)), hashlib.sha256(data).hexdigest(), len(data))


def _wait_for(arrivals: Arrivals, files: Iterable[Wanted]) -> None:
    for file in files:
        arrivals.wait(file.sha256)
    arrivals.finish()


def test_a_file_can_be_used_while_another_is_still_to_come(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    first, last = named(mirror, "/first", b"first"), named(mirror, "/last", b"last")
    mirror.faults["/last"].append(Fault(hang=True))
    with fetcher.arriving([first, last], title="Packages") as arrivals:
        arrivals.wait(first.sha256)
        assert cache.has(first.sha256, first.size)
        assert not cache.has(last.sha256, last.size)
        # What is not among them needs no waiting.
        arrivals.wait("0" * 64)


def test_they_are_begun_in_their_order(mirror: Mirror, fetcher: Fetcher) -> None:
    files = [named(mirror, f"/{number:03}", b"%d" % number) for number in range(100)]
    with fetcher.arriving(files, title="Packages") as arrivals:
        arrivals.finish()
    asked = [int(path[1:]) for path, _ in mirror.requests]
    assert sorted(asked) == list(range(100))
    # Eight are under way at a time.
    assert all(abs(number - place) <= 16 for place, number in enumerate(asked))


def test_a_failure_is_told_with_all_others_to_who_waits_for_any(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    gone, wrong = named(mirror, "/gone", b"gone"), named(mirror, "/wrong", b"wrong", there=b"WRONG")
    del mirror.files["/gone"]
    good = [named(mirror, f"/{number}", b"%d" % number) for number in range(20)]
    with fetcher.arriving([gone, *good, wrong], title="Packages") as arrivals:
        with pytest.raises(TrustError, match="2 of 22 files") as caught:
            _wait_for(arrivals, good)
        with pytest.raises(TrustError, match="2 of 22 files"):
            arrivals.finish()
    assert len([line for line in caught.value.details if "/gone" in line or "/wrong" in line]) == 2
    assert all(cache.has(file.sha256, file.size) for file in good)


def test_what_is_no_finding_about_a_file_is_raised_at_once(mirror: Mirror, fetcher: Fetcher) -> None:
    def landed(_sha256: str, _file: object) -> None:
        raise HostError("no space")

    files = [named(mirror, f"/{number}", b"%d" % number) for number in range(20)]
    with pytest.raises(HostError), fetcher.arriving(files, title="Packages", landed=landed) as arrivals:
        arrivals.wait(files[-1].sha256)


def test_a_failure_is_seen_by_who_waits_for_what_is_here(mirror: Mirror, fetcher: Fetcher) -> None:
    gone = named(mirror, "/gone", b"gone")
    del mirror.files["/gone"]
    with fetcher.arriving([gone], title="Packages") as arrivals:
        time.sleep(0.5)
        with pytest.raises(FetchError, match="/gone"):
            arrivals.wait("0" * 64)


def test_leaving_calls_off_what_has_not_come(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    slow = [named(mirror, f"/{number}", b"%d" % number) for number in range(100)]
    with fetcher.arriving(slow, title="Packages") as arrivals:
        arrivals.wait(slow[0].sha256)
    time.sleep(0.3)
    asked = len(mirror.requests)
    time.sleep(0.3)
    assert len(mirror.requests) == asked
    assert [path for path in (cache.root / "part").glob("*") if path.stat().st_size] == []


def test_the_stage_lasts_until_the_last_is_here_and_tells_what_is_waited_for(mirror: Mirror, cache: Cache) -> None:
    said: list[tuple[str, int, int, str]] = []

    class Told(Silent):
        def doing(self, what: str, done: int = 0, of: int = 0, *, stage: str = "") -> None:
            said.append((what, done, of, stage))

    timed = Timed(Told())
    timed.expect([Expected("Packages")])
    files = [named(mirror, f"/{number}.rpm", b"%d" % number) for number in range(3)]
    with Fetcher(cache, progress=timed, sleep=Slept()) as fetcher:
        with fetcher.arriving(files, title="Packages") as arrivals:
            for file in files:
                arrivals.wait(file.sha256)
            before = timed.busy
            time.sleep(0.05)
            assert timed.busy == before
        with fetcher.arriving(files, title="Packages") as arrivals:
            # Nothing is to come, and the stage is over as soon as it began.
            arrivals.finish()
    assert [timing.size for timing in timed.timings] == [3]
    assert {(of, stage) for _, _, of, stage in said} == {(3, "Packages")}
    assert max(done for _, done, _, _ in said) == 3


def test_no_thread_is_left_when_all_have_come(mirror: Mirror, fetcher: Fetcher) -> None:
    before = set(threading.enumerate())
    with fetcher.arriving([named(mirror, "/a", b"a")], title="Packages") as arrivals:
        arrivals.finish()
        own = [thread for thread in threading.enumerate() if "_work" in thread.name]
        assert not own
    assert len(threading.enumerate()) <= len(before) + len(mirror.requests)


def test_offline_what_lacks_is_told_before_anything_begins(mirror: Mirror, cache: Cache) -> None:
    missing = named(mirror, "/a", b"a")
    with (
        Fetcher(cache, progress=Silent(), offline=True) as fetcher,
        pytest.raises(FetchError, match="1 byte"),
        fetcher.arriving([missing], title="Packages"),
    ):
        raise AssertionError("nothing can come")
    assert not mirror.requests
