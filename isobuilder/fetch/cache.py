"""The content-addressed cache: a file lies under its sha256, and is there whole or not at all.

Builds share it, at the same time too: a file under way is a `.part` file with a lock of its own. What is in the cache
was verified when it came; whoever reads it for a medium verifies it again, since disks and people change files.
"""

import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import IO, TypeVar

from isobuilder.errors import DamagedError, HostError, TrustError
from isobuilder.hosterrors import host_errors
from isobuilder.kept import Kept

CACHE_HINT = "The cache needs space and permission to write; ISOBUILDER_CACHE names another place for it."
T = TypeVar("T")


class Cache:
    """A cache below `root`, which is made when the first file comes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def kept(self) -> Kept:
        """What was made of files of the cache, and can be made again."""
        return Kept(self.root / "kept")

    def path(self, sha256: str) -> Path:
        """Where the file of this sha256 (64 digits of lower-case hex) lies, or would. Raises TrustError for others."""
        if not re.fullmatch(r"[0-9a-f]{64}", sha256, re.ASCII):
            raise TrustError(f"{sha256!r} is not a sha256")
        return self.root / "sha256" / sha256[:2] / sha256

    def has(self, sha256: str, size: int) -> bool:
        """Whether the file is there with `size` bytes; one of another size is damaged, and as good as absent."""
        path = self.path(sha256)
        with cache_errors(path):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return False
        return stat.S_ISREG(found.st_mode) and found.st_size == size

    def part_size(self, sha256: str) -> int:
        """How many bytes an unfinished download of the file has left, in bytes; 0 where there is none."""
        part = self._part(sha256)
        with cache_errors(part):
            try:
                return part.stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return 0

    def check(self, sha256: str) -> Path:
        """Where the file lies, its bytes read and found to be what they were. Raises DamagedError when they are not."""
        path = self.path(sha256)
        with cache_errors(path), path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise DamagedError(f"{path}: the file in the cache is not what it was when it was fetched", [path])
        return path

    def whole(self, work: Callable[[], T], warn: Callable[[str], None]) -> T:
        """What `work` gives. Files that it finds damaged are removed, and it is done again, with `warn` told.

        Raises DamagedError for a file that is damaged once more, and HostError where one cannot be removed.
        """
        removed: set[Path] = set()
        while True:
            try:
                return work()
            except DamagedError as error:
                self._remove(error.paths)
                if removed.intersection(error.paths):
                    raise
                removed.update(error.paths)
                for line in error.details or (error.message,):
                    warn(f"{line}; it is fetched again")

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with cache_errors(path):
                path.unlink(missing_ok=True)

    def add(self, data: bytes) -> Path:
        """Keep `data`; where it lies. Raises HostError."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        if self.has(sha256, len(data)):
            return path
        with cache_errors(path):
            parts = self._parts()
            with tempfile.NamedTemporaryFile(dir=parts, prefix=f"{sha256}.", delete=False) as file:
                try:
                    # Others may share the cache; a temporary file is its owner's alone.
                    os.fchmod(file.fileno(), 0o644)
                    file.write(data)
                    _settle(file, Path(file.name), path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        return path

    @contextmanager
    def claim(self, sha256: str, wait: Callable[[], None]) -> Iterator[FileIO]:
        """The `.part` file of `sha256`, unbuffered, at its start, for nobody but us; an earlier try may have filled it.

        `wait` is called again and again while another process has it. Whether that one has brought the file is to be
        asked afterwards, with `has`. Raises HostError.
        """
        part = self._part(sha256)
        with cache_errors(part):
            self._parts()
        with self._locked(part, wait) as file:
            try:
                yield file
            finally:
                with cache_errors(part):
                    if os.fstat(file.fileno()).st_size == 0 and _is_at(file, part):
                        part.unlink()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Nothing is pruned meanwhile; any number of processes may say so at a time. Raises HostError.

        A cache that we cannot write to can be used all the same; then nobody keeps its owner from pruning it.
        """
        with ExitStack() as stack:
            with suppress(HostError):
                lock = stack.enter_context(self._open_lock())
                fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody uses the cache meanwhile. Raises HostError when somebody does."""
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise HostError(
                    f"{self.root}: a build is using this cache", hint="Run this again when it is done."
                ) from error
            yield

    def mark_used(self, sha256: str) -> None:
        """Say that the file was needed now, where we may."""
        with suppress(OSError):
            os.utime(self.path(sha256))

    def _open_lock(self) -> FileIO:
        path = self.root / "lock"
        with cache_errors(path):
            self.root.mkdir(parents=True, exist_ok=True)
            return FileIO(path, "r+", opener=_create)

    def settle(self, part: FileIO, sha256: str) -> None:
        """The claimed `part` is complete and verified: give it its place. Raises HostError."""
        path = self.path(sha256)
        with cache_errors(path):
            _settle(part, self._part(sha256), path)

    @contextmanager
    def _locked(self, part: Path, wait: Callable[[], None]) -> Iterator[FileIO]:
        while True:
            with cache_errors(part):
                file = FileIO(part, "r+", opener=_create)
            with file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pass
                else:
                    # Whoever had the lock may have moved the file to its place: then ours is not the part any more.
                    if _is_at(file, part):
                        yield file
                        return
                    continue
            wait()

    def _parts(self) -> Path:
        parts = self.root / "part"
        parts.mkdir(parents=True, exist_ok=True)
        return parts

    def _part(self, sha256: str) -> Path:
        return self.root / "part" / f"{self.path(sha256).name}.part"


def default_cache_root(environ: Mapping[str, str]) -> Path:
    """ISOBUILDER_CACHE, or isobuilder/ below XDG_CACHE_HOME, or below ~/.cache. Raises HostError without a home."""
    if chosen := environ.get("ISOBUILDER_CACHE"):
        return Path(chosen).absolute()
    # The XDG base directory specification has relative paths ignored.
    if (shared := environ.get("XDG_CACHE_HOME", "")).startswith("/"):
        return Path(shared, "isobuilder")
    if home := environ.get("HOME"):
        return Path(home, ".cache", "isobuilder")
    raise HostError("there is no place for the cache", hint="Set ISOBUILDER_CACHE to a folder with some GB of space.")


def cache_errors(path: Path) -> AbstractContextManager[None]:
    """What the operating system refuses meanwhile of `path` in a cache, as a HostError."""
    return host_errors(path, hint=CACHE_HINT)


def _create(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)


def _settle(file: IO[bytes] | FileIO, part: Path, path: Path) -> None:
    """Move `part`, open as `file`, to `path`: on disk before it has its name, so that a crash leaves no half of it.

    A crash may leave it without the name: then it is fetched again, which costs less than to wait for each name.
    """
    file.flush()
    os.fsync(file.fileno())
    path.parent.mkdir(parents=True, exist_ok=True)
    part.rename(path)


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
