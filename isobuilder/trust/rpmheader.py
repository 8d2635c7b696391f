"""The head of an RPM package (lead, signature header, header): bytes to values, within bounds. It trusts nothing.

The format is rpm's version 3 and 4 package file, docs/manual/format*.md of rpm. Whether what stands in a header is
true is decided in `trust/packages.py`, and whether the parts fit together in `trust/envelope.py`.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from isobuilder.errors import TrustError

# Tags of the signature header.
SIGNATURE_REGION: Final = 62
DSA_OF_HEADER: Final = 267
RSA_OF_HEADER: Final = 268
SHA1_OF_HEADER: Final = 269
SHA256_OF_HEADER: Final = 273
LONG_SIZE: Final = 270
LONG_ARCHIVE_SIZE: Final = 271
FILE_SIGNATURES: Final = 274
FILE_SIGNATURE_LENGTH: Final = 275
VERITY_SIGNATURES: Final = 276
VERITY_ALGORITHM: Final = 277
OPENPGP_OF_HEADER: Final = 278
SHA3_OF_HEADER: Final = 279
RESERVED: Final = 999
SIZE: Final = 1000
PGP_OF_ALL: Final = 1002
MD5_OF_ALL: Final = 1004
GPG_OF_ALL: Final = 1005
ARCHIVE_SIZE: Final = 1007
RESERVED_SPACE: Final = 1008
# Tags of the header.
NAME: Final = 1000
VERSION: Final = 1001
RELEASE: Final = 1002
EPOCH: Final = 1003
INSTALLED_SIZE: Final = 1009
OS: Final = 1021
ARCH: Final = 1022
FILE_SIZES: Final = 1028
FILE_MODES: Final = 1030
FILE_FLAGS: Final = 1037
SOURCE_PACKAGE: Final = 1044
FILE_INODES: Final = 1096
DIRECTORY_INDEXES: Final = 1116
BASE_NAMES: Final = 1117
DIRECTORY_NAMES: Final = 1118
PAYLOAD_COMPRESSOR: Final = 1125
LONG_FILE_SIZES: Final = 5008
PAYLOAD_DIGEST: Final = 5092
PAYLOAD_DIGEST_ALGORITHM: Final = 5093

INT16: Final = 3
INT32: Final = 4
INT64: Final = 5
STRING: Final = 6
BIN: Final = 7
STRING_ARRAY: Final = 8
# Bytes of one value, of the types that have so many always.
WIDTHS: Final = {1: 1, 2: 1, INT16: 2, INT32: 4, INT64: 8, BIN: 1}

_NUMBERS: Final = {INT16: "H", INT32: "I", INT64: "Q"}

_LEAD_SIZE: Final = 96
_LEAD_MAGIC: Final = b"\xed\xab\xee\xdb"
_HEADER_MAGIC: Final = b"\x8e\xad\xe8\x01"
# rpm allows 32 entries in a signature header and 65535 in a header; the largest headers known are a few MB.
_MAX_SIGNATURE_ENTRIES: Final = 32
_MAX_ENTRIES: Final = 0xFFFF
_MAX_STORE: Final = 64 << 20


@dataclass(frozen=True)
class Header:
    """One header structure: `raw` as it stands in the file, `entries` by tag as (type, offset in `store`, count)."""

    raw: bytes
    entries: Mapping[int, tuple[int, int, int]]
    store: bytes

    def text(self, tag: int) -> str | None:
        """A string, or the first of an array of them; None when the tag is not there. Raises TrustError."""
        if tag not in self.entries:
            return None
        kind, offset, count = self.entries[tag]
        if kind not in {STRING, STRING_ARRAY} or not count:
            raise TrustError(f"tag {tag} of the header is not text")
        return self._text_at(tag, offset)[0]

    def texts(self, tag: int) -> tuple[str, ...]:
        """An array of strings; empty when the tag is not there. Raises TrustError."""
        kind, offset, count = self.entries.get(tag, (STRING_ARRAY, 0, 0))
        if kind != STRING_ARRAY:
            raise TrustError(f"tag {tag} of the header is not an array of texts")
        found = []
        for _ in range(count):
            text, offset = self._text_at(tag, offset)
            found.append(text)
        return tuple(found)

    def integer(self, tag: int) -> int | None:
        """A number; None when the tag is not there. Raises TrustError."""
        if tag not in self.entries:
            return None
        numbers = self.integers(tag)
        if len(numbers) != 1:
            raise TrustError(f"tag {tag} of the header is not one number")
        return numbers[0]

    def integers(self, tag: int) -> tuple[int, ...]:
        """An array of numbers of 16, 32 or 64 bits; empty when the tag is not there. Raises TrustError."""
        kind, offset, count = self.entries.get(tag, (INT32, 0, 0))
        if kind not in _NUMBERS or offset + count * WIDTHS[kind] > len(self.store):
            raise TrustError(f"tag {tag} of the header is not a number")
        return struct.unpack_from(f">{count}{_NUMBERS[kind]}", self.store, offset)

    def blob(self, tag: int) -> bytes | None:
        """Bytes; None when the tag is not there. Raises TrustError."""
        if tag not in self.entries:
            return None
        kind, offset, count = self.entries[tag]
        if kind != BIN or offset + count > len(self.store):
            raise TrustError(f"tag {tag} of the header is not bytes")
        return self.store[offset : offset + count]

    def extent(self, tag: int) -> tuple[int, int]:
        """Where in the store the tag's value begins and ends. Raises TrustError when it has no end."""
        kind, offset, count = self.entries[tag]
        if kind in WIDTHS:
            return offset, offset + WIDTHS[kind] * count
        end = offset
        for _ in range(count):
            end = self.store.find(b"\0", end) + 1
            if not end:
                raise TrustError(f"tag {tag} of the header has no end")
        return offset, end

    def _text_at(self, tag: int, offset: int) -> tuple[str, int]:
        end = self.store.find(b"\0", offset)
        if end < 0:
            raise TrustError(f"tag {tag} of the header has no end")
        try:
            return self.store[offset:end].decode(), end + 1
        except UnicodeDecodeError as error:
            raise TrustError(f"tag {tag} of the header is not UTF-8") from error


