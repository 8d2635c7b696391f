"""What no signature covers, a package's lead and signature header, held against the header that they enclose.

rpm reads past most of it, so a changed byte there changes nothing that is installed. But whoever changed it handed out
another file than the one that was signed, and that is refused wherever it shows. The rules are what rpm 4.2 to 6 writes
(lib/rpmlead.c, lib/signature.c, rpmrc). They were seen to hold for 366 packages of 45 versions of rpm, some of CentOS 3
to 7 and of Stream 9 among them, and for nfpm's. Refused are some of before 2003: SuSE's, which padded strings, those of
rpm 4.0 with a wrong SHA-1 (tag 265), and those of rpm 3, which have no region.

A change of one byte stays unnoticed in these places only:

- the lead's architecture of a noarch or source package, or of one for neither x86 nor aarch64, where the new number is
  one that rpm knows; its version, 3 or 4, where it names no architecture (rpm 6, and other tools);
- signatures of files (tags 274 to 277), which the kernel checks, as long as they stay hexadecimal and of one length;
- the tag of the trailer, 61 or 62: rpm has written both;
- tags that rpm gives the same meaning, where no signature says which it was: 267 for 268 and 1005 for 1002, unless the
  signature is RSA; 999 for 1008;
- a signature in tag 278 that cannot be read here or names a key that is not pinned, as long as another one is good:
  rpm 6 puts signatures for other programs there;
- inside a signature, the bit counts of its numbers where both ways to count give the same length;
- tag 1007, the unpacked size, where it becomes smaller by 124 (rpm 4.11.90 left the archive's trailer out), or becomes
  the installed size (other tools put that there).
"""

import hashlib
import re
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from isobuilder.errors import TrustError
from isobuilder.trust.rpmheader import (
    ARCH,
    ARCHIVE_SIZE,
    BIN,
    DSA_OF_HEADER,
    EPOCH,
    FILE_SIGNATURE_LENGTH,
    FILE_SIGNATURES,
    GPG_OF_ALL,
    INT32,
    INT64,
    LONG_ARCHIVE_SIZE,
    LONG_SIZE,
    MD5_OF_ALL,
    NAME,
    OPENPGP_OF_HEADER,
    OS,
    PGP_OF_ALL,
    RELEASE,
    RESERVED,
    RESERVED_SPACE,
    RSA_OF_HEADER,
    SHA1_OF_HEADER,
    SHA3_OF_HEADER,
    SHA256_OF_HEADER,
    SIGNATURE_REGION,
    SIZE,
    SOURCE_PACKAGE,
    STRING,
    STRING_ARRAY,
    VERITY_ALGORITHM,
    VERITY_SIGNATURES,
    VERSION,
    WIDTHS,
    Header,
    PackageHead,
)

# What rpm puts into signature headers: the type, and the count where there is only one.
_KNOWN: Final[Mapping[int, tuple[int, int | None]]] = MappingProxyType(
    {
        SIGNATURE_REGION: (BIN, 16),
        DSA_OF_HEADER: (BIN, None),
        RSA_OF_HEADER: (BIN, None),
        SHA1_OF_HEADER: (STRING, 1),
        LONG_SIZE: (INT64, 1),
        LONG_ARCHIVE_SIZE: (INT64, 1),
        SHA256_OF_HEADER: (STRING, 1),
        FILE_SIGNATURES: (STRING_ARRAY, None),
        FILE_SIGNATURE_LENGTH: (INT32, 1),
        VERITY_SIGNATURES: (STRING_ARRAY, None),
        VERITY_ALGORITHM: (INT32, 1),
        OPENPGP_OF_HEADER: (STRING_ARRAY, None),
        SHA3_OF_HEADER: (STRING, 1),
        RESERVED: (BIN, None),
        SIZE: (INT32, 1),
        PGP_OF_ALL: (BIN, None),
        MD5_OF_ALL: (BIN, 16),
        GPG_OF_ALL: (BIN, None),
        ARCHIVE_SIZE: (INT32, 1),
        RESERVED_SPACE: (BIN, None),
    }
)
_DIGESTS: Final = {"sha3_256": SHA3_OF_HEADER, "sha256": SHA256_OF_HEADER, "sha1": SHA1_OF_HEADER}
# Headers begin with four bytes that are kept for later.
_HEADER_MAGIC: Final = bytes.fromhex("8eade80100000000")
# HEADERIMAGE where HEADERSIGNATURES is meant: rpm itself has written both.
_TRAILERS: Final = (61, SIGNATURE_REGION)

