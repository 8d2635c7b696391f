"""Files named by url, size and sha256 come into the cache, several at a time; small ones without a name are read.

A download is resumed from its `.part` file, by whichever process comes next. Range requests carry no If-Range: the
sha256 is known before the first byte, so it decides, and a mixture of two versions is thrown away and fetched afresh.
"""

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from io import FileIO
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Self, TypeVar

from rich import filesize

from isobuilder.errors import FetchError, HostError, IsobuilderError, TrustError
from isobuilder.fetch.cache import Cache, cache_errors
from isobuilder.fetch.transfer import BrokenTransferError, Patience, RefusedError, Transfers, shown
from isobuilder.lock import File
from isobuilder.progress import Progress

T = TypeVar("T")
Advance = Callable[[int], None]

_CHUNK: Final = 1 << 20
_CONNECTIONS: Final = 8
# An attempt that brought this much was worth it: attempts are counted anew.
_WORTH: Final = 1 << 20
# So many files in a row lost to the network mean that there is no network.
_HOPELESS: Final = 10
_LOCK_POLL: Final = 0.2
_GONE: Final = frozenset({404, 410})


class Fetcher:
    """Brings files into `cache`, and says so to `progress`; `clock` and `sleep` count seconds.

    It is a context manager, and belongs to one thread: `read` and `size` share connections, which its end closes.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        progress: Progress,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cache = cache
        self._progress = progress
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._small = self._transfers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._small.close()

    def read(self, url: str, *, limit: int) -> bytes:
        """A file of at most `limit` bytes whose checksum nobody knows yet. Raises FetchError."""
        return self._persist(url, lambda: _read_once(self._small, url, limit), lambda: 0)

    def read_optional(self, url: str, *, limit: int) -> bytes | None:
        """As `read`, but None where the server says that there is no such file (404, 410)."""
        try:
            return self.read(url, limit=limit)
        except RefusedError as error:
            if error.status in _GONE:
                return None
            raise

    def size(self, url: str) -> int:
        """How many bytes the file has, as the server says. Raises FetchError."""
        size = self._persist(url, lambda: self._small.size(url), lambda: 0)
        if size is None:
            raise FetchError(f"{shown(url)}: the server does not say how large it is")
        return size

    def fetch_all(self, files: Iterable[File], *, title: str) -> None:
        """Bring what the cache lacks of `files`.

        What can be fetched is fetched, whatever fails; then all failures are raised as one error: TrustError when any
        file is not what was promised, else FetchError. HostError (no space, no permission) ends it at once.
        """
        wanted = list({(f.sha256, f.size): f for f in files if not self._cache.has(f.sha256, f.size)}.values())
        if not wanted:
            return
        total = sum(file.size for file in wanted)
        self._check_space(total)
        with self._progress.task(title, total) as advance:
            failures, untried = self._run(wanted, advance)
            if failures:
                raise _summary(failures, len(wanted), untried)

    def _run(self, files: Sequence[File], advance: Advance) -> tuple[list[IsobuilderError], int]:
        """The failures, and how many files were not tried because of them.

        The threads are daemons: an interrupt ends the process while they wait for a server. They can be left anywhere,
        since what they write is a `.part` file until it is renamed.
        """
        stop = threading.Event()
        jobs: SimpleQueue[File] = SimpleQueue()
        results: SimpleQueue[Exception | None] = SimpleQueue()
        for file in files:
            jobs.put(file)
        workers = [
            threading.Thread(target=self._work, args=(jobs, results, advance, stop), daemon=True)
            for _ in range(min(_CONNECTIONS, len(files)))
        ]
        failures: list[IsobuilderError] = []
        lost_in_a_row = 0
        try:
            for worker in workers:
                worker.start()
            for done in range(1, len(files) + 1):
                result = results.get()
                if result is None:
                    lost_in_a_row = 0
                elif isinstance(result, TrustError | FetchError):
                    failures.append(result)
                    lost_in_a_row += isinstance(result, FetchError) and not isinstance(result, RefusedError)
                else:
                    raise result
                if lost_in_a_row >= _HOPELESS:
                    return failures, len(files) - done
        finally:
            stop.set()
        for worker in workers:
            worker.join()
        return failures, 0

    def _work(
        self,
        jobs: "SimpleQueue[File]",
        results: "SimpleQueue[Exception | None]",
        advance: Advance,
        stop: threading.Event,
    ) -> None:
        with self._transfers() as transfers:
            while not stop.is_set():
                try:
                    file = jobs.get_nowait()
                except Empty:
                    return
                try:
                    self._bring(transfers, file, advance, stop)
                except Exception as error:  # noqa: BLE001 - raised again by who collects the results
                    results.put(error)
                else:
                    results.put(None)

    def _bring(self, transfers: Transfers, file: File, advance: Advance, stop: threading.Event) -> None:
        def wait() -> None:
            _check(stop)
            self._sleep(_LOCK_POLL)

        with self._cache.claim(file.sha256, wait) as part:
            if self._cache.has(file.sha256, file.size):
                advance(file.size)
                return
            download = _Download(file, part, advance, stop)
            try:
                download.resume()
                self._persist(file.url, lambda: download.attempt(transfers), lambda: download.furthest)
                if download.resumed and not download.is_right:
                    download.restart()
                    self._persist(file.url, lambda: download.attempt(transfers), lambda: download.furthest)
                download.check()
            except TrustError:
                download.restart()
                raise
            except RefusedError as error:
                error.hint = (
                    "A repository drops old packages: if it has, make the lock anew (isobuilder lock --update)."
                )
                raise
            self._cache.settle(part, file.sha256)

    def _persist(self, url: str, attempt: Callable[[], T], furthest: Callable[[], int]) -> T:
        """The result of `attempt`, which is repeated after pauses while the transfer breaks. Raises FetchError.

        `furthest` says how far any attempt came: it only grows, so that attempts end even with a server that lies.
        """
        failures = 0
        while True:
            before = furthest()
            try:
                return attempt()
            except BrokenTransferError as error:
                failures = 1 if furthest() - before >= _WORTH else failures + 1
                if failures >= self._patience.attempts:
                    raise FetchError(
                        f"{shown(url)}: {error} (attempt {failures}, the last)",
                        hint="Run it again when the network is better: what has come is kept. Is the address right?",
                    ) from error
                pause = max(self._patience.pause(failures), error.after)
                self._progress.note(
                    f"{shown(url)}: {error}; trying again in {pause:.0f} s ({failures} of {self._patience.attempts})"
                )
                self._sleep(pause)

    def _transfers(self) -> Transfers:
        return Transfers(patience=self._patience, clock=self._clock)

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


class _StoppedError(Exception):
    """The work was called off; nobody listens to this."""


class _Download:
    """One file on its way into its part file: where it stands, how far it ever came, and the hash so far."""

    def __init__(self, file: File, part: FileIO, advance: Advance, stop: threading.Event) -> None:
        self._file = file
        self._part = part
        self._advance = advance
        self._stop = stop
        self.furthest = 0
        self._hasher = hashlib.sha256()
        self.position = 0
        self.resumed = False

    @property
    def is_right(self) -> bool:
        return self.position == self._file.size and self._hasher.hexdigest() == self._file.sha256

    def resume(self) -> None:
        """Take up what an earlier attempt left in the part file."""
        with self._host_errors():
            if os.fstat(self._part.fileno()).st_size > self._file.size:
                self._part.truncate(0)
            while chunk := self._part.read(_CHUNK):
                _check(self._stop)
                self._count(chunk)
        self.resumed = self.position > 0

    def restart(self) -> None:
        """Throw away what has come. What progress was told stays told: it goes on where this is overtaken."""
        with self._host_errors():
            self._part.seek(0)
            self._part.truncate(0)
        self._hasher = hashlib.sha256()
        self.position = 0
        self.resumed = False

    def attempt(self, transfers: Transfers) -> None:
        """Fetch what is missing. Raises BrokenTransferError when there is reason to call again."""
        size = self._file.size
        if self.position == size:
            return
        with transfers.get(self._file.url, self.position) as reply:
            if reply.status == 416 or reply.start not in {0, self.position}:
                self.restart()
                raise BrokenTransferError("the server does not continue where the transfer broke")
            if reply.total not in {None, size}:
                raise self._wrong(f"has {reply.total} bytes")
            if reply.start != self.position:
                self.restart()
            for chunk in reply.chunks:
                _check(self._stop)
                if self.position + len(chunk) > size:
                    raise self._wrong(f"has more than {size} bytes")
                self._write(chunk)
        if self.position < size:
            raise BrokenTransferError(f"ended after {self.position} of {size} bytes")

    def check(self) -> None:
        """Raises TrustError when what has come is not the file."""
        if not self.is_right:
            raise self._wrong(f"has the sha256 {self._hasher.hexdigest()}")

    def _write(self, chunk: bytes) -> None:
        with self._host_errors():
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._part.write(rest) :]
        self._count(chunk)

    def _count(self, chunk: bytes) -> None:
        self._hasher.update(chunk)
        self.position += len(chunk)
        if self.position > self.furthest:
            self._advance(self.position - self.furthest)
            self.furthest = self.position

    def _wrong(self, found: str) -> TrustError:
        return TrustError(
            f"{shown(self._file.url)}: {found}; promised were {self._file.size} bytes of sha256 {self._file.sha256}",
            hint="The mirror changed since the lock was made (isobuilder lock --update), or it is not to be trusted.",
        )

    def _host_errors(self) -> AbstractContextManager[None]:
        return cache_errors(Path(os.fsdecode(self._part.name)))


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise _StoppedError


def _read_once(transfers: Transfers, url: str, limit: int) -> bytes:
    with transfers.get(url) as reply:
        if reply.encoding != "identity":
            raise FetchError(f"{shown(url)}: the server packs it as {reply.encoding!r}, unasked")
        data = bytearray()
        for chunk in reply.chunks:
            data += chunk
            if len(data) > limit:
                raise FetchError(f"{shown(url)}: is larger than the {limit} bytes that such a file may have")
        return bytes(data)


def _summary(failures: Sequence[IsobuilderError], wanted: int, untried: int) -> IsobuilderError:
    """All failures as one, of the graver kind."""
    if len(failures) == 1 and not untried:
        return failures[0]
    details = [failure.message for failure in failures]
    if untried:
        details.append(f"{untried} more were not tried or not finished")
    hints = dict.fromkeys(failure.hint for failure in failures if failure.hint)
    kind = TrustError if any(isinstance(failure, TrustError) for failure in failures) else FetchError
    return kind(
        f"{len(failures) + untried} of {wanted} files could not be fetched", details=details, hint=" ".join(hints)
    )
