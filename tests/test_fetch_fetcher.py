"""The fetcher against a mirror on loopback that misbehaves in every way that mirrors do."""

import fcntl
import hashlib
import itertools
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from isobuilder.errors import FetchError, HostError, TrustError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.fetch.transfer import Patience
from isobuilder.progress import Silent
from tests.serving import Fault, Mirror, Slept, serve

BODY = random.Random(1).randbytes(3_000_000)

FETCH = """
import sys
from pathlib import Path
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.progress import Silent
words = iter(sys.argv[2:])
files = [Wanted(Place((url,)), sha256, int(size)) for url, sha256, size in zip(words, words, words)]
Fetcher(Cache(Path(sys.argv[1])), progress=Silent()).fetch_all(files, title="Packages")
"""


class Told(Silent):
    """Remembers what progress was told, and checks that it never goes back."""

    def __init__(self) -> None:
        self.totals: list[int] = []
        self.notes: list[str] = []
        self.done = 0

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        assert title
        lock = threading.Lock()
        self.totals.append(total)

        def advance(count: int) -> None:
            assert count >= 0
            with lock:
                self.done += count

        yield advance

    def note(self, line: str) -> None:
        self.notes.append(line)

    def warning(self, line: str) -> None:
        raise AssertionError(line)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve() as mirror:
        yield mirror


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def slept() -> Slept:
    return Slept()


@pytest.fixture
def fetcher(cache: Cache, told: Told, slept: Slept) -> Iterator[Fetcher]:
    with Fetcher(cache, progress=told, sleep=slept) as fetcher:
        yield fetcher


def named(mirror: Mirror, path: str, body: bytes = BODY) -> Wanted:
    """`body` served at `path`, and its entry in a lock."""
    mirror.files[path] = body
    return promised(mirror, path, body)


def promised(mirror: Mirror, path: str, body: bytes = BODY) -> Wanted:
    return Wanted(Place((mirror.url + path,)), hashlib.sha256(body).hexdigest(), len(body))


def is_kept(cache: Cache, file: Wanted, body: bytes = BODY) -> bool:
    """Whether the cache has the file, and nothing under way."""
    return cache.path(file.sha256).read_bytes() == body and parts(cache) == []


def parts(cache: Cache) -> list[Path]:
    folder = cache.root / "part"
    return sorted(folder.iterdir()) if folder.exists() else []


def leave_part(cache: Cache, file: Wanted, data: bytes) -> Path:
    """What an interrupted build leaves."""
    part = cache.root / "part" / f"{file.sha256}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(data)
    return part


def test_the_size_is_asked_without_the_bytes(mirror: Mirror, fetcher: Fetcher) -> None:
    mirror.files["/file"] = BODY
    assert fetcher.size(f"{mirror.url}/file") == len(BODY)
    with pytest.raises(FetchError, match="404"):
        fetcher.size(f"{mirror.url}/nosuch")


@pytest.mark.parametrize("fault", [Fault(headers={"Content-Length": ""}), Fault(status=405), Fault(status=501)])
def test_a_server_that_says_no_size_in_a_head_says_it_of_a_part(mirror: Mirror, fetcher: Fetcher, fault: Fault) -> None:
    mirror.files["/file"] = BODY
    mirror.faults["/file"].append(fault)
    assert fetcher.size(f"{mirror.url}/file") == len(BODY)
    assert mirror.ranges("/file") == [None, "bytes=1-"]


def test_a_server_that_never_says_a_size(mirror: Mirror, fetcher: Fetcher) -> None:
    mirror.files["/file"] = BODY
    mirror.faults["/file"] += [Fault(headers={"Content-Length": ""}, whole=True)] * 2
    with pytest.raises(FetchError, match="does not say how large"):
        fetcher.size(f"{mirror.url}/file")


def test_files_come_into_the_cache(mirror: Mirror, cache: Cache, fetcher: Fetcher, told: Told) -> None:
    bodies = {f"/{number}": BODY[number : number * 1000] for number in range(20)}
    files = [named(mirror, path, body) for path, body in bodies.items()]
    fetcher.fetch_all([*files, files[3], files[3]], title="Packages")
    for file, body in zip(files, bodies.values(), strict=True):
        assert cache.path(file.sha256).read_bytes() == body
    assert parts(cache) == []
    asked = [path for path, _ in mirror.requests]
    assert len(asked) == len(set(asked))
    distinct = {file.sha256: file.size for file in files}
    assert told.totals == [sum(distinct.values())]
    assert told.done == told.totals[0]
    assert all(headers["Accept-Encoding"] == "identity" for _, headers in mirror.requests)


