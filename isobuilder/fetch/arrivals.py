"""Files on their way into the cache: brought by several threads at a time, and waited for one by one, or all.

The threads are daemons: an interrupt ends the process while they wait for a server. They can be left anywhere, since
what they write is a `.part` file until it is renamed.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import Final, Self

from isobuilder.errors import FetchError, IsobuilderError, TrustError
from isobuilder.fetch.download import Advance, Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.transfer import RefusedError, shown

_CONNECTIONS: Final = 8
# So many files in a row lost to the network mean that there is no network.
_HOPELESS: Final = 10
_LONGEST_NAME: Final = 32
# For one thread: what brings one file after the other, over connections that last as long as the context does. It is
# given what to tell of the bytes that come, and what says that the work was called off.
Carrier = Callable[[Advance, threading.Event], AbstractContextManager[Callable[[Wanted], None]]]


class Arrivals:
    """Files that come, begun in the order of `files`, by several threads that have a `carrier` each.

    It is a context, and belongs to one thread. Within it `task` is open until all are seen to be here; `tell` is told
    what is under way, how many files have come, and of how many. Leaving the context calls off what has not come.
    """

    def __init__(
        self,
        files: Sequence[Wanted],
        carrier: Carrier,
        *,
        task: AbstractContextManager[Advance],
        tell: Callable[[str, int, int], None],
    ) -> None:
        self._count = len(files)
        self._outstanding = Counter(file.sha256 for file in files)
        self._carrier = carrier
        self._task = task
        self._open = ExitStack()
        self._stop = threading.Event()
        self._jobs: SimpleQueue[Wanted] = SimpleQueue()
        self._results: SimpleQueue[tuple[str, Exception | None]] = SimpleQueue()
        self._under_way = _UnderWay(len(files), tell)
        self._failures: list[IsobuilderError] = []
        self._lost_in_a_row = 0
        for file in files:
            self._jobs.put(file)
        self._workers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        advance = self._open.enter_context(self._task)
        for _ in range(min(_CONNECTIONS, self._count)):
            self._workers.append(threading.Thread(target=self._work, args=(advance,), daemon=True))
            self._workers[-1].start()
        self._end_when_all_are_here()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._open.close()

    def wait(self, sha256: str) -> None:
        """Return once the file has its place in the cache, if it is one of these. Raises as `finish`, with its waits.

        An exception that is no finding about a file is raised as soon as it is seen: no space, no permission.
        """
        # What has come meanwhile is seen whoever is waited for, so that a failure is told soon.
        while not self._results.empty():
            self._collect()
        while sha256 in self._outstanding and not self._failures:
            self._collect()
        if self._failures:
            self.finish()

    def finish(self) -> None:
        """Return once all have come, or raise all failures as one: TrustError when any file is not what was promised.

        Else it is a FetchError.
        """
        while self._outstanding and self._lost_in_a_row < _HOPELESS:
            self._collect()
        self._stop.set()
        if not self._outstanding:
            for worker in self._workers:
                worker.join()
        self._open.close()
        if self._failures:
            raise _summary(self._failures, self._count, self._outstanding.total())

    def _collect(self) -> None:
        sha256, failure = self._results.get()
        if failure is None:
            self._lost_in_a_row = 0
        elif isinstance(failure, TrustError | FetchError):
            self._failures.append(failure)
            self._lost_in_a_row += isinstance(failure, FetchError) and not isinstance(failure, RefusedError)
        else:
            raise failure
        self._outstanding[sha256] -= 1
        if not self._outstanding[sha256]:
            del self._outstanding[sha256]
        self._end_when_all_are_here()

    def _end_when_all_are_here(self) -> None:
        if not self._outstanding:
            self._open.close()

    def _work(self, advance: Advance) -> None:
        with self._carrier(advance, self._stop) as bring:
            while not self._stop.is_set():
                try:
                    file = self._jobs.get_nowait()
                except Empty:
                    return
                try:
                    with self._under_way.one(file.place):
                        bring(file)
                except Exception as error:  # noqa: BLE001 - raised again by who collects the results
                    self._results.put((file.sha256, error))
                else:
                    self._results.put((file.sha256, None))


class _UnderWay:
    """Which of `count` files are under way, told to `tell` as they come and go. Any thread may ask."""

    def __init__(self, count: int, tell: Callable[[str, int, int], None]) -> None:
        self._count = count
        self._tell = tell
        self._done = 0
        self._names: list[str] = []
        self._lock = threading.Lock()

    @contextmanager
    def one(self, place: Place) -> Iterator[None]:
        """A file that is under way meanwhile."""
        name = shown(place.path or place.mirrors[0]).rpartition("/")[2]
        with self._lock:
            self._names.append(name)
            self._say()
        try:
            yield
        finally:
            with self._lock:
                self._names.remove(name)
                self._done += 1
                self._say()

    def _say(self) -> None:
        """The oldest one: it is what holds up the end."""
        more = f" and {len(self._names) - 1} more" if len(self._names) > 1 else ""
        self._tell(f"{_cut(self._names[0])}{more}" if self._names else "", self._done, self._count)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def _summary(failures: Sequence[IsobuilderError], wanted: int, untried: int) -> IsobuilderError:
    """All failures as one, of the graver kind."""
    if len(failures) == 1 and not untried:
        return failures[0]
    details = [line for failure in failures for line in (failure.message, *(f"  {one}" for one in failure.details))]
    if untried:
        details.append(f"{untried} more were not tried or not finished")
    hints = dict.fromkeys(failure.hint for failure in failures if failure.hint)
    kind = TrustError if any(isinstance(failure, TrustError) for failure in failures) else FetchError
    return kind(
        f"{len(failures) + untried} of {wanted} files could not be fetched", details=details, hint=" ".join(hints)
    )
