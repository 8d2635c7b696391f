"""RSA keys of SSH, as far as answers need them: a private key in one word, its file, and the public key in it.

The word is the PKCS #1 structure (RFC 8017, A.1.2) in Base64, without the lines around it: every OpenSSH reads that, as
that of CentOS 6 does.
"""

import base64
import binascii
import struct
from typing import List, Tuple

_LINE = 64
_SEQUENCE, _INTEGER = 0x30, 0x02
_LEAST_BITS = 2048


def public_key(word: str) -> str:
    """The public key in a private one, as a line of authorized_keys has it. Raises ValueError for no RSA key."""
    try:
        data = base64.b64decode(word, validate=True)
    except binascii.Error as error:
        raise ValueError("not Base64") from error
    kind, body, rest = _element(data)
    if kind != _SEQUENCE or rest:
        raise ValueError("no key")
    numbers: List[bytes] = []
    while body:
        kind, number, body = _element(body)
        if kind != _INTEGER or not number:
            raise ValueError("no RSA key")
        numbers.append(number)
    # Version, modulus, exponents, primes and what makes it fast.
    if len(numbers) != 9 or int.from_bytes(numbers[0], "big") != 0:
        raise ValueError("no RSA key")
    modulus, exponent, first, second = (int.from_bytes(numbers[place], "big") for place in (1, 2, 4, 5))
    if first * second != modulus or modulus.bit_length() < _LEAST_BITS:
        raise ValueError("no RSA key of 2048 bits or more")
    parts = (b"ssh-rsa", _number(exponent), _number(modulus))
    blob = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return "ssh-rsa {}".format(base64.b64encode(blob).decode("ascii"))


def private_file(word: str) -> str:
    """The text of the file that ssh reads."""
    lines = [word[start : start + _LINE] for start in range(0, len(word), _LINE)]
    return "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----", ""])


def _number(value: int) -> bytes:
    """An integer as SSH has it (RFC 4251, mpint): with a zero in front where its first bit would be a sign."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _element(data: bytes) -> Tuple[int, bytes, bytes]:
    """The first element of DER: its kind, what is in it, and what follows it. Raises ValueError."""
    if len(data) < 2:
        raise ValueError("cut short")
    kind, length, start = data[0], data[1], 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or len(data) < 2 + size:
            raise ValueError("cut short")
        length, start = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
    if len(data) < start + length:
        raise ValueError("cut short")
    return kind, data[start : start + length], data[start + length :]
