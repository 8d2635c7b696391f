"""What lies in the cache, and what of it may go. Builds that run meanwhile lose nothing."""

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isobuilder.errors import HostError
from isobuilder.fetch.cache import Cache, cache_errors
from isobuilder.fetch.memory import Memory, read_seen
from isobuilder.progress import Progress

_HASHERS: Final = 4


@dataclass(frozen=True)
class Stored:
    """One file of the cache: `size` in bytes, `used` when it came or was last needed, in seconds since 1970."""

    path: Path
    size: int
    used: float

    @property
    def sha256(self) -> str:
        return self.path.name


@dataclass(frozen=True)
class Contents:
    """All that lies in a cache: whole files, partial downloads, answers of servers, and what was made of files."""

    files: tuple[Stored, ...]
    partial: tuple[Stored, ...]
    answers: tuple[Stored, ...]
    made: tuple[Stored, ...]


@dataclass(frozen=True)
class Pruned:
    """What was removed, or would be: files, partial downloads, and what was made; `size` is that of all, in bytes."""

    files: int
    partial: int
    made: int
    size: int


def contents(cache: Cache) -> Contents:
    """Look at all of the cache; what others put into its folders is left out. Raises HostError."""
    with cache_errors(cache.root):
        files = _stored(cache.root.glob("sha256/??/*"))
        return Contents(
            tuple(one for one in files if re.fullmatch(r"[0-9a-f]{64}", one.sha256)),
            tuple(_stored((cache.root / "part").glob("*"))),
            tuple(_stored(Memory(cache).root.glob("*"))),
            tuple(_stored(cache.kept.folder.glob("*"))),
        )


def prune(
    cache: Cache, *, keep: Collection[str], keep_answers: Callable[[str], bool], before: float | None, dry_run: bool
) -> Pruned:
    """Remove what is not to be kept: files by sha256, and what servers said by address.

    What was made of files goes whatever is kept: it can be made again. With `before` (seconds since 1970), only what
    has not been needed since goes. Raises HostError while a build uses the cache.
    """
    with cache.alone():
        found = contents(cache)
        answers = [(one, read_seen(one.path)) for one in found.answers]
        kept_answers = [seen for _, seen in answers if seen and keep_answers(seen.url)]
        kept = {*keep, *(seen.sha256 for seen in kept_answers)}
        files = [one for one in found.files if one.sha256 not in kept and _is_before(one, before)]
        partial = [one for one in found.partial if one.sha256.partition(".")[0] not in kept and _is_before(one, before)]
        made = [one for one in found.made if _is_before(one, before)]
        if not dry_run:
            gone = {one.sha256 for one in files}
            with cache_errors(cache.root):
                for one in (*files, *made, *(one for one, seen in answers if seen is None or seen.sha256 in gone)):
                    one.path.unlink(missing_ok=True)
                partial = [one for one in partial if _remove_part(one.path)]
        return Pruned(len(files), len(partial), len(made), sum(one.size for one in (*files, *partial, *made)))


def verify(cache: Cache, progress: Progress) -> tuple[int, list[Stored]]:
    """Read every file and remove those that are not what their name says; how many were read, and what was removed.

    Raises HostError for what cannot be read or removed.
    """
    files = contents(cache).files
    with (
        progress.task("Checking", sum(one.size for one in files)) as advance,
        ThreadPoolExecutor(_HASHERS, "check") as workers,
    ):
        wrong = []
        for one, is_right in zip(files, workers.map(_is_right, files), strict=True):
            advance(one.size)
            if not is_right:
                wrong.append(one)
                with cache_errors(one.path):
                    one.path.unlink(missing_ok=True)
    return len(files), wrong


def _stored(paths: Iterable[Path]) -> list[Stored]:
    return sorted(_seen(paths), key=lambda one: one.path)


def _seen(paths: Iterable[Path]) -> Iterator[Stored]:
    for path in paths:
        try:
            found = path.lstat()
        except FileNotFoundError:
            # A build has just moved it to its place.
            continue
        yield Stored(path, found.st_size, found.st_mtime)


def _is_before(one: Stored, before: float | None) -> bool:
    return before is None or one.used < before


def _is_right(one: Stored) -> bool:
    if one.path.parent.name != one.sha256[:2]:
        return False
    try:
        # What is no file may block whoever opens it.
        if not stat.S_ISREG(one.path.stat().st_mode):
            return False
        with one.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == one.sha256
    except FileNotFoundError:
        # Gone meanwhile, unless it is a link that leads nowhere.
        return not os.path.lexists(one.path)
    except OSError as error:
        raise HostError(f"{one.path}: {error.strerror or error}") from error


def _remove_part(path: Path) -> bool:
    """Remove a partial download, unless a process holds it (see Cache.claim)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
