"""What mirrors, and the network before them, have shown that they are worth. All threads of a build share it."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Final

from isobuilder.fetch.transfer import Patience, SlowError

# One mirror is worth leaving for another that is so many times as fast, and not for less: what has come may come again.
_FAR_FASTER: Final = 4.0


class Standing:
    """How often each mirror failed, and how fast it was, in bytes a second on one connection.

    The `budget` is for repeating: each transfer that breaks takes one from it, and each that comes to its end puts one
    back. A network that breaks now and then never uses it up; one that breaks more than it brings does, however many
    files there are, and after that nothing is repeated any more.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._left = budget
        self._faults: Counter[str] = Counter()
        self._rates: dict[str, float] = {}
        self._lock = threading.Lock()

    def choose(self, mirrors: Collection[str], asked: Mapping[str, int]) -> str:
        """Each has its turn; of those whose turn it is, the one that has failed least, was not slow, is the best."""
        with self._lock:
            return min(
                mirrors, key=lambda m: (asked[m], self._faults[m], 1 / self._rates[m] if m in self._rates else 0.0)
            )

    def blame(self, mirror: str) -> None:
        with self._lock:
            self._faults[mirror] += 1

    def spend(self) -> bool:
        """A transfer broke: whether it may be repeated."""
        with self._lock:
            self._left = max(self._left - 1, -1)
            return self._left >= 0

    def earn(self) -> None:
        """A transfer came to its end."""
        with self._lock:
            self._left = min(self._left + 1, self._budget)

    def is_outdone(self, mirror: str, rate: float, others: Collection[str]) -> bool:
        """Take down that `mirror` is so slow; whether one of `others` is far faster, or may be since nobody knows."""
        with self._lock:
            self._rates[mirror] = max(rate, 1.0)
            return any(other not in self._rates or self._rates[other] >= _FAR_FASTER * rate for other in others)


class Pace:
    """How fast one transfer goes; it is called with the bytes of each chunk that came.

    Raises SlowError where `mirror` is slow and one of `others` may be far faster.
    """

    def __init__(
        self,
        standing: Standing,
        patience: Patience,
        clock: Callable[[], float],
        mirror: str,
        others: Collection[str],
    ) -> None:
        self._standing = standing
        self._patience = patience
        self._clock = clock
        self._mirror = mirror
        self._others = others
        self._since = clock()
        self._came = 0

    def __call__(self, count: int) -> None:
        self._came += count
        passed = self._clock() - self._since
        if passed < self._patience.look:
            return
        rate = self._came / passed
        if rate < self._patience.slow_rate and self._standing.is_outdone(self._mirror, rate, self._others):
            raise SlowError(self._came, passed)
        self._since += passed
        self._came = 0
