"""Who signed an EFI program: Authenticode signatures, as Secure Boot looks at them (UEFI 2.10, 32.2.4).

Whether the bytes are the signed ones and the signature that of the certificate beside it is checked; whether that
certificate is to be trusted is not, since each machine decides that for itself. So this tells names, no judgement.

Facts: Windows Authenticode Portable Executable Signature Format; RFC 5652.
"""

import hashlib
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import asn1crypto.x509
from asn1crypto import cms, core
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from isobuilder.verify.pe import Pe

_PKCS_SIGNED_DATA: Final = 0x0002
_INDIRECT_DATA: Final = "1.3.6.1.4.1.311.2.1.4"
_MOST_SIGNATURES: Final = 16
# What asn1crypto and cryptography raise for what is no such structure, or one of another kind.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    LookupError,
    RecursionError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
)
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - what the file has is what firmware looks at
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@dataclass(frozen=True)
class Signature:
    """One signature: the signer's certificate by its subject and who issued that; `fault` says why it does not hold."""

    subject: str
    issuer: str
    fault: str | None = None


def signatures(data: bytes, pe: Pe) -> tuple[Signature, ...]:
    """Every signature of the PE image `data`, in their order; none when it is not signed."""
    found = []
    digests = _Digests(data, pe)
    for number, table in enumerate(_tables(data, pe), 1):
        if number > _MOST_SIGNATURES:
            break
        try:
            with warnings.catch_warnings():
                # Certificates of old are not always as the standard has them; that is no news to anybody here.
                warnings.simplefilter("ignore")
                found.append(_signature(digests, table))
        except _UNREADABLE as error:
            reason = str(error).partition("\n")[0]
            found.append(Signature("nobody", "nobody", f"signature {number} cannot be read: {reason}"))
    return tuple(found)


def _tables(data: bytes, pe: Pe) -> Iterator[bytes]:
    """The contents of each entry of the certificate table that is a PKCS#7 signature."""
    place, size = pe.certificates
    end = place + size
    while place + 8 <= end:
        length, _, kind = struct.unpack_from("<IHH", data, place)
        if length < 8 or place + length > end:
            yield b""
            return
        if kind == _PKCS_SIGNED_DATA:
            yield data[place + 8 : place + length]
        place += -(-length // 8) * 8


def _signature(digests: "_Digests", table: bytes) -> Signature:
    signed: Any = cms.ContentInfo.load(table)["content"]
    if not isinstance(signed, cms.SignedData) or len(signed["signer_infos"]) != 1:
        raise ValueError("it is no PKCS#7 signature of one signer")
    signer = signed["signer_infos"][0]
    certificate = _certificate(signed, signer)
    subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
    return Signature(subject, issuer, _fault(digests, signed, signer, certificate))


def _certificate(signed: Any, signer: Any) -> x509.Certificate:
    """The certificate of the signer, out of those that come with the signature."""
    wanted = signer["sid"].chosen
    for choice in signed["certificates"]:
        certificate = choice.chosen
        if not isinstance(certificate, asn1crypto.x509.Certificate):
            continue
        if certificate.serial_number == wanted["serial_number"].native and certificate.issuer == wanted["issuer"]:
            return x509.load_der_x509_certificate(certificate.dump())
    raise ValueError("the signer's certificate is not with it")


def _fault(digests: "_Digests", signed: Any, signer: Any, certificate: x509.Certificate) -> str | None:
    content = signed["encap_content_info"]
    algorithm = signer["digest_algorithm"]["algorithm"].native
    if content["content_type"].dotted != _INDIRECT_DATA:
        return "it signs something that is no EFI program"
    if algorithm not in _HASHES:
        return f"its digest, {algorithm}, is none that firmware knows"
    indirect = content["content"].parsed
    if not isinstance(indirect, core.Sequence):
        raise TypeError("what it signs is no sequence")
    digest_info = core.Sequence.load(indirect[1].dump())
    digest: bytes = digest_info[1].native
    kind: str = cms.DigestAlgorithm.load(digest_info[0].dump())["algorithm"].native
    if kind not in _HASHES:
        return f"its digest, {kind}, is none that firmware knows"
    if digest not in digests.of(kind):
        return "the program is not the one that was signed: its digest is another"
    attributes = signer["signed_attrs"]
    told = [a["values"][0].native for a in attributes if a["type"].native == "message_digest"]
    if told != [hashlib.new(algorithm, indirect.contents).digest()]:
        return "its digest is not the one that was signed"
    # Signed is the set of attributes as such, not with the tag that it has inside of the signature (RFC 5652, 5.4).
    message = b"\x31" + attributes.dump()[1:]
    return (
        None
        if _is_signed(message, signer["signature"].native, certificate, _HASHES[algorithm])
        else ("it was not made by the key of its certificate")
    )


def _is_signed(message: bytes, signature: bytes, certificate: x509.Certificate, digest: hashes.HashAlgorithm) -> bool:
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(digest))
        else:
            return False
    except InvalidSignature:
        return False
    return True


class _Digests:
    """The digests over an image, by each of the two ways in which signers come to one.

    The specification has the headers, each section and what follows the last one; some take all bytes in their order,
    gaps between sections among them. Both leave out the checksum, the certificate table and where that stands.
    """

    def __init__(self, data: bytes, pe: Pe) -> None:
        end = pe.certificates[0]
        # Authenticode wants the length to be a multiple of 8, and signers fill up with zeros.
        self._data = data[:end] + bytes(-end % 8)
        self._pe = pe
        self._known: dict[str, tuple[bytes, bytes]] = {}

    def of(self, kind: str) -> tuple[bytes, bytes]:
        """Both, by the hash algorithm `kind`; each is made once, however many signatures there are."""
        if kind not in self._known:
            self._known[kind] = self._made(kind)
        return self._known[kind]

    def _made(self, kind: str) -> tuple[bytes, bytes]:
        data, pe = self._data, self._pe
        flat, parts = hashlib.new(kind), hashlib.new(kind)
        self._update(flat, len(data))
        self._update(parts, pe.headers_size)
        covered = pe.headers_size
        for section in sorted(pe.sections, key=lambda section: section.place):
            parts.update(data[section.place : section.place + section.size])
            covered += section.size
        parts.update(data[covered:])
        return flat.digest(), parts.digest()

    def _update(self, digest: Any, end: int) -> None:
        """From the start to `end`, without what is left out."""
        holes = [(self._pe.checksum_at, 4)]
        if self._pe.directory_at is not None:
            holes.append((self._pe.directory_at, 8))
        start = 0
        for place, size in holes:
            digest.update(self._data[start:place])
            start = place + size
        digest.update(self._data[start:end])
