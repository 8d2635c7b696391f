"""Who vouches for bytes: pinned OpenPGP keys, and detached signatures by them.

The keyring holds keys whose fingerprints the release or the definition pins, and no others. Everything else that
could be said about trust (web of trust, key servers, revokers by proxy) is no business of an installer's builder.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from isobuilder.errors import TrustError
from isobuilder.trust.certificates import SigningKey, read_key_file
from isobuilder.trust.openpgp import (
    SIGNATURE,
    Hasher,
    MalformedError,
    Signature,
    UnsupportedError,
    dearmor,
    hash_all,
    packets,
    parse_signature,
    verify,
)

_BINARY: Final = 0x00
# Each signature costs a pass over the data; two keys that sign in turn are known, no more.
_MAX_SIGNATURES: Final = 8


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
        findings: list[str] = []
        for found in _signatures(blobs, findings):
            try:
                return self.signer(found, hash_all(found, [data])).fingerprint
            except (TrustError, UnsupportedError) as error:
                findings.append(str(error))
        raise TrustError("no good signature by a pinned key", details=findings or ["there is no signature"])

    def pins(self, signature: Signature) -> bool:
        """Whether the signature names a pinned key as its maker."""
        return any(signature.names(key.key) for key in self._keys)

    def signer(self, signature: Signature, hasher: Hasher) -> Signer:
        """Who made `signature` over the bytes that `hasher`, one of its own, has been fed.

        Raises TrustError when that is no pinned key, or it may not be believed, and UnsupportedError.
        """
        if signature.kind != _BINARY:
            raise TrustError(f"a signature of type {signature.kind:#04x}, which does not sign a file as it is")
        if signature.hash_name == "sha1" and not self._sha1:
            raise TrustError(f"a signature by {signature.issuer} over SHA-1, which proves nothing any more")
        if signature.expires:
            raise TrustError(f"a signature by {signature.issuer} that is meant to expire")
        if signature.unsigned:
            raise TrustError(f"a signature by {signature.issuer} with parts that it does not sign")
        if not self.pins(signature):
            raise TrustError(f"signed by {signature.issuer or 'nobody it names'}, which is not pinned")
        for key in self._keys:
            if signature.names(key.key) and verify(key.key, signature, hasher):
                if objection := key.objection(signature.created):
                    raise TrustError(objection)
                return Signer(key.primary, key.key.fingerprint, signature.algorithm_name, signature.hash_name)
        raise TrustError(f"the signature by {signature.issuer} is not of these bytes")


def pinned_in(data: bytes, pins: Iterable[str]) -> tuple[str, ...]:
    """Those of the fingerprints `pins` whose keys the key file `data` has, in a form that can be used."""
    found = {key.primary for key in _read(data)[0]}
    return tuple(pin for pin in pins if pin in found)


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
