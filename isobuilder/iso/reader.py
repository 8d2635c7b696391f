"""Takes small files out of an ISO 9660 image by their paths. Reads what it needs and no more: nothing in it is trusted.

pycdlib is not used for this, since it opens no image with isolinux's master boot record whose GPT has an EFI system
partition, and reads every folder, of whatever size, before it gives a file.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from isobuilder.errors import HostError, MediumError, UsageError
from isobuilder.iso import rockridge
from isobuilder.iso.units import BLOCK

VOLUME_DESCRIPTOR = 16 * BLOCK
ROOT_RECORD = 156
FOLDER_FLAG = 0x02
MULTI_EXTENT_FLAG = 0x80
# All folders that one call looks into, in bytes: one of 18,000 packages is some 4 MiB.
FOLDER_LIMIT = 32 << 20
# What one folder may hold, and how far down; ISO 9660 knows eight levels (ECMA-119, 6.8.2.1).
MANY_FILES = 10_000
MAX_DEPTH = 8


def read_file(iso: Path, path: str, *, limit: int) -> bytes:
    """The bytes of the file at `path` ("isolinux/isolinux.cfg").

    A name is looked for as Rock Ridge has it, then as plain ISO 9660 has it in whatever case. Raises UsageError when
    `iso` is not there, HostError when it cannot be read, MediumError when it is no ISO image, lacks the file, or the
    file has more than `limit` bytes.
    """
    with _opened(iso, path) as image:
        return image.content(image.found(path), limit)


def read_files(iso: Path, path: str, *, limit: int) -> dict[str, bytes]:
    """The bytes of the file at `path`, or of all files below it when it ends in a slash, by their paths in the image.

    As `read_file`; `limit` is for all of them together. A folder that holds links, or names that climb, is refused
    with MediumError.
    """
    if not path.endswith("/"):
        return {path: read_file(iso, path, limit=limit)}
    files: dict[str, bytes] = {}
    with _opened(iso, path) as image:
        for name, record in image.below(path):
            if name in files:
                raise ValueError(f"{name} is there twice")
            if len(files) >= MANY_FILES:
                raise ValueError(f"it holds more than {MANY_FILES} files")
            files[name] = image.content(record, limit)
            limit -= len(files[name])
    if not files:
        raise MediumError(f"{iso}: {path} holds no file")
    return files


@contextmanager
def _opened(iso: Path, path: str) -> Iterator["Image"]:
    try:
        with iso.open("rb") as file:
            yield Image(file)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{iso}: {error.strerror}") from error
    except IsADirectoryError as error:
        raise MediumError(f"{iso}: it is no ISO 9660 image but a folder") from error
    except OSError as error:
        raise HostError(f"{iso}: cannot be read: {error.strerror or error}") from error
    except (LookupError, ValueError, struct.error) as error:
        raise MediumError(f"{iso}: {path} cannot be read from it: {error}") from error


class Image:
    """An open image. LookupError, ValueError and struct.error say what is wrong with it.

    Offsets are those of ECMA-119: a directory record holds its length, the place (at 2) and size (at 10) of what it
    describes, flags (at 25) and a name (at 33) that ends in a version.
    """

    def __init__(self, file: BinaryIO, *, folder_limit: int = FOLDER_LIMIT) -> None:
        self._file = file
        self._folders_left = folder_limit
        file.seek(VOLUME_DESCRIPTOR)
        descriptor = file.read(BLOCK)
        if descriptor[:6] != b"\x01CD001":
            raise ValueError("it is no ISO 9660 image")
        self.root = descriptor[ROOT_RECORD : ROOT_RECORD + 34]

    def found(self, path: str) -> bytes:
        """The directory record of what lies at `path`."""
        record = self.root
        for name in path.split("/"):
            record = self._child(record, name)
        return record

    def below(self, path: str) -> Iterator[tuple[str, bytes]]:
        """The path and the record of each file below the folder `path`, which ends in a slash."""
        waiting = [(path, self.found(path.rstrip("/")))]
        while waiting:
            folder, record = waiting.pop()
            for child in self.children(record):
                name = f"{folder}{self._name(child)}"
                if not child[25] & FOLDER_FLAG:
                    yield name, child
                elif name.count("/") < MAX_DEPTH:
                    waiting.append((f"{name}/", child))
                else:
                    raise ValueError("its folders lie too deep")

    def content(self, record: bytes, limit: int) -> bytes:
        """The bytes of a plain file."""
        if record[25] & FOLDER_FLAG:
            raise ValueError("a folder stands where a file should")
        if record[25] & MULTI_EXTENT_FLAG or not rockridge.is_plain(self.system_use(record)):
            raise ValueError("a link, or something else that is no plain file, stands where a file should")
        return self._extent(record, limit)

    def _child(self, folder: bytes, name: str) -> bytes:
        plain = None
        for record in self.children(folder):
            if rockridge.name(self.system_use(record)) == name.encode():
                return record
            if plain is None and identifier(record).upper() == name.upper():
                plain = record
        if plain is None:
            raise LookupError(f"there is no {name} where it should be")
        return plain

    def children(self, folder: bytes) -> Iterator[bytes]:
        """The records in a folder, without those of itself and of the one above."""
        if not folder[25] & FOLDER_FLAG:
            raise ValueError("a file stands where a folder should")
        data = self._extent(folder, self._folders_left)
        self._folders_left -= len(data)
        return (record for record in _records(data) if record[33 : 33 + record[32]] not in {b"\0", b"\1"})

    def _name(self, record: bytes) -> str:
        """The record's name; one that leads elsewhere is refused."""
        name = (rockridge.name(self.system_use(record)) or identifier(record).encode()).decode()
        if name in {"", ".", ".."} or not name.isprintable() or "/" in name:
            raise ValueError(f"it holds a file with the name {name!r}")
        return name

    def system_use(self, record: bytes) -> Iterator[rockridge.Entry]:
        # A byte of padding follows a name of even length (ECMA-119, 9.1.12).
        return rockridge.entries(record[33 + (record[32] | 1) :], self.read)

    def _extent(self, record: bytes, limit: int) -> bytes:
        (block,) = struct.unpack_from("<I", record, 2)
        (size,) = struct.unpack_from("<I", record, 10)
        if size > limit:
            raise ValueError(f"it has {size} bytes, and {limit} is the most")
        return self.read(block * BLOCK, size)

    def read(self, place: int, size: int) -> bytes:
        # Not by seek and read: several threads may take files out of one image.
        data = os.pread(self._file.fileno(), size, place)
        if len(data) != size:
            raise ValueError("the image is cut short")
        return data


def identifier(record: bytes) -> str:
    """The name in plain ISO 9660, without its version."""
    return record[33 : 33 + record[32]].decode("ascii", errors="replace").partition(";")[0].rstrip(".")


def _records(folder: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(folder):
        length = folder[place]
        if length == 0:
            # Records do not cross blocks: the rest of this one is empty.
            place = (place // BLOCK + 1) * BLOCK
            continue
        if length < 34 or place + length > len(folder):
            raise ValueError("a folder in it is damaged")
        yield folder[place : place + length]
        place += length
