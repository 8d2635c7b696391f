"""The head of an RPM package (lead, signature header, header): bytes to values, within bounds. It trusts nothing.

The format is rpm's version 3 and 4 package file, docs/manual/format*.md of rpm. Whether what stands in a header is
true is decided in `trust/signatures.py`.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from isobuilder.errors import TrustError

# Tags of the signature header.
DSA_OF_HEADER: Final = 267
RSA_OF_HEADER: Final = 268
SHA1_OF_HEADER: Final = 269
SHA256_OF_HEADER: Final = 273
OPENPGP_OF_HEADER: Final = 278
PGP_OF_ALL: Final = 1002
GPG_OF_ALL: Final = 1005
# Tags of the header.
NAME: Final = 1000
VERSION: Final = 1001
RELEASE: Final = 1002
EPOCH: Final = 1003
ARCH: Final = 1022
SOURCE_PACKAGE: Final = 1044
PAYLOAD_COMPRESSOR: Final = 1125
PAYLOAD_DIGEST: Final = 5092
PAYLOAD_DIGEST_ALGORITHM: Final = 5093

_INT32: Final = 4
_STRING: Final = 6
_BIN: Final = 7
_STRING_ARRAY: Final = 8

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
        if kind not in {_STRING, _STRING_ARRAY} or not count:
            raise TrustError(f"tag {tag} of the header is not text")
        return self._text_at(tag, offset)[0]

    def texts(self, tag: int) -> tuple[str, ...]:
        """An array of strings; empty when the tag is not there. Raises TrustError."""
        kind, offset, count = self.entries.get(tag, (_STRING_ARRAY, 0, 0))
        if kind != _STRING_ARRAY:
            raise TrustError(f"tag {tag} of the header is not an array of texts")
        found = []
        for _ in range(count):
            text, offset = self._text_at(tag, offset)
            found.append(text)
        return tuple(found)

    def integer(self, tag: int) -> int | None:
        """A 32-bit number; None when the tag is not there. Raises TrustError."""
        if tag not in self.entries:
            return None
        kind, offset, count = self.entries[tag]
        if kind != _INT32 or count != 1 or offset + 4 > len(self.store):
            raise TrustError(f"tag {tag} of the header is not a number")
        return int.from_bytes(self.store[offset : offset + 4], "big")

    def blob(self, tag: int) -> bytes | None:
        """Bytes; None when the tag is not there. Raises TrustError."""
        if tag not in self.entries:
            return None
        kind, offset, count = self.entries[tag]
        if kind != _BIN or offset + count > len(self.store):
            raise TrustError(f"tag {tag} of the header is not bytes")
        return self.store[offset : offset + count]

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
    """What stands before the payload: `signatures`, `header`, and the offset where the payload begins."""

    signatures: Header
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
    # All else in the lead (name, architecture) is what rpm itself ignores.
    if lead[:4] != _LEAD_MAGIC or lead[4] not in {3, 4}:
        raise TrustError("not an RPM package")
    signatures = _read_header(file, _MAX_SIGNATURE_ENTRIES)
    _take(file, -len(signatures.raw) % 8)
    header = _read_header(file, _MAX_ENTRIES)
    return PackageHead(signatures, header, file.tell())


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
