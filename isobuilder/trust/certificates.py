"""Key files become keys that may sign data: only what the primary key itself vouches for counts.

A subkey needs a binding signature (0x18) by the primary key and a back-signature (0x19) of its own. Validity has
ends: a key's lifetime, by its newest self-signature, and its revocation. Signatures of third parties are not looked
at, designated revokers neither. Self-signatures over SHA-1 are accepted: keys of CentOS 6 to 9 have no other, the
fingerprint is pinned anyway, and to abuse one the owner of the key must have signed an attacker's bytes as a key.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from isobuilder.trust.openpgp import (
    PUBLIC_KEY,
    PUBLIC_SUBKEY,
    SIGNATURE,
    USER_ID,
    MalformedError,
    PublicKey,
    Signature,
    UnsupportedError,
    dearmor,
    hash_all,
    packets,
    parse_key,
    parse_signature,
    verify,
)

_CERTIFICATIONS: Final = frozenset({0x10, 0x11, 0x12, 0x13})
_SUBKEY_BINDING: Final = 0x18
_BACK_SIGNATURE: Final = 0x19
_DIRECT: Final = 0x1F
_KEY_REVOCATION: Final = 0x20
_SUBKEY_REVOCATION: Final = 0x28

_NEVER: Final = 1 << 64


@dataclass(frozen=True)
class SigningKey:
    """A key that may sign data, a primary key or a subkey of `primary` (a fingerprint).

    It may from `key.created` until before `end` (seconds since 1970), when it "expired" or "was revoked".
    """

    key: PublicKey
    primary: str
    end: int
    why_ended: str

    def objection(self, created: int) -> str | None:
        """What speaks against a signature made at `created`, or None.

        As rpm and gpg see it, a key that has expired still vouches for what it signed before.
        """
        if created < self.key.created:
            return f"the signature is older than the key {self.key.fingerprint}"
        if created >= self.end:
            return f"the key {self.key.fingerprint} {self.why_ended} before the signature was made"
        return None


@dataclass(frozen=True)
class Certificate:
    """One primary key of a key file: its fingerprint and the keys of it that may sign data."""

    fingerprint: str
    signing: tuple[SigningKey, ...]


@dataclass(frozen=True)
class KeyFile:
    """What a key file holds; `unread` says why a key in it could not be read, one line each."""

    certificates: tuple[Certificate, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True)
class _Component:
    """A key or user id as it stands in the file, and the signatures that follow it."""

    kind: int
    body: bytes
    signatures: list[Signature] = field(default_factory=list)


def read_key_file(data: bytes) -> KeyFile:
    """Read a key file, armored or binary, of one key or many. Raises MalformedError when it is none at all."""
    certificates: list[Certificate] = []
    unread: list[str] = []
    for block in dearmor(data):
        for components in _by_primary_key(block):
            try:
                certificates.append(_certificate(components))
            except (MalformedError, UnsupportedError) as error:
                unread.append(str(error))
    return KeyFile(tuple(certificates), tuple(unread))


def _by_primary_key(block: bytes) -> Iterator[list[_Component]]:
    components: list[_Component] = []
    for kind, body in packets(block):
        if kind == PUBLIC_KEY:
            if components:
                yield components
            components = [_Component(kind, body)]
        elif components and kind == SIGNATURE:
            try:
                components[-1].signatures.append(parse_signature(body))
            except (MalformedError, UnsupportedError):
                # Somebody's signature that says nothing to us; a needed one will be missed where it is needed.
                continue
        elif components:
            components.append(_Component(kind, body))
    if components:
        yield components


def _certificate(components: Sequence[_Component]) -> Certificate:
    primary = parse_key(components[0].body)
    own = [s for s in _valid(components[0], primary, primary.hashed) if s.kind == _DIRECT]
    for component in components:
        if component.kind == USER_ID:
            hashed = primary.hashed + b"\xb4" + len(component.body).to_bytes(4, "big") + component.body
            own += [s for s in _valid(component, primary, hashed) if s.kind in _CERTIFICATIONS]
    if not own:
        raise UnsupportedError(f"the key {primary.fingerprint} is not signed by itself")
    newest = max(own, key=lambda signature: signature.created)
    revocations = [s for s in _valid(components[0], primary, primary.hashed) if s.kind == _KEY_REVOCATION]
    end, why = _end(primary, newest, revocations)
    signing = [SigningKey(primary, primary.fingerprint, end, why)] if newest.may_sign is not False else []
    signing += [
        subkey
        for component in components
        if component.kind == PUBLIC_SUBKEY and (subkey := _subkey(component, primary, end, why))
    ]
    return Certificate(primary.fingerprint, tuple(signing))


def _subkey(component: _Component, primary: PublicKey, primary_end: int, why: str) -> SigningKey | None:
    """The subkey, when it is bound to `primary` and may sign data."""
    try:
        key = parse_key(component.body)
    except (MalformedError, UnsupportedError):
        # An encryption subkey, mostly; what cannot be read cannot sign.
        return None
    hashed = primary.hashed + key.hashed
    own = list(_valid(component, primary, hashed))
    bindings = [s for s in own if s.kind == _SUBKEY_BINDING]
    if not bindings:
        return None
    newest = max(bindings, key=lambda signature: signature.created)
    if not newest.may_sign or not _signed_back(newest, key, hashed):
        return None
    end, why_subkey = _end(key, newest, [s for s in own if s.kind == _SUBKEY_REVOCATION])
    return SigningKey(key, primary.fingerprint, *min((end, why_subkey), (primary_end, why)))


def _signed_back(binding: Signature, key: PublicKey, hashed: bytes) -> bool:
    """Whether the subkey agrees to be one: else anybody could bind somebody's signing key to a key of their own."""
    try:
        back = parse_signature(binding.embedded or b"")
    except (MalformedError, UnsupportedError):
        return False
    return back.kind == _BACK_SIGNATURE and verify(key, back, hash_all(back, [hashed]))


def _valid(component: _Component, primary: PublicKey, hashed: bytes) -> Iterator[Signature]:
    """The signatures on `component` that `primary` did make."""
    for signature in component.signatures:
        if signature.names(primary) and verify(primary, signature, hash_all(signature, [hashed])):
            yield signature


def _end(key: PublicKey, newest: Signature, revocations: Sequence[Signature]) -> tuple[int, str]:
    ends = [(_NEVER, "never ends")]
    if newest.key_lifetime is not None:
        ends.append((key.created + newest.key_lifetime, "expired"))
    # A revocation without a reason, or for a stolen key, undoes the past as well: the thief writes any date.
    ends += [(revocation.created if revocation.retires else 0, "was revoked") for revocation in revocations]
    return min(ends)