def test_what_the_cache_has_is_not_fetched(mirror: Mirror, cache: Cache, fetcher: Fetcher, told: Told) -> None:
    file = named(mirror, "/a")
    assert cache.add(BODY) == cache.path(file.sha256)
    fetcher.fetch_all([file], title="Packages")
    assert mirror.requests == []
    assert told.totals == []


def test_a_damaged_file_in_the_cache_is_fetched_again(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    file = named(mirror, "/a")
    cache.add(BODY).write_bytes(BODY[:-1])
    fetcher.fetch_all([file], title="Packages")
    assert is_kept(cache, file)


def test_a_transfer_that_breaks_is_resumed(
    mirror: Mirror, cache: Cache, fetcher: Fetcher, told: Told, slept: Slept
) -> None:
    file = named(mirror, "/a")
    mirror.faults["/a"].extend([Fault(cut=1000), Fault(cut=5000), Fault(status=503)])
    fetcher.fetch_all([file], title="Packages")
    assert is_kept(cache, file)
    assert mirror.ranges("/a") == [None, "bytes=1000-", "bytes=6000-", "bytes=6000-"]
    assert slept.pauses == [1, 2, 4]
    assert told.done == len(BODY)


def test_an_interrupted_build_is_resumed(mirror: Mirror, cache: Cache, fetcher: Fetcher, told: Told) -> None:
    file = named(mirror, "/a")
    leave_part(cache, file, BODY[:2_500_000])
    fetcher.fetch_all([file], title="Packages")
    assert is_kept(cache, file)
    assert mirror.ranges("/a") == ["bytes=2500000-"]
    assert told.done == told.totals[0] == len(BODY)


def test_a_complete_part_needs_no_request(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    file = named(mirror, "/a")
    leave_part(cache, file, BODY)
    fetcher.fetch_all([file], title="Packages")
    assert is_kept(cache, file)
    assert mirror.requests == []


@pytest.mark.parametrize("left", [b"not the same file", b"x" * len(BODY), BODY + b"more"])
def test_a_part_of_something_else_is_thrown_away(
    mirror: Mirror, cache: Cache, fetcher: Fetcher, told: Told, left: bytes
) -> None:
    file = named(mirror, "/a")
    leave_part(cache, file, left)
    fetcher.fetch_all([file], title="Packages")
    assert is_kept(cache, file)
    assert mirror.ranges("/a")[-1] is None
    assert told.done == len(BODY)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(whole=True),
        Fault(headers={"Content-Range": f"bytes 7-{len(BODY) - 1}/{len(BODY)}"}),
        Fault(headers={"Content-Range": "nonsense"}),
        Fault(status=416),
    ],
    ids=["ignores it", "starts elsewhere", "does not say where", "has no more"],
)
def test_a_server_that_does_ranges_badly(
    mirror: Mirror, cache: Cache, fetcher: Fetcher, told: Told, fault: Fault
) -> None:
    file = named(mirror, "/a")
    leave_part(cache, file, BODY[:1_000_000])
    mirror.faults["/a"].append(fault)
    fetcher.fetch_all([file], title="Packages")
    assert is_kept(cache, file)
    assert told.done == len(BODY)
    # It is not asked for a range again: it would do the same.
    assert mirror.ranges("/a")[1:] in ([], [None])


def test_attempts_are_bounded_and_told(mirror: Mirror, fetcher: Fetcher, slept: Slept, told: Told) -> None:
    file = named(mirror, "/a")
    mirror.faults["/a"].extend([Fault(status=503)] * 9)
    with pytest.raises(FetchError, match=r"503.*attempt 5, the last"):
        fetcher.fetch_all([file], title="Packages")
    assert len(mirror.requests) == 5
    assert slept.pauses == [1, 2, 4, 8]
    assert [line.partition("; ")[2] for line in told.notes] == [
        f"trying again in {pause} s ({attempt} of 5)" for attempt, pause in enumerate((1, 2, 4, 8), start=1)
    ]


def test_a_file_that_is_gone_says_how_to_go_on(mirror: Mirror, fetcher: Fetcher) -> None:
    with pytest.raises(FetchError, match="404") as caught:
        fetcher.fetch_all([promised(mirror, "/gone")], title="Packages")
    assert "isobuilder lock --update" in caught.value.hint


