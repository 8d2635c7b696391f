"""OpenPGP as bytes: armor, packets, public keys and signatures become values, and one signature is checked by one key.

RFC 4880 (and 9580 where it says the same) is the source of every number here. Which keys are trusted, and for what, is
decided elsewhere (`certificates.py`, `signatures.py`). Only what can verify a package is read: keys of version 4,
signatures of version 3 and 4, RSA, DSA and Ed25519. All else raises UnsupportedError, and what is broken
MalformedError; callers turn both into a TrustError.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, padding, rsa, utils

# More than any key or signature file in use, with room for a keyring of dozens.
MAX_BLOB: Final = 1 << 20

SIGNATURE: Final = 2
PUBLIC_KEY: Final = 6
USER_ID: Final = 13
PUBLIC_SUBKEY: Final = 14

# MD5 (1) and RIPEMD-160 (3) are left out: nothing that they sign is worth accepting.
_HASHES: Final[Mapping[int, hashes.HashAlgorithm]] = {
    2: hashes.SHA1(),  # noqa: S303 - of keys' signatures on themselves, and of data where a repository has no better
    8: hashes.SHA256(),
    9: hashes.SHA384(),
    10: hashes.SHA512(),
    11: hashes.SHA224(),
}
_RSA: Final = (1, 3)
_DSA: Final = 17
_EDDSA: Final = 22
_ED25519_OID: Final = bytes.fromhex("2b06010401da470f01")
_MIN_BITS: Final = 1024
_MAX_BITS: Final = 16384

_CREATED: Final = 2
_SIGNATURE_EXPIRES: Final = 3
_KEY_EXPIRES: Final = 9
_ISSUER: Final = 16
_KEY_FLAGS: Final = 27
_REVOCATION_REASON: Final = 29
_EMBEDDED_SIGNATURE: Final = 32
_ISSUER_FINGERPRINT: Final = 33
# Subpackets that are acted upon, and those that change nothing about who signed what (preferences, notes for people).
_UNDERSTOOD: Final = frozenset(
    {_CREATED, _SIGNATURE_EXPIRES, _KEY_EXPIRES, _ISSUER, _KEY_FLAGS, _REVOCATION_REASON, _EMBEDDED_SIGNATURE}
    | {_ISSUER_FINGERPRINT, 4, 7, 11, 12, 21, 22, 23, 24, 25, 26, 28, 30, 34}
)

_ARMOR = re.compile(
    rb"^-----BEGIN PGP (?P<kind>[A-Z ]+)-----[ \t]*\r?\n"
    rb"(?:[^\r\n:]+:[^\r\n]*\r?\n)*"
    rb"[ \t]*\r?\n"
    rb"(?P<body>[A-Za-z0-9+/=\s]*?)"
    rb"^(?:=[A-Za-z0-9+/]{4}\s*)?"
    rb"^-----END PGP (?P=kind)-----",
    re.MULTILINE,
)


class MalformedError(ValueError):
    """Bytes that are not the OpenPGP that they should be."""


class UnsupportedError(ValueError):
    """OpenPGP that is well formed, of a version or algorithm that is not accepted here."""


class Hasher(Protocol):
    """What hashlib's objects are."""

    def update(self, data: bytes, /) -> None: ...
    def copy(self) -> "Hasher": ...
    def digest(self) -> bytes: ...


@dataclass(frozen=True)
class PublicKey:
    """A key of version 4. `fingerprint` is upper-case hex, `created` seconds since 1970, `body` the packet's."""

    fingerprint: str
    created: int
    algorithm: int
    body: bytes
    numbers: rsa.RSAPublicKey | dsa.DSAPublicKey | ed25519.Ed25519PublicKey

    @property
    def hashed(self) -> bytes:
        """What a signature over this key is made over (RFC 4880, 5.2.4)."""
        return b"\x99" + len(self.body).to_bytes(2, "big") + self.body


