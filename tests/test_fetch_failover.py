"""Several mirrors on loopback, each bad in its own way: what comes, from whom, and what is said."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from isobuilder.errors import FetchError, TrustError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.fetch.transfer import Patience, RefusedError
from isobuilder.progress import Silent
from tests.serving import Fault, Mirror, Slept, serve

BODY = random.Random(2).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
FLIPPED = BODY[:-1] + bytes([BODY[-1] ^ 1])
PATH = "Packages/a.rpm"


class Told(Silent):
    """Remembers what progress was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.done = 0

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        def advance(count: int) -> None:
            self.done += count

        yield advance

    def note(self, line: str) -> None:
        self.notes.append(line)

    def warning(self, line: str) -> None:
        self.warnings.append(line)


@pytest.fixture
def mirrors() -> Iterator[list[Mirror]]:
    """Three mirrors that have the file, best first."""
    with ExitStack() as stack:
        found = [stack.enter_context(serve()) for _ in range(3)]
        for mirror in found:
            mirror.files[f"/{PATH}"] = BODY
        yield found


@pytest.fixture
def dead() -> str:
    """A mirror that nobody serves any more."""
    with serve() as mirror:
        return f"{mirror.url}/"


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def slept() -> Slept:
    return Slept()


@pytest.fixture
def fetcher(cache: Cache, told: Told, slept: Slept) -> Iterator[Fetcher]:
    with Fetcher(cache, progress=told, sleep=slept, patience=Patience(silence=0.2)) as fetcher:
        yield fetcher


def wanted(*mirrors: Mirror | str, path: str = PATH, body: bytes = BODY) -> Wanted:
    bases = tuple(mirror if isinstance(mirror, str) else f"{mirror.url}/" for mirror in mirrors)
    return Wanted(Place(bases, path), hashlib.sha256(body).hexdigest(), len(body))


def is_kept(cache: Cache) -> bool:
    return cache.path(SHA256).read_bytes() == BODY


def test_only_the_best_mirror_is_asked(mirrors: list[Mirror], cache: Cache, fetcher: Fetcher) -> None:
    fetcher.fetch_all([wanted(*mirrors)], title="Packages")
    assert is_kept(cache)
    assert [len(mirror.requests) for mirror in mirrors] == [1, 0, 0]


@pytest.mark.parametrize(
    "fault",
    [Fault(status=404), Fault(status=403), Fault(status=500), Fault(status=503), Fault(cut=0), Fault(hang=True)],
    ids=["gone", "forbidden", "broken", "busy", "hangs up", "silent"],
)
def test_the_next_mirror_is_asked_at_once(
    mirrors: list[Mirror], cache: Cache, fetcher: Fetcher, told: Told, slept: Slept, fault: Fault
) -> None:
    mirrors[0].faults[f"/{PATH}"].append(fault)
    fetcher.fetch_all([wanted(*mirrors)], title="Packages")
    assert is_kept(cache)
    assert [len(mirror.requests) for mirror in mirrors] == [1, 1, 0]
    assert slept.pauses == []
    assert len(told.notes) == 1
    assert told.notes[0].startswith(f"{mirrors[0].url}/{PATH}: ")
    assert told.notes[0].endswith("trying another mirror")


def test_a_mirror_that_is_down_costs_nothing(mirrors: list[Mirror], cache: Cache, fetcher: Fetcher, dead: str) -> None:
    fetcher.fetch_all([wanted(dead, *mirrors)], title="Packages")
    assert is_kept(cache)
    assert len(mirrors[0].requests) == 1


@pytest.mark.parametrize("bad", [FLIPPED, BODY[:-1], BODY + b"x", b""], ids=["flipped", "short", "long", "empty"])
def test_wrong_bytes_are_told_and_fetched_elsewhere(
    mirrors: list[Mirror], cache: Cache, fetcher: Fetcher, told: Told, bad: bytes
) -> None:
    mirrors[0].files[f"/{PATH}"] = bad
    fetcher.fetch_all([wanted(*mirrors)], title="Packages")
    assert is_kept(cache)
    assert len(mirrors[0].requests) == 1
    assert len(told.warnings) == 1
    assert told.warnings[0].startswith(f"{mirrors[0].url}/{PATH}: has ")
    assert told.done == len(BODY)


