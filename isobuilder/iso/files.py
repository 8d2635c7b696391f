"""Files of any size out of an ISO 9660 image, such as an installer DVD of 10 GB with 8,000 packages in one folder.

Each folder is read once. Nothing in the image is trusted: what is read of folders is bounded, and whether the bytes of
a file are right is for a checksum to say.
"""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from isobuilder.errors import HostError, MediumError
from isobuilder.iso import rockridge
from isobuilder.iso.reader import FOLDER_FLAG, MULTI_EXTENT_FLAG, Image, identifier
from isobuilder.iso.units import BLOCK

_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Entry:
    """What a folder has under a name. A file of 4 GiB and more has several records, one for each of its extents."""

    records: tuple[bytes, ...]
    is_plain: bool

    @property
    def is_folder(self) -> bool:
        return bool(self.records[0][25] & FOLDER_FLAG)


class IsoFiles:
    """The files of the image at `iso`, which stays open until `close`; any thread may call.

    Raises HostError when it cannot be read, and MediumError when it is no ISO image.
    """

    def __init__(self, iso: Path) -> None:
        self._iso = iso
        self._lock = threading.Lock()
        self._folders: dict[bytes, dict[str, _Entry]] = {}
        try:
            self._file = iso.open("rb", buffering=0)
        except OSError as error:
            raise HostError(f"{iso}: cannot be read: {error.strerror or error}") from error
        try:
            with self._translated():
                self._image = Image(self._file)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def find(self, path: str) -> "IsoFile | None":
        """The file at `path` ("Packages/bash.rpm"), or None when there is none.

        A name is looked for as Rock Ridge has it, then as plain ISO 9660 has it in whatever case. Raises MediumError
        for what is no plain file, and for an image that is damaged.
        """
        record = self._image.root
        *folders, name = path.split("/")
        for folder in folders:
            entry = self._entry(record, folder)
            if entry is None or not entry.is_folder:
                return None
            record = entry.records[0]
        entry = self._entry(record, name)
        if entry is None:
            return None
        if entry.is_folder or not entry.is_plain:
            raise MediumError(f"{self._iso}: {path} is not a plain file in it")
        return IsoFile(self, tuple(struct.unpack_from("<I4xI", record, 2) for record in entry.records))

    def read(self, place: int, size: int) -> bytes:
        """`size` bytes of the image from `place` on. Raises as `find`."""
        with self._translated():
            return self._image.read(place, size)

    def _entry(self, folder: bytes, name: str) -> _Entry | None:
        with self._lock:
            if folder not in self._folders:
                with self._translated():
                    self._folders[folder] = self._listed(folder)
            names = self._folders[folder]
        return names.get(name) or names.get(f";{name.upper()}")

    def _listed(self, folder: bytes) -> dict[str, _Entry]:
        """What lies in the folder: by the name of Rock Ridge, and behind a semicolon by the plain one in capitals."""
        found: dict[str, _Entry] = {}
        records: list[bytes] = []
        for record in self._image.children(folder):
            records.append(record)
            if record[25] & MULTI_EXTENT_FLAG:
                continue
            entry = _Entry(tuple(records), rockridge.is_plain(self._image.system_use(record)))
            records = []
            if name := rockridge.name(self._image.system_use(record)):
                found.setdefault(name.decode(errors="replace"), entry)
            found.setdefault(f";{identifier(record).upper()}", entry)
        return found

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HostError(f"{self._iso}: cannot be read: {error.strerror or error}") from error
        except (ValueError, struct.error) as error:
            raise MediumError(f"{self._iso}: cannot be read: {error}") from error


@dataclass(frozen=True)
class IsoFile:
    """A file in an image: its extents as (block, bytes), in their order."""

    _files: IsoFiles
    _extents: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        return sum(size for _, size in self._extents)

    def chunks(self, start: int) -> Iterator[bytes]:
        """The bytes from `start` on. Raises as `IsoFiles.find`."""
        for block, size in self._extents:
            place = min(start, size)
            start -= place
            while place < size:
                chunk = self._files.read(block * BLOCK + place, min(size - place, _CHUNK))
                yield chunk
                place += len(chunk)
