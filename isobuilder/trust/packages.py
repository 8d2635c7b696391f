"""Whether an RPM package is the one that its maker signed: its signatures, its digests, and who it says it is.

Every byte of header and payload is vouched for: by a signature over the header, which holds a digest of the payload, or
(CentOS 6 and 7 have no such digest) by a signature over both. Every signature in the package must be good, as rpm's own
`rpmkeys --checksig` demands; which bytes of lead and signature header can change unnoticed, `envelope.py` lists.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from isobuilder.errors import TrustError
from isobuilder.hosterrors import host_errors
from isobuilder.trust.envelope import check_envelope, has_header_digest
from isobuilder.trust.openpgp import (
    SIGNATURE,
    Hasher,
    MalformedError,
    Signature,
    UnsupportedError,
    hash_all,
    packets,
    parse_signature,
)
from isobuilder.trust.rpmheader import (
    ARCHIVE_SIZE,
    DSA_OF_HEADER,
    GPG_OF_ALL,
    LONG_ARCHIVE_SIZE,
    LONG_SIZE,
    MD5_OF_ALL,
    OPENPGP_OF_HEADER,
    PAYLOAD_DIGEST,
    PAYLOAD_DIGEST_ALGORITHM,
    PGP_OF_ALL,
    RSA_OF_HEADER,
    SIZE,
    PackageHead,
    read_head,
)
from isobuilder.trust.rpmpayload import check_archive_size
from isobuilder.trust.signatures import Keyring, Signer

_CHUNK: Final = 1 << 20
# Two keys that sign in turn are known, and as many algorithms; no more.
_MAX_SIGNATURES: Final = 8
_PAYLOAD_HASHES: Final = {8: "sha256", 9: "sha384", 10: "sha512"}
_WHOLE: Final = (PGP_OF_ALL, GPG_OF_ALL)
_NOT_RSA: Final = (DSA_OF_HEADER, GPG_OF_ALL)


@dataclass(frozen=True)
class _Made:
    """A signature of the package, or why it cannot be read; `tag` is where it stands."""

    tag: int
    signature: Signature | None
    objection: str = ""

    @property
    def of_all(self) -> bool:
        return self.tag in _WHOLE


def verify_package(path: Path, keyring: Keyring, *, nevra: str | None = None, file: BinaryIO | None = None) -> Signer:
    """Check that the package at `path` is signed by pinned keys, whole, and `nevra`; who signed it.

    With `file`, a package that is open and will lie at `path`, that is read. Raises TrustError, or HostError when the
    file cannot be read.
    """
    with _opened(path, nevra, file) as (file, head):
        made = _signatures(head)
        if PAYLOAD_DIGEST not in head.header.entries and not any(one.of_all for one in made):
            raise TrustError("nothing signed says what the payload must be")
        whole = {one.signature.hash_name: one.signature.hasher() for one in made if one.of_all and one.signature}
        _check_payload(file, head, list(whole.values()))
        signer = _signer(made, keyring, head, whole)
        _check_archive(file, head)
        return signer


def verify_digests(path: Path, *, nevra: str | None = None, file: BinaryIO | None = None) -> None:
    """Check what a package says of itself: digests and sizes of header and payload, and `nevra`.

    For repositories whose packages are taken unsigned; it finds damage, and no malice. `file` is as above. Raises
    TrustError, or HostError when the file cannot be read.
    """
    with _opened(path, nevra, file) as (file, head):
        if not has_header_digest(head):
            raise TrustError("the package has no digest of its header")
        _check_payload(file, head, [])
        _check_archive(file, head)


@contextmanager
def _opened(path: Path, nevra: str | None, opened: BinaryIO | None) -> Iterator[tuple[BinaryIO, PackageHead]]:
    """The package and its head, which is that of `nevra`; findings made meanwhile get the package's name."""
    name = f"{nevra} ({path})" if nevra else str(path)
    try:
        with host_errors(name), nullcontext(opened) if opened else path.open("rb") as file:
            file.seek(0)
            yield file, _read_head(file, nevra)
    except TrustError as error:
        raise TrustError(
            f"{name}: {error.message}",
            details=error.details,
            hint="The mirror may be damaged or lying: try another, and do not install this package.",
        ) from error


def _read_head(file: BinaryIO, nevra: str | None) -> PackageHead:
    head = read_head(file)
    check_envelope(head)
    if nevra is not None and head.nevra != nevra:
        raise TrustError(f"the package is {head.nevra!r}, not {nevra!r}")
    return head