def test_a_bad_mirror_is_avoided_from_then_on(mirrors: list[Mirror], cache: Cache, fetcher: Fetcher, dead: str) -> None:
    bodies = [BODY[number:] for number in range(30)]
    for number, body in enumerate(bodies):
        for mirror in mirrors:
            mirror.files[f"/{number}"] = body
        mirrors[0].files[f"/{number}"] = bytes(len(body))
    fetcher.fetch_all([wanted(mirrors[0], mirrors[1], path="0", body=bodies[0])], title="Metadata")
    files = [wanted(*mirrors[:2], path=str(number), body=body) for number, body in enumerate(bodies)]
    fetcher.fetch_all(files, title="Packages")
    assert all(cache.has(file.sha256, file.size) for file in files)
    assert [len(mirror.requests) for mirror in mirrors] == [1, 30, 0]


def test_a_transfer_goes_on_at_another_mirror(
    mirrors: list[Mirror], cache: Cache, fetcher: Fetcher, told: Told
) -> None:
    mirrors[0].faults[f"/{PATH}"].append(Fault(cut=100_000))
    mirrors[1].faults[f"/{PATH}"].append(Fault(cut=50_000))
    fetcher.fetch_all([wanted(*mirrors)], title="Packages")
    assert is_kept(cache)
    assert [mirror.ranges(f"/{PATH}") for mirror in mirrors] == [[None], ["bytes=100000-"], ["bytes=150000-"]]
    assert told.done == len(BODY)


def test_a_mirror_that_falls_silent_is_left(mirrors: list[Mirror], cache: Cache, fetcher: Fetcher) -> None:
    mirrors[0].faults[f"/{PATH}"].append(Fault(cut=100_000, hang=True))
    fetcher.fetch_all([wanted(*mirrors)], title="Packages")
    assert is_kept(cache)
    assert mirrors[1].ranges(f"/{PATH}") == ["bytes=100000-"]


def test_a_stalled_mirror_is_left(mirrors: list[Mirror], cache: Cache, told: Told, slept: Slept) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 0 if mirrors[1].requests else 40
        return now

    mirrors[0].faults[f"/{PATH}"].append(Fault(cut=1000))
    with Fetcher(cache, progress=told, sleep=slept, clock=clock) as fetcher:
        fetcher.fetch_all([wanted(*mirrors)], title="Packages")
    assert is_kept(cache)
    assert "only 1000 bytes came in" in told.notes[0]
    assert told.notes[0].endswith("; trying another mirror")


def test_what_a_slow_mirror_brought_is_gone_on_with(
    mirrors: list[Mirror], cache: Cache, told: Told, slept: Slept
) -> None:
    body = BODY * 20
    for mirror in mirrors:
        mirror.files["/large"] = body
    # Everybody is slow by this: the second chunk of each is the last, until all are known to be.
    patience = Patience(look=1e-9, slow_rate=1 << 50)
    with Fetcher(cache, progress=told, sleep=slept, patience=patience) as fetcher:
        fetcher.fetch_all([wanted(*mirrors, path="large", body=body)], title="Packages")
    assert cache.path(hashlib.sha256(body).hexdigest()).read_bytes() == body
    assert "/large: slow: " in told.notes[0]
    assert mirrors[0].ranges("/large")[0] is None
    [then] = mirrors[1].ranges("/large")[:1]
    assert then
    assert int(then.removeprefix("bytes=").removesuffix("-")) > 0
    assert told.done == len(body)
    assert not slept.pauses


def test_a_mixture_that_is_wrong_is_fetched_from_one_alone(
    mirrors: list[Mirror], cache: Cache, fetcher: Fetcher, told: Told
) -> None:
    mirrors[0].files[f"/{PATH}"] = bytes([BODY[0] ^ 1]) + BODY[1:]
    mirrors[0].faults[f"/{PATH}"].append(Fault(cut=100_000))
    fetcher.fetch_all([wanted(*mirrors)], title="Packages")
    assert is_kept(cache)
    assert mirrors[1].ranges(f"/{PATH}") == ["bytes=100000-", None]
    # Nobody knows whose fault it was.
    assert told.warnings == []
    assert told.done == len(BODY)


