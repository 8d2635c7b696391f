"""What mirrors, and the network before them, have shown that they are worth. All threads of a build share it."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Final

from isobuilder.fetch.transfer import Patience, SlowError

# One mirror is worth leaving for another that is so many times as fast, and not for less: what has come may come again.
_FAR_FASTER: Final = 4.0
# A mirror that failed so often in a row is asked when no other is left, and nobody is left for it.
_GIVEN_UP: Final = 3


class Standing:
    """How often each mirror failed since it last brought something, and how fast the slow ones are.

    Rates are bytes a second on one connection. The `budget` is for repeating: a transfer that breaks takes one from it,
    and one that comes to its end puts one back. A network that breaks now and then never uses it up; one that breaks
    far more than it brings does, however many files there are.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._left = budget
        self._faults: Counter[str] = Counter()
        self._slow: dict[str, float] = {}
        self._lock = threading.Lock()

    def choose(self, mirrors: Collection[str], broke: Mapping[str, int]) -> str:
        """Who is asked for a file now that `broke` counts whose transfers of it did: the best of those that did least.

        The best are not given up, not slow, have failed least, and come first.
        """
        with self._lock:
            return min(mirrors, key=lambda mirror: (broke[mirror], *self._rank(mirror)))

    def _rank(self, mirror: str) -> tuple[bool, float, int]:
        slowness = 1 / self._slow[mirror] if mirror in self._slow else 0.0
        return self._faults[mirror] >= _GIVEN_UP, slowness, self._faults[mirror]

    def blame(self, mirror: str) -> None:
        with self._lock:
            self._faults[mirror] += 1

    def spend(self) -> bool:
        """A transfer broke: whether it may be repeated."""
        with self._lock:
            may = self._left > 0
            self._left = max(self._left - 1, 0)
            return may

    def earn(self, mirror: str) -> None:
        """A transfer from `mirror` came to its end."""
        with self._lock:
            self._left = min(self._left + 1, self._budget)
            self._faults[mirror] = 0

    def is_fast(self, mirror: str) -> None:
        """What was known of its slowness holds no more."""
        with self._lock:
            self._slow.pop(mirror, None)

    def is_slow(self, mirror: str, rate: float, others: Collection[str]) -> bool:
        """`mirror` has no more than `rate`; whether one of `others` is far faster, or may be, since it is not slow."""
        with self._lock:
            self._slow[mirror] = max(rate, 1.0)
            return any(
                self._faults[other] < _GIVEN_UP and self._slow.get(other, math.inf) >= _FAR_FASTER * rate
                for other in others
            )


class Pace:
    """How fast one transfer goes; it is called with the bytes of each chunk that came.

    Raises SlowError where `mirror` is slow and one of `others` may be far faster. The time before the first chunk does
    not count.
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
        self._since: float | None = None
        self._came = 0

    def __call__(self, count: int) -> None:
        now = self._clock()
        if self._since is None:
            self._since = now
            return
        self._came += count
        passed = now - self._since
        if passed < self._patience.look:
            return
        rate = self._came / passed
        if rate >= self._patience.slow_rate:
            self._standing.is_fast(self._mirror)
        elif self._standing.is_slow(self._mirror, rate, self._others):
            raise SlowError(self._came, passed)
        self._since = now
        self._came = 0
