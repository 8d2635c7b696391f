"""Files that lie on this machine: in folders, and inside ISOs, which are written as folders are.

`mirror/os/x` and `file:///srv/mirror/os/x` are files; where a part of the path is a file itself, as in
`CentOS-7.iso/Packages/x`, that is an ISO, and the rest lies inside. Nothing is believed because it lies here: what came
from servers and what came from here is verified alike.
"""

import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote

from isobuilder.addresses import FILE
from isobuilder.errors import FetchError, HostError, MediumError
from isobuilder.fetch.transfer import RefusedError, Reply, shown
from isobuilder.iso.files import IsoFiles

_CHUNK: Final = 1 << 20
_NOT_THERE: Final = 404


class _Found(Protocol):
    @property
    def size(self) -> int: ...

    def chunks(self, start: int) -> Iterator[bytes]: ...


class LocalFiles:
    """Transfers of files that lie here; relative addresses are below `folder`. Any thread may call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._isos: dict[Path, IsoFiles] = {}

    def close(self) -> None:
        for iso in self._isos.values():
            iso.close()
        self._isos.clear()

    @contextmanager
    def get(self, url: str, start: int = 0) -> Iterator[Reply]:
        with _translated(url):
            file = self._found(url)
            status = 416 if start > file.size else 206 if start else 200
        yield Reply(status, start, file.size, "identity", _chunks(url, file, start))

    def size(self, url: str) -> int | None:
        with _translated(url):
            return self._found(url).size

    def _found(self, url: str) -> _Found:
        path = self._path(url)
        try:
            found = path.stat()
        except FileNotFoundError:
            raise _absent(url) from None
        except NotADirectoryError:
            return self._inside_iso(path, url)
        if stat.S_ISREG(found.st_mode):
            return _PlainFile(path, found.st_size)
        raise FetchError(f"{shown(url)}: is no plain file")

    def _inside_iso(self, path: Path, url: str) -> _Found:
        iso = next((parent for parent in path.parents if parent.is_file()), None)
        if iso is None:
            raise _absent(url)
        with self._lock:
            if iso not in self._isos:
                self._isos[iso] = IsoFiles(iso)
            files = self._isos[iso]
        found = files.find(path.relative_to(iso).as_posix())
        if found is None:
            raise _absent(url)
        return found

    def _path(self, url: str) -> Path:
        # Metadata and locks name files below an address; what is escaped must not lead out of it.
        if re.search(r"%(?:2[ef]|5c|0[0-9a-f]|1[0-9a-f]|7f)", url, re.IGNORECASE):
            raise FetchError(f"{shown(url)}: not an address of a file here: it escapes a dot or a slash")
        return self._folder / unquote(url.removeprefix(FILE))


@dataclass(frozen=True)
class _PlainFile:
    path: Path
    size: int

    def chunks(self, start: int) -> Iterator[bytes]:
        with self.path.open("rb", buffering=0) as file:
            file.seek(start)
            while chunk := file.read(_CHUNK):
                yield chunk


def _chunks(url: str, file: _Found, start: int) -> Iterator[bytes]:
    """The bytes of the file. What its reader does with them meanwhile is not translated: errors there are not ours."""
    chunks = file.chunks(start)
    while True:
        with _translated(url):
            chunk = next(chunks, b"")
        if not chunk:
            return
        yield chunk


def _absent(url: str) -> RefusedError:
    return RefusedError(f"{shown(url)}: there is no such file", _NOT_THERE)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except MediumError as error:
        raise FetchError(f"{shown(url)}: {error.message}", hint="Is the image complete? Check its sum.") from error
    except OSError as error:
        raise HostError(f"{shown(url)}: cannot be read: {error.strerror or error}") from error
