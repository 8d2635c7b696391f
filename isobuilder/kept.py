"""What was made of files of the cache with some work, kept for the next time that it is needed.

Everything is kept under a name made of all that it depends on, and of files whose sha256 was right. It is believed only
where nobody else could have written it: a cache may be shared, and nobody vouches for what lies here. Losing any of it
costs time and nothing else.
"""

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

_DIGEST: Final = hashlib.sha256
_SIZE: Final = 32
_CHUNK: Final = 1 << 20


class Kept:
    """Kept files in `folder`, which is made in its cache when the first comes; a cache is made by who fetches into it.

    Nothing is an error: then there is nothing kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def opened(self, key: str, count: int) -> Iterator[list[BinaryIO] | None]:
        """The `count` files that are kept under `key`, each at the start of what was written; None: not all are."""
        with ExitStack() as stack:
            files: list[BinaryIO] = []
            for path in self._paths(key, count):
                try:
                    file = stack.enter_context(path.open("rb"))
                    if not self._is_ours(file) or not _is_whole(file):
                        break
                    os.utime(path)
                except OSError:
                    break
                files.append(file)
            yield files if len(files) == count else None

    def keep(self, key: str, writers: Sequence[Callable[[BinaryIO], object]]) -> None:
        """Keep what each of `writers` writes."""
        with suppress(OSError):
            self.folder.mkdir(mode=0o755, exist_ok=True)
            for path, write in zip(self._paths(key, len(writers)), writers, strict=True):
                self._write(path, write)

    def facts(self, key: str) -> Mapping[str, Any]:
        """The small facts that are kept under `key`."""
        with self.opened(f"{key}-facts", 1) as files:
            found = json.loads(files[0].read()) if files else {}
        return found if isinstance(found, dict) else {}

    def keep_facts(self, key: str, facts: Mapping[str, Any]) -> None:
        """Keep small facts, in place of those that were kept under `key`."""
        data = json.dumps(facts, sort_keys=True).encode()
        self.keep(f"{key}-facts", [lambda file: file.write(data)])

    def data(self, key: str) -> dict[str, bytes] | None:
        """The files that are kept under `key`, by what they are called; None when there are none."""
        with self.opened(f"{key}-data", 1) as files:
            if files is None:
                return None
            return {name: files[0].read(size) for name, size in json.loads(files[0].readline()).items()}

    def keep_data(self, key: str, data: Mapping[str, bytes]) -> None:
        """Keep files, in place of those that were kept under `key`."""
        head = json.dumps({name: len(each) for name, each in data.items()}).encode() + b"\n"
        self.keep(f"{key}-data", [lambda file: file.writelines([head, *data.values()])])

    def _paths(self, key: str, count: int) -> list[Path]:
        return [self.folder / f"{key}-{number}" for number in range(count)]

    def _is_ours(self, file: BinaryIO) -> bool:
        """Whether only we, or root, could have written the file, and put it there."""
        return all(
            status.st_uid in {0, os.geteuid()} and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            for status in (os.fstat(file.fileno()), self.folder.stat())
        )

    def _write(self, path: Path, write: Callable[[BinaryIO], object]) -> None:
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as named:
            part = Path(named.name)
            file: BinaryIO = named.file  # type: ignore[assignment] # it is opened in binary mode
            try:
                file.write(bytes(_SIZE))
                file.flush()
                write(file)
                file.flush()
                file.seek(_SIZE)
                digest = _digest_from_here(file)
                file.seek(0)
                file.write(digest)
                os.fchmod(file.fileno(), 0o644)
                file.flush()
                part.rename(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise


def key_of(*parts: object) -> str:
    """One name for all of `parts`, which JSON can hold."""
    return _DIGEST(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _is_whole(file: BinaryIO) -> bool:
    """Whether the file's bytes are those that were written; it stands behind the digest then."""
    digest = file.read(_SIZE)
    is_whole = _digest_from_here(file) == digest
    file.seek(_SIZE)
    # What libsolv reads from is the descriptor, not the buffer of the file.
    os.lseek(file.fileno(), _SIZE, os.SEEK_SET)
    return is_whole


def _digest_from_here(file: BinaryIO) -> bytes:
    digest = _DIGEST()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.digest()
