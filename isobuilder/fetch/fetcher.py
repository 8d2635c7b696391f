"""Files named by url, size and sha256 come into the cache, several at a time; small ones without a name are read.

A download is resumed from its `.part` file, by whichever process comes next. Range requests carry no If-Range: the
sha256 is known before the first byte, so it decides, and a mixture of two versions is thrown away and fetched afresh.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Self, TypeVar

from rich import filesize

from isobuilder.addresses import is_local
from isobuilder.errors import FetchError, HostError
from isobuilder.fetch.arrivals import Arrivals
from isobuilder.fetch.cache import Cache, cache_errors
from isobuilder.fetch.download import Advance, Download, Wanted, check_stop
from isobuilder.fetch.failover import Persistence, Place
from isobuilder.fetch.local import LocalFiles
from isobuilder.fetch.memory import Memory, Remembered, offline_error
from isobuilder.fetch.routes import Routes
from isobuilder.fetch.transfer import Patience, RefusedError, Transfers, shown
from isobuilder.progress import Progress

T = TypeVar("T")
Landed = Callable[[str, BinaryIO], None]

_LOCK_POLL: Final = 0.2
_HEARTBEAT: Final = 30.0
_GONE: Final = frozenset({404, 410})


class Fetcher:
    """Brings files into `cache`, and says so to `progress`; `clock` and `sleep` count seconds.

    Addresses without a scheme are paths below `folder`. With `offline` no network is touched: what servers would have
    to be asked for is in the cache, or an error. It is a context manager, and belongs to one thread: `read` and `size`
    share connections, which its end closes.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        progress: Progress,
        folder: Path = Path(),
        offline: bool = False,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cache = cache
        self._progress = progress
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._offline = offline
        self._memory = Memory(cache)
        self._local = LocalFiles(folder)
        self._small = self._transfers()
        self._persistence = Persistence(patience, progress, clock, sleep)
        self._said = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._small.close()
        self._local.close()

    def read(self, url: str, *, limit: int) -> bytes:
        """A file of at most `limit` bytes whose checksum nobody knows yet. Raises FetchError."""
        return self.first_good(Place((url,)), lambda once, here: once.read(here, limit=limit))

    def first_good(self, place: Place, look: Callable[["Once", str], T]) -> T:
        """What `look` makes of the place at the best of its mirrors that it can make something of.

        It is called with a reader and an address, of one mirror at a time, and again where a transfer broke. Raises as
        `Persistence.persist`.
        """
        once = Once(self._small, None if self._offline else self._memory, self._tell_slow)
        return self._persistence.persist(place, lambda url, _: look(once, url))

    def size(self, url: str) -> int:
        """How many bytes the file has, as the server says. Raises FetchError."""
        self._progress.doing(shown(url))
        size = self._persistence.persist(Place((url,)), lambda here, _: self._small.size(here))
        if size is None:
            raise FetchError(f"{shown(url)}: the server does not say how large it is")
        if not self._offline and not is_local(url):
            self._memory.keep_size(url, size)
        return size

    def is_there(self, file: Wanted) -> bool:
        """Whether the cache or any mirror has the file. Raises FetchError where no mirror says yes or no."""
        if self._cache.has(file.sha256, file.size):
            return True
        if self._offline and not any(map(is_local, file.place.mirrors)):
            return False
        try:
            self._persistence.persist(file.place, lambda url, _: self._small.size(url))
        except RefusedError as error:
            if error.status in _GONE:
                return False
            raise
        return True

    def require(self, urls: Iterable[str]) -> None:
        """Without a network: raise one FetchError for all of `urls` that would have to be asked for."""
        if self._offline and (unknown := [u for u in urls if not is_local(u) and self._memory.recall(u) is None]):
            raise offline_error(list(map(shown, unknown)))

    def fetch_all(self, files: Iterable[Wanted], *, title: str) -> None:
        """Bring what the cache lacks of `files`. Raises as `arriving` and `Arrivals.finish`."""
        if lacking := self._lacking(files):
            with self.arriving(lacking, title=title) as arrivals:
                arrivals.finish()

    @contextmanager
    def arriving(self, files: Iterable[Wanted], *, title: str, landed: Landed | None = None) -> Iterator[Arrivals]:
        """What the cache lacks of `files` is on its way while the context lasts, in their order.

        `landed` is shown each file once it is whole, and before it has its name in the cache, by the thread that
        brought it: its sha256, and its bytes, open. An exception of its own ends the work. Raises HostError where they
        do not fit into the cache, and FetchError where no network may be touched.
        """
        wanted = self._lacking(files)
        if self._offline and (away := [file for file in wanted if not any(map(is_local, file.place.mirrors))]):
            raise _missing(away)
        total = sum(file.size for file in wanted)
        self._check_space(total)

        @contextmanager
        def carrier(advance: Advance, stop: threading.Event) -> Iterator[Callable[[Wanted], None]]:
            with closing(self._transfers()) as transfers:
                yield partial(self._bring, advance, stop, landed, transfers)

        tell = partial(self._progress.doing, stage=title)
        with Arrivals(wanted, carrier, task=self._progress.task(title, total), tell=tell) as arrivals:
            yield arrivals

    def _lacking(self, files: Iterable[Wanted]) -> list[Wanted]:
        """Those that the cache does not have, each once."""
        return list({(f.sha256, f.size): f for f in files if not self._cache.has(f.sha256, f.size)}.values())

    def _tell_slow(self, url: str, came: int) -> None:
        """Small files are no task of `progress`, and can take long: now and then, say that work goes on."""
        self._progress.doing(shown(url))
        now = self._clock()
        if now - self._said >= _HEARTBEAT:
            self._said = now
            self._progress.note(f"{shown(url)}: {filesize.decimal(came)} so far")

    def _bring(
        self, advance: Advance, stop: threading.Event, landed: Landed | None, transfers: Transfers, file: Wanted
    ) -> None:
        def wait() -> None:
            check_stop(stop)
            self._sleep(_LOCK_POLL)

        with self._cache.claim(file.sha256, wait) as part:
            if self._cache.has(file.sha256, file.size):
                advance(file.size)
                return
            download = Download(file, part, advance, stop)
            download.resume()
            try:
                if not download.is_right:
                    self._persistence.persist(
                        file.place, partial(download.attempt, transfers), lambda: download.furthest
                    )
            except RefusedError as error:
                error.hint = error.hint or (
                    "A repository drops old packages: if it has, make the lock anew (isobuilder lock --update)."
                )
                raise
            if landed:
                with open(part.fileno(), "rb", closefd=False) as whole:
                    landed(file.sha256, whole)
            self._cache.settle(part, file.sha256)

    def _transfers(self) -> Transfers:
        """The ways to files, for one thread."""
        if self._offline:
            return Routes(self._local, Remembered(self._memory))
        # Not before it is needed: what works without a network should not wait for it.
        from isobuilder.fetch.http import HttpTransfers

        return Routes(self._local, HttpTransfers(patience=self._patience, clock=self._clock))

    def _check_space(self, needed: int) -> None:
        """Raises HostError where `needed` bytes do not fit.

        What `.part` files hold of them already is counted again: to ask for more than is needed does no harm.
        """
        with cache_errors(self._cache.root):
            there = next(path for path in (self._cache.root, *self._cache.root.parents) if path.exists())
            free = shutil.disk_usage(there).free
        if free < needed:
            raise HostError(
                f"{self._cache.root}: {filesize.decimal(needed)} to fetch, {filesize.decimal(free)} free",
                hint="Make room, or name another place for the cache with ISOBUILDER_CACHE.",
            )


