"""Who vouches for bytes: pinned OpenPGP keys, signatures of files and of RPM packages, digests inside packages.

The keyring holds keys whose fingerprints the release or the definition pins, and no others. Everything else that
could be said about trust (web of trust, key servers, revokers by proxy) is no business of an installer's builder.

What of a package is vouched for: every byte of the header and of the payload, by a signature over the header that
holds a digest of the payload, or (CentOS 6 and 7 have no such digest) by a signature over both. Not vouched for are the
lead, of which rpm reads no more than that it is one, and the signature header, which holds the signatures themselves,
digests that they make superfluous, and padding. A changed byte there changes no byte that is installed.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from isobuilder.errors import TrustError
from isobuilder.hosterrors import host_errors
from isobuilder.trust.certificates import SigningKey, read_key_file
from isobuilder.trust.openpgp import (
    SIGNATURE,
    MalformedError,
    Signature,
    UnsupportedError,
    dearmor,
    hash_all,
    packets,
    parse_signature,
    verify,
)
from isobuilder.trust.rpmheader import (
    DSA_OF_HEADER,
    GPG_OF_ALL,
    OPENPGP_OF_HEADER,
    PAYLOAD_DIGEST,
    PAYLOAD_DIGEST_ALGORITHM,
    PGP_OF_ALL,
    RSA_OF_HEADER,
    SHA1_OF_HEADER,
    SHA256_OF_HEADER,
    PackageHead,
    read_head,
)

_BINARY: Final = 0x00
_CHUNK: Final = 1 << 20
# Each signature may cost a pass over a whole package; two keys that sign in turn are known, no more.
_MAX_SIGNATURES: Final = 8
_PAYLOAD_HASHES: Final = {8: "sha256", 9: "sha384", 10: "sha512"}


@dataclass(frozen=True)
class Signer:
    """Who signed, and how: `fingerprint` is that of the pinned primary key, `key` of the one (or subkey) that was used.

    `algorithm` is "rsa", "dsa" or "ed25519", `digest` the hash that it signed, such as "sha256".
    """

    fingerprint: str
    key: str
    algorithm: str
    digest: str


class Keyring:
    """Pinned keys. What is signed over SHA-1 is refused, since two files can be made that share such a signature.

    With `sha1` it is accepted: packages of CentOS 6.0 and of CentOS 7 were seen signed over SHA-256, but those of 6.3
    to 6.10 over SHA-1, and nobody will sign them anew. MD5 is refused, always.
    """

    def __init__(self, keys: Iterable[SigningKey], *, sha1: bool = False) -> None:
        self._keys = tuple(keys)
        self._sha1 = sha1

    @classmethod
    def from_files(cls, files: Iterable[bytes], pins: Sequence[str], *, sha1: bool = False) -> Self:
        """The keys in the key files `files` whose fingerprints (upper-case hex) are `pins`.

        Only primary keys with a pinned fingerprint are kept, with the subkeys that they vouch for. Raises TrustError
        when no file has a pinned key, or has it in a form that cannot be used, and when a file has none of them: all
        such findings at once.
        """
        keys: list[SigningKey] = []
        has: list[str] = []
        strange: list[str] = []
        for data in files:
            signing, holds = _read(data)
            pinned = [key for key in signing if key.primary in pins]
            has.append(holds)
            keys += pinned
            if not pinned:
                strange.append(f"a key file has none of the pinned keys that may sign; {holds}")
        found = {key.primary for key in keys}
        missing = [f"{pin}: there is no such key that may sign; {'; '.join(has)}" for pin in pins if pin not in found]
        # What lacks a key is told by the key.
        if findings := missing or strange:
            raise TrustError(
                "a key is not the one that was pinned",
                details=findings,
                hint="Compare the fingerprint with what the project itself publishes, by another way than this mirror.",
            )
        return cls(keys, sha1=sha1)

    def verify(self, data: bytes, signature: bytes) -> str:
        """Check a detached signature of `data`, armored or binary; the signer's primary fingerprint.

        One good signature is enough where there are several. Raises TrustError with what is wrong with each.
        """
        try:
            blobs = dearmor(signature)
        except MalformedError as error:
            raise TrustError(f"the signature cannot be read: {error}") from error
        return self.verify_parts(blobs, lambda: [data]).fingerprint

    def verify_parts(self, blobs: Iterable[bytes], content: Callable[[], Iterable[bytes]]) -> Signer:
        """As `verify`, for binary signatures and for content in parts, which each signature asks for anew."""
        findings: list[str] = []
        for signature in _signatures(blobs, findings):
            try:
                key = self._signer(signature, content)
            except (TrustError, UnsupportedError) as error:
                findings.append(str(error))
            else:
                return Signer(key.primary, key.key.fingerprint, signature.algorithm_name, signature.hash_name)
        raise TrustError("no good signature by a pinned key", details=findings or ["there is no signature"])

    def _signer(self, signature: Signature, content: Callable[[], Iterable[bytes]]) -> SigningKey:
        if signature.kind != _BINARY:
            raise TrustError(f"a signature of type {signature.kind:#04x}, which does not sign a file as it is")
        if signature.hash_name == "sha1" and not self._sha1:
            raise TrustError(f"a signature by {signature.issuer} over SHA-1, which proves nothing any more")
        if signature.expires:
            raise TrustError(f"a signature by {signature.issuer} that is meant to expire")
        keys = [key for key in self._keys if key.key.key_id == signature.issuer]
        if not keys:
            raise TrustError(f"signed by {signature.issuer or 'nobody it names'}, which is not pinned")
        hasher = hash_all(signature, content())
        for key in keys:
            if verify(key.key, signature, hasher):
                if objection := key.objection(signature.created):
                    raise TrustError(objection)
                return key
        raise TrustError(f"the signature by {signature.issuer} is not of these bytes")


def pinned_in(data: bytes, pins: Iterable[str]) -> tuple[str, ...]:
    """Those of the fingerprints `pins` whose keys the key file `data` has, in a form that can be used."""
    found = {key.primary for key in _read(data)[0]}
    return tuple(pin for pin in pins if pin in found)


def verify_package(path: Path, keyring: Keyring, *, nevra: str | None = None) -> Signer:
    """Check that the package at `path` is signed by a pinned key, whole, and `nevra`; who signed it.

    Raises TrustError, or HostError when the file cannot be read.
    """
    with _opened(path, nevra) as (file, head):
        _check_header(head, nevra, digest_required=False)
        if _has_payload_digest(head):
            signer = keyring.verify_parts(_header_signatures(head), lambda: [head.header.raw])
            _check_payload(file, head)
            return signer
        whole = [blob for tag in (PGP_OF_ALL, GPG_OF_ALL) if (blob := head.signatures.blob(tag))]
        if not whole:
            raise TrustError("nothing signed says what the payload must be")
        return keyring.verify_parts(whole, lambda: _from(file, head.payload_at - len(head.header.raw)))


def verify_digests(path: Path, *, nevra: str | None = None) -> None:
    """Check what a package says of itself: header digest, payload digest where there is one, and `nevra`.

    For repositories whose packages are taken unsigned; it finds damage, and no malice. Raises TrustError, or HostError
    when the file cannot be read.
    """
    with _opened(path, nevra) as (file, head):
        _check_header(head, nevra, digest_required=True)
        if _has_payload_digest(head):
            _check_payload(file, head)


@contextmanager
def _opened(path: Path, nevra: str | None) -> Iterator[tuple[BinaryIO, PackageHead]]:
    """The package and its head; findings made meanwhile get the package's name."""
    name = f"{nevra} ({path})" if nevra else str(path)
    try:
        with host_errors(name), path.open("rb") as file:
            yield file, read_head(file)
    except TrustError as error:
        raise TrustError(
            f"{name}: {error.message}",
            details=error.details,
            hint="The mirror may be damaged or lying: try another, and do not install this package.",
        ) from error


