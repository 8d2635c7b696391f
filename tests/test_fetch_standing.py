"""What mirrors and the network are worth: who is left for being slow, and when nothing is repeated any more."""

import pytest

from isobuilder.errors import FetchError
from isobuilder.fetch.failover import Persistence, Place
from isobuilder.fetch.standing import Pace
from isobuilder.fetch.transfer import BrokenTransferError, Patience
from isobuilder.progress import Silent
from tests.serving import Slept

PLACE = Place(("a/", "b/", "c/"), "file")
USUAL = Patience()


class Network:
    """Mirrors of given speeds, in bytes a second, and a clock that goes on with what they bring; at 0 they are dead.

    `delay` is how many seconds they take to begin.
    """

    def __init__(self, **rates: float) -> None:
        self.rates = rates
        self.now = 0.0
        self.delay = 0.0
        self.asked: list[str] = []
        self.left = 0.0
        self.persistence = Persistence(USUAL, Silent(), lambda: self.now, Slept())

    def bring(self, size: float, place: Place = PLACE) -> list[str]:
        """Whom a file of so many bytes was asked of."""
        self.left = size
        self.asked = []
        self.persistence.persist(place, self._attempt)
        return self.asked

    def _attempt(self, url: str, pace: Pace) -> None:
        name = url.partition("/")[0]
        self.asked.append(name)
        if not self.rates[name]:
            raise BrokenTransferError("reset")
        self.now += self.delay
        while self.left > 0:
            self.now += 1
            self.left -= self.rates[name]
            pace(int(self.rates[name]))


@pytest.fixture
def network() -> Network:
    return Network(a=5e3, b=5e6, c=5e6)


def test_a_slow_mirror_costs_one_look_and_no_more(network: Network) -> None:
    assert network.bring(10e6) == ["a", "b"]
    assert network.now <= USUAL.look + 3
    assert network.bring(10e6) == ["b"]


def test_who_is_not_slow_stays(network: Network) -> None:
    network.rates["a"] = USUAL.slow_rate
    assert network.bring(10e6) == ["a"]


def test_on_a_slow_line_each_is_tried_once_and_the_file_comes(network: Network) -> None:
    network.rates = {"a": 9e3, "b": 10e3, "c": 11e3}
    assert network.bring(1e6) == ["a", "b", "c"]
    assert network.bring(1e6) == ["c"]


def test_what_is_far_faster_is_gone_back_to(network: Network) -> None:
    network.rates = {"a": 40e3, "b": 9e3, "c": 8e3}
    assert network.bring(10e6) == ["a", "b", "c", "a"]


def test_a_slow_mirror_is_better_than_dead_ones(network: Network) -> None:
    network.rates = {"a": 50e3, "b": 0, "c": 0}
    for _ in range(2 * USUAL.budget):
        network.bring(5e6)
    # The dead ones are given up.
    assert network.asked == ["a"]


def test_with_many_dead_mirrors_the_slow_one_brings_the_file() -> None:
    mirrors = "abcdefgh"
    network = Network(a=50e3, **dict.fromkeys(mirrors[1:], 0.0))
    place = Place(tuple(f"{name}/" for name in mirrors), "file")
    with pytest.raises(FetchError):
        network.bring(5e6, Place(place.mirrors[1:], "file"))
    for _ in range(10):
        network.bring(5e6, place)
    assert network.asked == ["a"]


def test_a_fault_does_not_make_a_fast_mirror_worse_than_a_slow_one(network: Network) -> None:
    network.rates = {"a": 20e3, "b": 5e6}
    place = Place(("a/", "b/"), "file")
    assert network.bring(10e6, place) == ["a", "b"]
    network.rates["b"] = 0
    assert network.bring(1e6, place) == ["b", "a"]
    network.rates["b"] = 5e6
    assert network.bring(10e6, place) == ["b"]


def test_who_takes_long_to_begin_is_not_slow_for_that(network: Network) -> None:
    network.rates["a"] = 5e6
    network.delay = 20 * USUAL.look
    assert network.bring(100e6) == ["a"]


def test_who_was_slow_once_may_be_fast_again(network: Network) -> None:
    assert network.bring(10e6) == ["a", "b"]
    network.rates = {"a": 5e6, "b": 0, "c": 0}
    assert network.bring(100e6)[-1] == "a"
    network.rates = dict.fromkeys("abc", 5e6)
    assert network.bring(10e6) == ["a"]


def test_mirrors_that_change_their_minds_do_not_hand_a_file_round_for_ever(network: Network) -> None:
    def attempt(url: str, pace: Pace) -> None:
        # Whoever is asked is slower than all who were asked before.
        network.asked.append(url)
        for _ in range(1000):
            network.now += USUAL.look
            pace(max(600_000 >> (2 * len(network.asked)), 1))

    network.persistence.persist(PLACE, attempt)
    assert len(network.asked) <= 1 + 2 * len(PLACE.mirrors)


def test_the_only_mirror_may_be_slow(network: Network) -> None:
    assert network.bring(1e6, Place(("a/",), "file")) == ["a"]


def test_a_network_that_breaks_more_than_it_brings_is_not_asked_again() -> None:
    slept = Slept()
    persistence = Persistence(USUAL, Silent(), lambda: 0.0, slept)

    def attempt(_: str, __: Pace) -> None:
        raise BrokenTransferError("reset")

    for _ in range(USUAL.budget // USUAL.attempts):
        with pytest.raises(FetchError, match="attempt 5, the last"):
            persistence.persist(Place(("a/",), "file"), attempt)
    slept.pauses.clear()
    with pytest.raises(FetchError, match=r"attempt 1; too many transfers broke to repeat any"):
        persistence.persist(Place(("a/",), "file"), attempt)
    assert not slept.pauses


def test_a_network_that_breaks_every_second_time_is_borne() -> None:
    persistence = Persistence(USUAL, Silent(), lambda: 0.0, Slept())
    tries = 0

    def attempt(_: str, __: Pace) -> None:
        nonlocal tries
        tries += 1
        if tries % 2:
            raise BrokenTransferError("reset")

    for _ in range(10 * USUAL.budget):
        persistence.persist(Place(("a/",), "file"), attempt)
    assert tries == 20 * USUAL.budget


def test_what_broke_after_it_brought_much_costs_nothing() -> None:
    persistence = Persistence(USUAL, Silent(), lambda: 0.0, Slept())
    came = 0

    def attempt(_: str, __: Pace) -> None:
        nonlocal came
        came += 2 << 20
        if came < 1 << 30:
            raise BrokenTransferError("reset")

    persistence.persist(Place(("a/",), "file"), attempt, lambda: came)
