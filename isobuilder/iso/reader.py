"""Takes a small file out of an ISO 9660 image by its path. Reads what it needs and no more: nothing in it is trusted.

pycdlib is not used for this, since it opens no image whose GPT has an EFI system partition, and reads every folder
before it gives a file.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from isobuilder.errors import HostError, MediumError, UsageError
from isobuilder.iso.units import BLOCK

VOLUME_DESCRIPTOR = 16 * BLOCK
ROOT_RECORD = 156
FOLDER_FLAG = 0x02
# A folder of 18,000 packages is some 4 MiB.
FOLDER_LIMIT = 32 << 20


def read_file(iso: Path, path: str, *, limit: int) -> bytes:
    """The bytes of the file at `path` ("isolinux/isolinux.cfg", in whatever case the image has it).

    Offsets are those of ECMA-119: a directory record holds its length, the place (at 2) and size (at 10) of what it
    describes, flags (at 25) and a name (at 33) that ends in a version. Raises UsageError when `iso` is not
    there, HostError when it cannot be read, MediumError when it is no ISO image, lacks the file, or the file has more
    than `limit` bytes.
    """
    try:
        with iso.open("rb") as image:
            return _read(image, path, limit)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{iso}: {error.strerror}") from error
    except IsADirectoryError as error:
        raise MediumError(f"{iso}: it is no ISO 9660 image but a folder") from error
    except OSError as error:
        raise HostError(f"{iso}: cannot be read: {error.strerror or error}") from error
    except (LookupError, ValueError, struct.error) as error:
        raise MediumError(f"{iso}: {path} cannot be read from it: {error}") from error


def _read(image: BinaryIO, path: str, limit: int) -> bytes:
    descriptor = _bytes(image, VOLUME_DESCRIPTOR, BLOCK)
    if descriptor[:6] != b"\x01CD001":
        raise ValueError("it is no ISO 9660 image")
    record = descriptor[ROOT_RECORD : ROOT_RECORD + 34]
    for name in path.upper().split("/"):
        record = _find(_content(image, record, FOLDER_LIMIT, folder=True), name)
    return _content(image, record, limit, folder=False)


def _find(folder: bytes, name: str) -> bytes:
    for record in _records(folder):
        identifier = record[33 : 33 + record[32]].decode("ascii", errors="replace")
        if identifier.partition(";")[0].rstrip(".").upper() == name:
            return record
    raise LookupError(f"there is no {name} where it should be")


def _records(folder: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(folder):
        length = folder[place]
        if length == 0:
            # Records do not cross blocks: the rest of this one is empty.
            place = (place // BLOCK + 1) * BLOCK
            continue
        if length < 34:
            raise ValueError("a folder in it is damaged")
        yield folder[place : place + length]
        place += length


def _content(image: BinaryIO, record: bytes, limit: int, *, folder: bool) -> bytes:
    (block,) = struct.unpack_from("<I", record, 2)
    (size,) = struct.unpack_from("<I", record, 10)
    if bool(record[25] & FOLDER_FLAG) != folder:
        raise ValueError("a file stands where a folder should, or a folder where a file should")
    if size > limit:
        raise ValueError(f"it has {size} bytes, and {limit} is the most")
    return _bytes(image, block * BLOCK, size)


def _bytes(image: BinaryIO, place: int, size: int) -> bytes:
    image.seek(place)
    data = image.read(size)
    if len(data) != size:
        raise ValueError("the image is cut short")
    return data