def _check_payload(file: BinaryIO, head: PackageHead, whole: Sequence[Hasher]) -> None:
    """Read the payload once, and check all that is said of it; each of `whole` is fed header and payload."""
    payload = _payload_hasher(head)
    md5 = hashlib.md5(usedforsecurity=False)
    for hasher in (md5, *whole):
        hasher.update(head.header.raw)
    size = len(head.header.raw) + _feed(file, head, [payload, md5, *whole] if payload else [md5, *whole])
    if payload and head.header.texts(PAYLOAD_DIGEST)[:1] != (payload.hexdigest(),):
        raise TrustError(f"the payload is not the one of its {payload.name} digest")
    for tag in (SIZE, LONG_SIZE):
        if head.signatures.integer(tag) not in {None, size}:
            raise TrustError(f"header and payload have {size} bytes, not {head.signatures.integer(tag)}")
    if head.signatures.blob(MD5_OF_ALL) not in {None, md5.digest()}:
        raise TrustError("header and payload are not those of their md5 digest")


def _check_archive(file: BinaryIO, head: PackageHead) -> None:
    """Check what is said of the unpacked payload: last of all, since a payload may have to be unpacked for it."""
    for tag in (ARCHIVE_SIZE, LONG_ARCHIVE_SIZE):
        if (promised := head.signatures.integer(tag)) is not None:
            check_archive_size(file, head, promised)


def _feed(file: BinaryIO, head: PackageHead, hashers: Sequence[Hasher]) -> int:
    """Give the payload to all `hashers`; its size."""
    size = 0
    file.seek(head.payload_at)
    while chunk := file.read(_CHUNK):
        size += len(chunk)
        for hasher in hashers:
            hasher.update(chunk)
    return size


def _payload_hasher(head: PackageHead) -> "hashlib._Hash | None":
    if PAYLOAD_DIGEST not in head.header.entries:
        return None
    number = head.header.integer(PAYLOAD_DIGEST_ALGORITHM)
    algorithm = _PAYLOAD_HASHES.get(8 if number is None else number)
    if algorithm is None:
        raise TrustError(f"the payload's digest is of algorithm {number}, which is not accepted")
    return hashlib.new(algorithm)


def _signatures(head: PackageHead) -> list[_Made]:
    """All signatures that the package has."""
    made = [
        _read(tag, blob)
        for tag in (RSA_OF_HEADER, DSA_OF_HEADER, PGP_OF_ALL, GPG_OF_ALL)
        if (blob := head.signatures.blob(tag)) is not None
    ]
    texts = head.signatures.texts(OPENPGP_OF_HEADER)
    if len(texts) > _MAX_SIGNATURES:
        raise TrustError(f"{len(texts)} signatures are beyond reason")
    return made + [_read(OPENPGP_OF_HEADER, _decoded(text)) for text in texts]


def _decoded(text: str) -> bytes:
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TrustError(f"a signature of the header does not decode: {error}") from error
    if base64.b64encode(blob).decode() != text:
        raise TrustError("a signature of the header is not written as base64 is")
    return blob


def _read(tag: int, blob: bytes) -> _Made:
    try:
        [(kind, body)] = packets(blob)
        if kind != SIGNATURE:
            raise MalformedError(f"an OpenPGP packet of type {kind} is no signature")
        signature = parse_signature(body)
    except UnsupportedError as error:
        return _Made(tag, None, str(error))
    except ValueError as error:
        # MalformedError, and none or several packets.
        raise TrustError(f"the signature in tag {tag} cannot be read: {error}") from error
    if tag in _NOT_RSA and signature.algorithm_name == "rsa":
        raise TrustError(f"the signature in tag {tag} is not of the algorithm that rpm puts there")
    return _Made(tag, signature)


def _signer(made: Sequence[_Made], keyring: Keyring, head: PackageHead, whole: dict[str, Hasher]) -> Signer:
    """The first signer. Raises TrustError unless all signatures are good.

    Those in tag 278 may be of kinds and by keys that we do not know: rpm 6 puts one there for each program to come.
    """
    good: list[Signer] = []
    bad: list[str] = []
    strange: list[str] = []
    for one in made:
        said = bad
        if one.tag == OPENPGP_OF_HEADER and not (one.signature and keyring.pins(one.signature)):
            said = strange
        if one.signature is None:
            said.append(one.objection)
            continue
        try:
            content = whole[one.signature.hash_name] if one.of_all else hash_all(one.signature, [head.header.raw])
            good.append(keyring.signer(one.signature, content))
        except (TrustError, UnsupportedError) as error:
            said.append(str(error))
    if not good:
        raise TrustError("no good signature by a pinned key", details=[*bad, *strange] or ["there is no signature"])
    if bad:
        raise TrustError("not every signature is good", details=bad)
    return good[0]