def test_a_server_that_lies_about_its_length_does_not_hold_us(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    file = promised(mirror, "/a")
    mirror.files["/a"] = BODY[:2_000_000]
    mirror.faults["/a"].extend([Fault(headers={"Content-Length": ""})] * 99)
    with pytest.raises(FetchError):
        fetcher.fetch_all([file], title="Packages")
    assert len(mirror.requests) < 20


def test_attempts_that_bring_much_do_not_count(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    body = BODY * 4
    file = named(mirror, "/a", body)
    mirror.faults["/a"].extend([Fault(cut=1_500_000)] * 7)
    fetcher.fetch_all([file], title="Packages")
    assert is_kept(cache, file, body)


def test_the_server_says_how_long_to_wait(mirror: Mirror, fetcher: Fetcher, slept: Slept) -> None:
    file = named(mirror, "/a")
    mirror.faults["/a"].extend(
        [Fault(status=429, headers={"Retry-After": "7"}), Fault(status=503, headers={"Retry-After": "86400"})]
    )
    fetcher.fetch_all([file], title="Packages")
    assert slept.pauses == [7, 60]


@pytest.mark.parametrize("resumed", [0, 1000])
def test_a_wrong_file_is_refused(mirror: Mirror, cache: Cache, fetcher: Fetcher, resumed: int) -> None:
    file = promised(mirror, "/a")
    mirror.files["/a"] = BODY[:-1] + bytes([BODY[-1] ^ 1])
    leave_part(cache, file, BODY[:resumed])
    with pytest.raises(TrustError, match=f"/a: has the sha256 .*{file.sha256}") as caught:
        fetcher.fetch_all([file], title="Packages")
    assert caught.value.exit_code == 5
    assert not cache.has(file.sha256, file.size)
    assert parts(cache) == []


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("served", [BODY + b"x", BODY[:-1]])
def test_a_file_of_another_size_is_refused(
    mirror: Mirror, cache: Cache, fetcher: Fetcher, served: bytes, *, announced: bool
) -> None:
    file = promised(mirror, "/a")
    mirror.files["/a"] = served
    if not announced:
        mirror.faults["/a"].extend([Fault(headers={"Content-Length": ""})] * 9)
    # Without an announced size, a file that is too short looks like a connection that broke.
    expected = TrustError if announced or len(served) > len(BODY) else FetchError
    with pytest.raises(expected):
        fetcher.fetch_all([file], title="Packages")
    assert not cache.has(file.sha256, file.size)


def test_no_more_is_read_than_was_promised(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    file = promised(mirror, "/a", b"small")
    mirror.faults["/a"].append(Fault(body=b"x" * 50_000_000, headers={"Content-Length": ""}))
    with pytest.raises(TrustError, match="has more than 5 bytes"):
        fetcher.fetch_all([file], title="Packages")
    assert parts(cache) == []


def test_all_failures_are_told_and_the_graver_wins(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    good = named(mirror, "/good", b"good")
    gone = promised(mirror, "/gone", b"gone")
    wrong = promised(mirror, "/wrong", b"wrong")
    mirror.files["/wrong"] = b"WRONG"
    with pytest.raises(TrustError, match="2 of 3 files") as caught:
        fetcher.fetch_all([gone, wrong, good], title="Packages")
    assert len(caught.value.details) == 2
    assert any("/gone: the server answers 404" in line for line in caught.value.details)
    assert any("/wrong: has the sha256" in line for line in caught.value.details)
    assert cache.has(good.sha256, good.size)
    with pytest.raises(FetchError, match="/gone"):
        fetcher.fetch_all([gone, good], title="Packages")


def test_a_dead_network_is_given_up(cache: Cache, slept: Slept) -> None:
    with serve() as mirror:
        files = [promised(mirror, f"/{number}", b"%d" % number) for number in range(100)]
    with pytest.raises(FetchError, match="100 of 100") as caught:
        Fetcher(cache, progress=Silent(), sleep=slept).fetch_all(files, title="Packages")
    assert "90 more were not tried" in caught.value.details[-1]
    assert "refused" in caught.value.details[0]


def test_missing_files_are_all_told(mirror: Mirror, fetcher: Fetcher) -> None:
    files = [promised(mirror, f"/{number}", b"%d" % number) for number in range(30)]
    with pytest.raises(FetchError) as caught:
        fetcher.fetch_all(files, title="Packages")
    assert len(caught.value.details) == 30


class Clock:
    """Time that passes only when somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 40
        return self.now


def test_a_drip_is_a_stall(mirror: Mirror, cache: Cache, slept: Slept) -> None:
    file = named(mirror, "/a", BODY[:1000])
    with pytest.raises(FetchError, match="only 1000 bytes came in 40 seconds"):
        Fetcher(cache, progress=Silent(), sleep=slept, clock=Clock(), patience=Patience(attempts=1)).fetch_all(
            [file], title="Packages"
        )


def test_silence_is_a_stall(mirror: Mirror, cache: Cache, slept: Slept) -> None:
    started = time.monotonic()
    file = named(mirror, "/a")
    mirror.faults["/a"].append(Fault(hang=True))
    Fetcher(cache, progress=Silent(), sleep=slept, patience=Patience(silence=0.1)).fetch_all([file], title="Packages")
    # The server would be silent for as long as the test lasts.
    assert time.monotonic() - started < 5
    assert is_kept(cache, file)


def command(cache: Path, files: Sequence[Wanted]) -> list[str]:
    return [
        sys.executable,
        "-c",
        FETCH,
        os.fspath(cache),
        *(word for file in files for word in (file.place.mirrors[0], file.sha256, str(file.size))),
    ]


def test_an_interrupt_ends_at_once(mirror: Mirror, tmp_path: Path) -> None:
    mirror.faults["/a"].append(Fault(hang=True))
    with subprocess.Popen(command(tmp_path, [promised(mirror, "/a")]), stderr=subprocess.DEVNULL) as process:
        while not mirror.requests:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=5) == -signal.SIGINT


def test_two_processes_share_a_cache(mirror: Mirror, tmp_path: Path) -> None:
    files = [named(mirror, f"/{number}", BODY[number:]) for number in range(10)]
    processes = [subprocess.Popen(command(tmp_path, files)) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    cache = Cache(tmp_path)
    assert all(is_kept(cache, file, BODY[number:]) for number, file in enumerate(files))
    # Each came once, whoever brought it.
    assert len(mirror.requests) == len(files)


def test_a_file_that_another_process_brings_is_waited_for(mirror: Mirror, cache: Cache, told: Told) -> None:
    file = named(mirror, "/a")
    part = leave_part(cache, file, BODY)
    with part.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def meanwhile(_: float) -> None:
            cache.path(file.sha256).parent.mkdir(parents=True)
            part.rename(cache.path(file.sha256))
            other.close()

        Fetcher(cache, progress=told, sleep=meanwhile).fetch_all([file], title="Packages")
    assert is_kept(cache, file)
    assert mirror.requests == []
    assert told.done == len(BODY)


def test_an_absurd_size_is_refused_before_any_request(mirror: Mirror, fetcher: Fetcher) -> None:
    file = named(mirror, "/a")
    with pytest.raises(HostError, match=" free"):
        fetcher.fetch_all([replace(file, size=1 << 60)], title="Packages")
    assert mirror.requests == []


def test_a_disk_that_takes_no_more_is_the_hosts_trouble(mirror: Mirror, cache: Cache, fetcher: Fetcher) -> None:
    file = named(mirror, "/a")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(HostError, match=r"part: File too large"):
            fetcher.fetch_all([file], title="Packages")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    fetcher.fetch_all([file], title="Packages")
    assert is_kept(cache, file)
    assert mirror.ranges("/a") == [None, "bytes=1000000-"]


def test_a_cache_that_is_no_folder(mirror: Mirror, tmp_path: Path, slept: Slept) -> None:
    (tmp_path / "file").write_bytes(b"")
    file = named(mirror, "/a")
    with pytest.raises(HostError, match="file"):
        Fetcher(Cache(tmp_path / "file"), progress=Silent(), sleep=slept).fetch_all([file], title="Packages")


def test_a_small_file_that_takes_long_says_that_it_comes(mirror: Mirror, cache: Cache, told: Told) -> None:
    seconds = itertools.count(0, 11)
    mirror.files["/a"] = bytes(5_000_000)
    patience = Patience(silence=1_000_000)
    with Fetcher(cache, progress=told, patience=patience, clock=lambda: float(next(seconds))) as fetcher:
        fetcher.read(mirror.url + "/a", limit=5_000_000)
    assert told.notes
    assert all(re.fullmatch(rf"{mirror.url}/a: [0-9.]+ [kM]?B(ytes)? so far", note) for note in told.notes)
    assert len(told.notes) <= next(seconds) / 30