@dataclass(frozen=True)
class Signature:
    """A signature of version 3 or 4.

    `kind` is the type (0x00 over data, 0x10-0x13 over a user id, 0x18 over a subkey...); `issuer` the key id or the
    fingerprint that it names, upper-case hex, or empty; `created` seconds since 1970. `trailer` is hashed after the
    content; `start` is the first two bytes of the hash. `subpackets` are the hashed ones; nothing in the others is
    signed, and `unsigned` are the types of those that do not just name the issuer.
    """

    kind: int
    algorithm: int
    hash_number: int
    created: int
    issuer: str
    trailer: bytes
    start: bytes
    numbers: tuple[bytes, ...]
    subpackets: Mapping[int, bytes]
    unsigned: frozenset[int]
    embedded: bytes | None

    @property
    def hash_name(self) -> str:
        return _HASHES[self.hash_number].name

    @property
    def algorithm_name(self) -> str:
        return {_DSA: "dsa", _EDDSA: "ed25519"}.get(self.algorithm, "rsa")

    def number(self, subpacket: int) -> int | None:
        """A hashed subpacket as a number, or None when it is not there."""
        value = self.subpackets.get(subpacket)
        return None if value is None else int.from_bytes(value, "big")

    def names(self, key: PublicKey) -> bool:
        """Whether the signature says that `key` made it."""
        return bool(self.issuer) and key.fingerprint.endswith(self.issuer)

    @property
    def expires(self) -> bool:
        return bool(self.number(_SIGNATURE_EXPIRES))

    @property
    def key_lifetime(self) -> int | None:
        """Seconds from the key's making to its end, when this self-signature sets an end."""
        return self.number(_KEY_EXPIRES) or None

    @property
    def may_sign(self) -> bool | None:
        """Whether the key flags let the key sign data; None when there are no flags."""
        flags = self.subpackets.get(_KEY_FLAGS)
        return None if flags is None else bool(flags[:1] and flags[0] & 0x02)

    @property
    def retires(self) -> bool:
        """Whether this revocation says that the key was superseded or retired, so that what it signed before stands."""
        reason = self.subpackets.get(_REVOCATION_REASON, b"")[:1]
        return reason in {b"\x01", b"\x03"}

    def hasher(self) -> Hasher:
        return hashlib.new(self.hash_name)