_HEADER_SIGNATURE: Final = 5
_NAME_SIZE: Final = 66
_LINUX: Final = 1
# rpmrc's numbers of architectures. A build for noarch is on any, or on none that rpm knows: 255.
_ARCHES: Final[Mapping[str, int]] = MappingProxyType(
    dict.fromkeys(("i386", "i486", "i586", "i686", "athlon", "geode", "x86_64", "amd64"), 1) | {"aarch64": 19}
)
_ANY_ARCH: Final = frozenset({*range(1, 24), 255})


def check_envelope(head: PackageHead) -> None:
    """Raise TrustError unless lead and signature header belong to the header, as said above.

    What is said of the payload, and signatures, are for others to check.
    """
    _check_lead(head)
    _check_layout(head.signatures)
    _check_region(head.signatures)
    if any(head.padding):
        raise TrustError("the padding before the header is not empty")
    for tag in (RESERVED, RESERVED_SPACE):
        if any(head.signatures.blob(tag) or b""):
            raise TrustError("the space reserved for signatures is not empty")
    for tag in (FILE_SIGNATURES, VERITY_SIGNATURES):
        if not all(re.fullmatch(r"([0-9a-f]{2})*", text) for text in head.signatures.texts(tag)):
            raise TrustError("the signatures of files are not hexadecimal")
    for name, tag in _DIGESTS.items():
        digest = head.signatures.text(tag)
        if digest not in {None, hashlib.new(name, head.header.raw, usedforsecurity=False).hexdigest()}:
            raise TrustError(f"the header is not the one of its {name} digest")


def has_header_digest(head: PackageHead) -> bool:
    """Whether the package says a digest of its header."""
    return any(tag in head.signatures.entries for tag in _DIGESTS.values())


def _check_lead(head: PackageHead) -> None:
    major, minor, kind, arch, name, os, signature, reserved = struct.unpack(">4xBBHH66sHH16s", head.lead)
    if minor or signature != _HEADER_SIGNATURE or any(reserved):
        raise TrustError("the lead is not as rpm writes it")
    if kind != (0 if SOURCE_PACKAGE in head.header.entries else 1):
        raise TrustError("the lead and the header disagree whether this is a source package")
    if name not in _lead_names(head.header):
        raise TrustError("the lead is that of another package")
    # Since version 6, and as other tools write it, it says neither.
    if (major == 4 or arch == 0 or os == 0) and (arch, os) == (0, 0):
        return
    known = head.header.text(ARCH) or ""
    expected = {_ARCHES[known]} if kind == 0 and known in _ARCHES else _ANY_ARCH
    if major != 3 or arch not in expected or (os != _LINUX and head.header.text(OS) == "linux"):
        raise TrustError("the lead is for another architecture or operating system")


def _lead_names(header: Header) -> set[bytes]:
    """What the lead may say: name, version and release, since rpm 4.13 with an epoch, cut to 65 bytes."""
    name, version, release = (header.text(tag) for tag in (NAME, VERSION, RELEASE))
    epoch = header.integer(EPOCH)
    texts = {f"{name}-{version}-{release}", f"{name}-{epoch}:{version}-{release}"}
    return {text.encode()[: _NAME_SIZE - 1].ljust(_NAME_SIZE, b"\0") for text in texts}


def _check_layout(signatures: Header) -> None:
    """Every byte of the signature header has a known meaning, and only one."""
    if not signatures.raw.startswith(_HEADER_MAGIC):
        raise TrustError("the signature header does not begin as one")
    extents = []
    for tag, (kind, _, count) in signatures.entries.items():
        right_kind, right_count = _KNOWN.get(tag, (None, None))
        if kind != right_kind or (right_count or count) != count:
            raise TrustError(f"tag {tag} of the signature header is not known to rpm, or not of this type")
        extents.append((*signatures.extent(tag), WIDTHS.get(kind, 1)))
    end = 0
    for start, stop, width in sorted(extents):
        if start != end + -end % width or any(signatures.store[end:start]):
            raise TrustError("the signature header has overlaps or gaps")
        end = stop
    if end != len(signatures.store):
        raise TrustError("the signature header does not end where its entries do")


def _check_region(signatures: Header) -> None:
    """The first entry marks what was written together; what was added later lies behind its trailer."""
    if next(iter(signatures.entries)) != SIGNATURE_REGION:
        raise TrustError("the signature header has no region")
    start, stop = signatures.extent(SIGNATURE_REGION)
    tag, kind, offset, count = struct.unpack(">IIiI", signatures.store[start:stop])
    inside = sum(at < stop for _, at, _ in signatures.entries.values())
    if tag not in _TRAILERS or (kind, offset, count) != (BIN, -16 * inside, 16):
        raise TrustError("the region of the signature header ends elsewhere than it says")