class Once:
    """Reads small files whose checksum nobody knows yet, and tries once: its caller is who persists.

    What servers say goes into `memory`; `tell` is called again and again with an address and the bytes that have come.
    Raises BrokenTransferError where to try again, RefusedError, and FetchError for more than `limit` bytes.
    """

    def __init__(self, transfers: Transfers, memory: Memory | None, tell: Callable[[str, int], None]) -> None:
        self._transfers = transfers
        self._memory = memory
        self._tell = tell

    def read(self, url: str, *, limit: int) -> bytes:
        data = self._read(url, limit)
        if self._memory and not is_local(url):
            self._memory.keep(url, data)
        return data

    def _read(self, url: str, limit: int) -> bytes:
        self._tell(url, 0)
        with self._transfers.get(url) as reply:
            if reply.encoding != "identity":
                raise FetchError(f"{shown(url)}: the server packs it as {reply.encoding!r}, unasked")
            data = bytearray()
            for chunk in reply.chunks:
                data += chunk
                self._tell(url, len(data))
                if len(data) > limit:
                    raise FetchError(f"{shown(url)}: is larger than the {limit} bytes that such a file may have")
            return bytes(data)

    def read_optional(self, url: str, *, limit: int) -> bytes | None:
        """As `read`, but None where the server says that there is no such file (404, 410)."""
        try:
            return self.read(url, limit=limit)
        except RefusedError as error:
            if error.status in _GONE:
                if self._memory and not is_local(url):
                    self._memory.keep_absence(url)
                return None
            raise


def _missing(files: Sequence[Wanted]) -> FetchError:
    """What an offline run lacks, a line each, and how much it is together."""
    lines = [f"{shown(file.place.mirrors[0] + file.place.path)}: {filesize.decimal(file.size)}" for file in files]
    return offline_error(lines, filesize.decimal(sum(file.size for file in files)))