def dearmor(data: bytes) -> list[bytes]:
    """The binary blocks in `data`: each armored block, or `data` itself when it is binary. Raises MalformedError."""
    if len(data) > MAX_BLOB:
        raise MalformedError(f"{len(data)} bytes are more than any key or signature has")
    if data[:1] and data[0] & 0x80:
        return [data]
    try:
        blocks = [base64.b64decode(re.sub(rb"\s", b"", found["body"])) for found in _ARMOR.finditer(data)]
    except binascii.Error as error:
        raise MalformedError(f"the armor does not decode: {error}") from error
    if not blocks:
        raise MalformedError("neither armored nor binary OpenPGP")
    return blocks


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The packets of a binary block: type and body. Raises MalformedError."""
    reader = _Reader(data)
    while not reader.at_end:
        first = reader.byte()
        if not first & 0x80:
            raise MalformedError("a packet does not begin with a packet's first byte")
        if first & 0x40:
            kind, length = first & 0x3F, reader.length(partial=True)
        else:
            kind, size = (first >> 2) & 0x0F, first & 3
            length = reader.left if size == 3 else reader.integer(1 << size)
        yield kind, reader.take(length)


def parse_key(body: bytes) -> PublicKey:
    """A public key or subkey packet. Raises MalformedError or UnsupportedError."""
    reader = _Reader(body)
    if (version := reader.byte()) != 4:
        raise UnsupportedError(f"a key of version {version}")
    created = reader.integer(4)
    algorithm = reader.byte()
    try:
        numbers = _key_numbers(reader, algorithm)
    except ValueError as error:
        if isinstance(error, MalformedError | UnsupportedError):
            raise
        raise MalformedError(f"numbers that are no key: {error}") from error
    if not reader.at_end:
        raise MalformedError("bytes after the end of a key")
    prefix = b"\x99" + len(body).to_bytes(2, "big")
    # A fingerprint of version 4 is SHA-1 by definition; whoever pins one decides that this is enough.
    fingerprint = hashlib.sha1(prefix + body, usedforsecurity=False).hexdigest().upper()
    return PublicKey(fingerprint, created, algorithm, body, numbers)


def parse_signature(body: bytes) -> Signature:
    """A signature packet. Raises MalformedError or UnsupportedError."""
    reader = _Reader(body)
    version = reader.byte()
    if version == 3:
        return _signature_v3(reader)
    if version == 4:
        return _signature_v4(reader)
    raise UnsupportedError(f"a signature of version {version}")


def verify(key: PublicKey, signature: Signature, hasher: Hasher) -> bool:
    """Whether `key` made `signature` over what `hasher` has been fed. `hasher` can be used further.

    Raises UnsupportedError where the host's own policy forbids the algorithm.
    """
    hasher = hasher.copy()
    hasher.update(signature.trailer)
    digest = hasher.digest()
    if digest[:2] != signature.start or signature.algorithm != key.algorithm:
        return False
    algorithm = utils.Prehashed(_HASHES[signature.hash_number])
    try:
        match key.numbers:
            case rsa.RSAPublicKey() as numbers:
                (value,) = signature.numbers
                numbers.verify(value.rjust((numbers.key_size + 7) // 8, b"\0"), digest, padding.PKCS1v15(), algorithm)
            case dsa.DSAPublicKey() as numbers:
                r, s = (int.from_bytes(value, "big") for value in signature.numbers)
                numbers.verify(utils.encode_dss_signature(r, s), digest, algorithm)
            case ed25519.Ed25519PublicKey() as numbers:
                numbers.verify(b"".join(value.rjust(32, b"\0") for value in signature.numbers), digest)
    except (InvalidSignature, ValueError):
        return False
    except UnsupportedAlgorithm as error:
        raise UnsupportedError(f"this machine's cryptography does not allow it: {error}") from error
    return True


def hash_all(signature: Signature, content: Iterable[bytes]) -> Hasher:
    """`content` through the hash that `signature` is made with."""
    hasher = signature.hasher()
    for part in content:
        hasher.update(part)
    return hasher


class _Reader:
    """Bytes taken from the front; MalformedError where there are not enough."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    @property
    def at_end(self) -> bool:
        return self.left == 0

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise MalformedError(f"cut short: {count} bytes announced, {self.left} there")
        self._at += count
        return self._data[self._at - count : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def mpi(self) -> bytes:
        """A multiprecision integer, big-endian, as many bytes as its bit count says.

        The count leaves leading zeros out, or as some libraries write it, counts whole bytes.
        """
        bits = self.integer(2)
        data = self.take((bits + 7) // 8)
        if bits % 8 and int.from_bytes(data, "big").bit_length() != bits:
            raise MalformedError(f"a number that has not the {bits} bits it announces")
        return data

    def length(self, *, partial: bool) -> int:
        """A length as packets and subpackets write it; in packets, 224 to 254 begin a partial one."""
        first = self.byte()
        if first < 192:
            return first
        if first == 255:
            return self.integer(4)
        if partial and first >= 224:
            raise MalformedError("a packet in parts: keys and signatures have none")
        return ((first - 192) << 8) + self.byte() + 192


def _key_numbers(reader: _Reader, algorithm: int) -> rsa.RSAPublicKey | dsa.DSAPublicKey | ed25519.Ed25519PublicKey:
    def number() -> int:
        return int.from_bytes(reader.mpi(), "big")

    if algorithm in _RSA:
        modulus, exponent = number(), number()
        _check_bits("RSA", modulus)
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    if algorithm == _DSA:
        prime, order, generator, public = number(), number(), number(), number()
        _check_bits("DSA", prime)
        return dsa.DSAPublicNumbers(public, dsa.DSAParameterNumbers(prime, order, generator)).public_key()
    if algorithm == _EDDSA:
        if reader.take(reader.byte()) != _ED25519_OID:
            raise UnsupportedError("an EdDSA key that is not on the curve Ed25519")
        point = reader.mpi()
        if len(point) != 33 or point[0] != 0x40:
            raise MalformedError("an Ed25519 key whose point is not 32 bytes")
        return ed25519.Ed25519PublicKey.from_public_bytes(point[1:])
    raise UnsupportedError(f"a key of algorithm {algorithm}")


def _check_bits(name: str, value: int) -> None:
    if not _MIN_BITS <= value.bit_length() <= _MAX_BITS:
        raise UnsupportedError(f"{name} of {value.bit_length()} bits; {_MIN_BITS} to {_MAX_BITS} are accepted")


def _signature_v3(reader: _Reader) -> Signature:
    if reader.byte() != 5:
        raise MalformedError("a signature of version 3 whose hashed part is not 5 bytes")
    trailer = reader.take(5)
    issuer = reader.take(8).hex().upper()
    algorithm, hash_number = reader.byte(), reader.byte()
    start, numbers = _signature_numbers(reader, algorithm, hash_number)
    return Signature(
        kind=trailer[0],
        algorithm=algorithm,
        hash_number=hash_number,
        created=int.from_bytes(trailer[1:], "big"),
        issuer=issuer,
        trailer=trailer,
        start=start,
        numbers=numbers,
        subpackets={},
        unsigned=frozenset(),
        embedded=None,
    )


def _signature_v4(reader: _Reader) -> Signature:
    head = reader.take(5)
    kind, algorithm, hash_number = head[:3]
    hashed = reader.take(int.from_bytes(head[3:], "big"))
    not_hashed = list(_subpackets(reader.take(reader.integer(2)), may_be_critical=False))
    subpackets = dict(_subpackets(hashed))
    start, numbers = _signature_numbers(reader, algorithm, hash_number)
    if len(subpackets.get(_CREATED, b"")) != 4:
        raise MalformedError("a signature that does not say when it was made")
    signed = b"\x04" + head + hashed
    # An embedded signature proves itself, so it may stand in the part that is not hashed.
    embedded = (dict(not_hashed) | subpackets).get(_EMBEDDED_SIGNATURE)
    return Signature(
        kind=kind,
        algorithm=algorithm,
        hash_number=hash_number,
        created=int.from_bytes(subpackets[_CREATED], "big"),
        issuer=_issuer([*subpackets.items(), *not_hashed]),
        trailer=signed + b"\x04\xff" + len(signed).to_bytes(4, "big"),
        start=start,
        numbers=numbers,
        subpackets=subpackets,
        unsigned=frozenset(kind for kind, _ in not_hashed) - {_ISSUER, _ISSUER_FINGERPRINT},
        embedded=embedded,
    )


def _issuer(subpackets: Iterable[tuple[int, bytes]]) -> str:
    """Who is named as the maker, by fingerprint if possible. It proves itself, but must not be said in two ways."""
    issuer = ""
    for kind, body in subpackets:
        if kind in {_ISSUER, _ISSUER_FINGERPRINT}:
            if len(body) != 8 if kind == _ISSUER else len(body) != 21 or body[0] != 4:
                raise UnsupportedError("a signature by a key that is not of version 4")
            named = body[-20:].hex().upper()
            if not named.endswith(issuer) and not issuer.endswith(named):
                raise MalformedError("a signature that names two issuers")
            issuer = max(issuer, named, key=len)
    return issuer


def _signature_numbers(reader: _Reader, algorithm: int, hash_number: int) -> tuple[bytes, tuple[bytes, ...]]:
    """The end that both versions share: the first two bytes of the hash, and the numbers of the algorithm."""
    if hash_number not in _HASHES:
        raise UnsupportedError(f"a signature with hash algorithm {hash_number}")
    start = reader.take(2)
    count = 1 if algorithm in _RSA else 2 if algorithm in {_DSA, _EDDSA} else None
    if count is None:
        raise UnsupportedError(f"a signature of algorithm {algorithm}")
    numbers = tuple(reader.mpi() for _ in range(count))
    if not reader.at_end:
        raise MalformedError("bytes after the end of a signature")
    return start, numbers


def _subpackets(area: bytes, *, may_be_critical: bool = True) -> Iterator[tuple[int, bytes]]:
    reader = _Reader(area)
    while not reader.at_end:
        body = reader.take(reader.length(partial=False))
        if not body:
            raise MalformedError("a subpacket without a type")
        kind = body[0] & 0x7F
        if body[0] & 0x80 and not (may_be_critical and kind in _UNDERSTOOD):
            raise UnsupportedError(f"a signature with a critical part of type {kind}")
        yield kind, body[1:]
