"""What servers answered when last asked for small files whose checksum nobody knew: for work without a network.

The bytes lie in the cache by their content; here is which address gave them. Nothing is believed because it is
remembered: it goes through the same checks as when it came.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from isobuilder.errors import FetchError
from isobuilder.fetch.cache import CACHE_HINT, Cache, cache_errors
from isobuilder.fetch.transfer import RefusedError, Reply, shown
from isobuilder.wholefile import write_whole

_GONE: Final = 404
_OFFLINE: Final = "Run it once without --offline, on a machine that shares the cache; or name a source that lies here."


@dataclass(frozen=True)
class Seen:
    """What was at `url`: `sha256` of its bytes where they came, its `size` where that was asked; neither: nothing."""

    url: str
    sha256: str | None = None
    size: int | None = None


class Memory:
    """Answers by address, in the cache."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self.root = cache.root / "seen"

    def keep(self, url: str, data: bytes) -> None:
        """The file at `url` is `data`. Raises HostError."""
        self._write(Seen(url, self._cache.add(data).name, len(data)))

    def keep_size(self, url: str, size: int) -> None:
        """The file at `url` has `size` bytes. Raises HostError."""
        self._write(Seen(url, None, size))

    def keep_absence(self, url: str) -> None:
        """There is nothing at `url`. Raises HostError."""
        self._write(Seen(url))

    def recall(self, url: str) -> Seen | None:
        """What was at `url`, or None when it was never asked for, or its bytes are in the cache no more."""
        seen = read_seen(self._path(url))
        if seen is None or seen.url != url or (seen.sha256 and not self._cache.has(seen.sha256, seen.size or 0)):
            return None
        return seen

    def data(self, seen: Seen) -> bytes:
        """The bytes that came. Raises TrustError when they are not what they were, HostError when they are gone."""
        return self._cache.check(seen.sha256 or "").read_bytes()

    def _write(self, seen: Seen) -> None:
        path = self._path(seen.url)
        with cache_errors(path):
            self.root.mkdir(parents=True, exist_ok=True)
        # Others may share the cache.
        write_whole(path, json.dumps(asdict(seen)), mode=0o644, hint=CACHE_HINT)

    def _path(self, url: str) -> Path:
        return self.root / hashlib.sha256(url.encode()).hexdigest()


def read_seen(path: Path) -> Seen | None:
    """What stands in a file of the memory; None when there is none, or it is damaged."""
    try:
        with cache_errors(path):
            text = path.read_text(encoding="utf-8") if path.exists() else "null"
        found = json.loads(text)
        url, sha256, size = found["url"], found["sha256"], found["size"]
    except (ValueError, TypeError, KeyError):
        return None
    right = isinstance(url, str) and isinstance(sha256, str | None) and isinstance(size, int | None)
    return Seen(url, sha256, size) if right else None


class Remembered:
    """Transfers of what is remembered, and of nothing else: no network is touched."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def close(self) -> None:
        pass

    @contextmanager
    def get(self, url: str, start: int = 0) -> Iterator[Reply]:
        seen = self._recall(url, lambda seen: seen.sha256 is not None)
        data = self._memory.data(seen)
        yield Reply(206 if start else 200, start, len(data), "identity", iter([data[start:]]))

    def size(self, url: str) -> int | None:
        return self._recall(url, lambda seen: seen.size is not None).size

    def _recall(self, url: str, answers: Callable[[Seen], bool]) -> Seen:
        seen = self._memory.recall(url)
        if seen and seen.size is None:
            raise RefusedError(f"{shown(url)}: was not there when it was last asked for", _GONE)
        if seen is None or not answers(seen):
            raise offline_error([url])
        return seen


def offline_error(lines: list[str], size: str = "") -> FetchError:
    """The one error of work without a network: all that it would have to ask for, and how much that is."""
    many = f"{len(lines)} needed files are" if len(lines) > 1 else "a needed file is"
    return FetchError(f"offline, and {many} not here{size and f': {size}'}", details=lines, hint=_OFFLINE)