@dataclass(frozen=True)
class PackageHead:
    """What stands before the payload: `lead`, `signatures`, the `padding` after them, `header`; where it begins."""

    lead: bytes
    signatures: Header
    padding: bytes
    header: Header
    payload_at: int

    @property
    def nevra(self) -> str:
        """`name-epoch:version-release.arch` as the header says it, the epoch always written. Raises TrustError."""
        name, version, release, arch = (self.header.text(tag) for tag in (NAME, VERSION, RELEASE, ARCH))
        if not (name and version and release and arch):
            raise TrustError("the header lacks a name, version, release or architecture")
        # A source package says the architecture it was made on; it is known by naming no source package (as rpm does).
        arch = arch if SOURCE_PACKAGE in self.header.entries else "src"
        return f"{name}-{self.header.integer(EPOCH) or 0}:{version}-{release}.{arch}"


def read_head(file: BinaryIO) -> PackageHead:
    """Read a package from its start up to its payload. Raises TrustError when it is no package of rpm 3 or 4."""
    lead = _take(file, _LEAD_SIZE)
    if lead[:4] != _LEAD_MAGIC or lead[4] not in {3, 4}:
        raise TrustError("not an RPM package")
    signatures = _read_header(file, _MAX_SIGNATURE_ENTRIES)
    padding = _take(file, -len(signatures.raw) % 8)
    header = _read_header(file, _MAX_ENTRIES)
    return PackageHead(lead, signatures, padding, header, file.tell())


def _read_header(file: BinaryIO, max_entries: int) -> Header:
    intro = _take(file, 16)
    count, size = struct.unpack(">II", intro[8:])
    if intro[:4] != _HEADER_MAGIC:
        raise TrustError("a header does not begin as one")
    if not 0 < count <= max_entries or size > _MAX_STORE:
        raise TrustError(f"a header of {count} entries and {size} bytes is beyond reason")
    index = _take(file, 16 * count)
    store = _take(file, size)
    entries = {tag: (kind, offset, number) for tag, kind, offset, number in struct.iter_unpack(">IIII", index)}
    if len(entries) != count:
        raise TrustError("a header says the same thing twice")
    if any(offset > size for _, offset, _ in entries.values()):
        raise TrustError("a header points outside itself")
    return Header(intro + index + store, entries, store)


def _take(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise TrustError("the package is cut short")
    return data