def test_after_a_wrong_mixture_mirrors_are_not_mixed_again(
    mirrors: list[Mirror], cache: Cache, fetcher: Fetcher
) -> None:
    mirrors[0].files[f"/{PATH}"] = bytes([BODY[0] ^ 1]) + BODY[1:]
    mirrors[0].faults[f"/{PATH}"].append(Fault(cut=100_000))
    mirrors[1].faults[f"/{PATH}"].extend([Fault(), Fault(cut=50_000)])
    fetcher.fetch_all([wanted(*mirrors)], title="Packages")
    assert is_kept(cache)
    assert mirrors[2].ranges(f"/{PATH}") == [None]


def test_all_that_all_mirrors_say_is_one_error(
    mirrors: list[Mirror], cache: Cache, fetcher: Fetcher, slept: Slept, dead: str
) -> None:
    del mirrors[0].files[f"/{PATH}"]
    mirrors[1].faults[f"/{PATH}"].extend([Fault(status=500)] * 99)
    with pytest.raises(FetchError, match=f"{PATH}: no mirror has it as it should be, of 3") as caught:
        fetcher.fetch_all([wanted(dead, *mirrors[:2])], title="Packages")
    assert not isinstance(caught.value, RefusedError)
    lines = sorted(caught.value.details)
    assert len(lines) == 3
    for line, start in zip(
        lines, sorted([f"{dead}{PATH}: ", *(f"{m.url}/{PATH}: " for m in mirrors[:2])]), strict=True
    ):
        assert line.startswith(start)
    assert "refused" in "".join(lines)
    assert "404" in "".join(lines)
    assert "500" in "".join(lines)
    # Who refuses is asked once; the others in turn, five times together, with growing pauses from the second on.
    assert len(mirrors[0].requests) == 1
    assert len(mirrors[1].requests) in {2, 3}
    assert slept.pauses == [1, 2, 4]


def test_a_file_that_no_mirror_has_says_how_to_go_on(mirrors: list[Mirror], fetcher: Fetcher) -> None:
    with pytest.raises(RefusedError) as caught:
        fetcher.fetch_all([wanted(*mirrors, path="gone")], title="Packages")
    assert caught.value.status == 404
    assert len(caught.value.details) == 3
    assert "isobuilder lock --update" in caught.value.hint


def test_wrong_bytes_everywhere_are_a_matter_of_trust(mirrors: list[Mirror], fetcher: Fetcher, dead: str) -> None:
    mirrors[0].files[f"/{PATH}"] = FLIPPED
    with pytest.raises(TrustError) as caught:
        fetcher.fetch_all([wanted(dead, mirrors[0])], title="Packages")
    assert caught.value.exit_code == 5
    assert len(caught.value.details) == 2


def test_failures_of_several_files_name_all_their_mirrors(mirrors: list[Mirror], fetcher: Fetcher) -> None:
    with pytest.raises(FetchError, match="2 of 2 files") as caught:
        fetcher.fetch_all([wanted(*mirrors, path="x"), wanted(*mirrors, path="y", body=b"y")], title="Packages")
    assert sum("404" in line for line in caught.value.details) == 6


def test_an_outage_of_all_mirrors_is_sat_out(
    mirrors: list[Mirror], cache: Cache, fetcher: Fetcher, slept: Slept
) -> None:
    for mirror in mirrors:
        mirror.faults[f"/{PATH}"].append(Fault(status=503))
    fetcher.fetch_all([wanted(*mirrors)], title="Packages")
    assert is_kept(cache)
    assert slept.pauses == [1, 2]


def test_the_first_mirror_that_something_can_be_made_of(mirrors: list[Mirror], fetcher: Fetcher, dead: str) -> None:
    mirrors[0].files["/list"] = b"old"
    mirrors[1].files["/list"] = b"new"

    def look(data: bytes) -> bytes:
        if data != b"new":
            raise TrustError("stale")
        return data

    place = Place((dead, *(f"{mirror.url}/" for mirror in mirrors)), "list")
    assert fetcher.first_good(place, lambda once, url: look(once.read(url, limit=9))) == b"new"
    assert len(mirrors[2].requests) == 0