def _check_header(head: PackageHead, nevra: str | None, *, digest_required: bool) -> None:
    promised = {
        name: digest
        for name, tag in (("sha256", SHA256_OF_HEADER), ("sha1", SHA1_OF_HEADER))
        if (digest := head.signatures.text(tag)) is not None
    }
    if digest_required and not promised:
        raise TrustError("the package has no digest of its header")
    for name, digest in promised.items():
        if hashlib.new(name, head.header.raw, usedforsecurity=False).hexdigest() != digest:
            raise TrustError(f"the header is not the one of its {name} digest")
    if nevra is not None and head.nevra != nevra:
        raise TrustError(f"the package is {head.nevra!r}, not {nevra!r}")


def _has_payload_digest(head: PackageHead) -> bool:
    return PAYLOAD_DIGEST in head.header.entries


def _check_payload(file: BinaryIO, head: PackageHead) -> None:
    number = head.header.integer(PAYLOAD_DIGEST_ALGORITHM)
    algorithm = _PAYLOAD_HASHES.get(8 if number is None else number)
    if algorithm is None:
        raise TrustError(f"the payload's digest is of algorithm {number}, which is not accepted")
    hasher = hashlib.new(algorithm)
    for chunk in _from(file, head.payload_at):
        hasher.update(chunk)
    if head.header.texts(PAYLOAD_DIGEST)[:1] != (hasher.hexdigest(),):
        raise TrustError(f"the payload is not the one of its {algorithm} digest")


def _header_signatures(head: PackageHead) -> list[bytes]:
    blobs = [blob for tag in (RSA_OF_HEADER, DSA_OF_HEADER) if (blob := head.signatures.blob(tag))]
    try:
        return blobs + [base64.b64decode(text, validate=True) for text in head.signatures.texts(OPENPGP_OF_HEADER)]
    except (binascii.Error, ValueError) as error:
        raise TrustError(f"a signature of the header does not decode: {error}") from error


def _signatures(blobs: Iterable[bytes], findings: list[str]) -> Iterator[Signature]:
    """The signatures that can be read; why the others cannot goes to `findings`."""
    bodies: list[bytes] = []
    for blob in blobs:
        try:
            bodies += [body for kind, body in packets(blob) if kind == SIGNATURE]
        except MalformedError as error:
            findings.append(str(error))
    if len(bodies) > _MAX_SIGNATURES:
        findings.append(f"{len(bodies)} signatures; only the first {_MAX_SIGNATURES} are looked at")
    for body in bodies[:_MAX_SIGNATURES]:
        try:
            signature = parse_signature(body)
        except (MalformedError, UnsupportedError) as error:
            findings.append(str(error))
        else:
            yield signature


def _from(file: BinaryIO, offset: int) -> Iterator[bytes]:
    file.seek(offset)
    while chunk := file.read(_CHUNK):
        yield chunk


def _read(data: bytes) -> tuple[list[SigningKey], str]:
    """The keys of a key file that may sign, and what it has in words."""
    try:
        found = read_key_file(data)
    except (MalformedError, UnsupportedError) as error:
        return [], f"the key file cannot be read: {error}"
    holds = [f"the key file has {certificate.fingerprint}" for certificate in found.certificates]
    holds += [f"the key file has what cannot be used: {reason}" for reason in found.unread]
    signing = [key for certificate in found.certificates for key in certificate.signing]
    return signing, "; ".join(holds) or "the key file has no key"
