"""The media checksum that the installer's media check compares: the sum that isomd5sum implants, made while bytes pass.

The sum is an MD5 over the volume without its last blocks, with the field that holds the result read as spaces. It
stands in the volume descriptor's application-use field as text, with twenty sums of prefixes beside it, so that the
check can stop early at a damaged place. Everything here gives the same bytes as `implantisomd5`.

This module reads and writes no file.
"""

import hashlib
from collections.abc import Iterator

from isobuilder.iso.units import BLOCK

FIELD_OFFSET = 16 * BLOCK + 883
FIELD_SIZE = 512

_SKIPPED_BLOCKS = 15
_READ_SIZE = 16 * BLOCK
FRAGMENTS = 20
_DIGITS_PER_FRAGMENT = 3


class MediaSum:
    """The checksum of one volume, fed its bytes from the first to the last in pieces of any size.

    `volume_size` is the size that the volume descriptor states, in bytes: a multiple of 2048, and at least 1 MiB, so
    that a fragment is longer than what the tool reads at a time. The field at `FIELD_OFFSET` must hold spaces in what
    is fed. The last `skipped` blocks are left out of the sum.
    """

    def __init__(self, volume_size: int, *, skipped: int = _SKIPPED_BLOCKS) -> None:
        if volume_size % BLOCK or volume_size < 1 << 20:
            raise ValueError(f"a volume of {volume_size} bytes")
        self._skipped = skipped
        self._left = volume_size - skipped * BLOCK
        self._marks = list(_fragment_ends(self._left))[::-1]
        self._fed = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._fragments = ""

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; what lies behind the summed part is passed over."""
        rest = memoryview(data)[: self._left]
        self._left -= len(rest)
        while self._marks and self._marks[-1] <= self._fed + len(rest):
            cut = self._marks.pop() - self._fed
            self._feed(rest[:cut])
            rest = rest[cut:]
            self._fragments += _fragment_digits(self._md5.digest())
        self._feed(rest)

    def hexdigest(self) -> str:
        """The sum itself, as 32 hexadecimal digits; every summed byte must have been fed."""
        if self._left:
            raise ValueError(f"{self._left} bytes of the volume are missing")
        return self._md5.hexdigest()

    @property
    def fragments(self) -> str:
        """The sums of the twenty prefixes that are complete so far, three digits each."""
        return self._fragments

    def field(self) -> bytes:
        """What belongs at `FIELD_OFFSET`: 512 bytes. The status says that no one has vouched for the medium."""
        text = (
            f"ISO MD5SUM = {self.hexdigest()};SKIPSECTORS = {self._skipped};RHLISOSTATUS=0;"
            f"FRAGMENT SUMS = {self._fragments};FRAGMENT COUNT = {FRAGMENTS};"
            "THIS IS NOT THE SAME AS RUNNING MD5SUM ON THIS ISO!!"
        )
        return text.encode("ascii").ljust(FIELD_SIZE)

    def _feed(self, piece: memoryview) -> None:
        self._md5.update(piece)
        self._fed += len(piece)


def _fragment_ends(total: int) -> Iterator[int]:
    """Offsets at which a prefix is summed up.

    The tool reads 32 KiB at a time and takes a sum behind the first such piece that begins in a new fragment.
    """
    fragment = total // (FRAGMENTS + 1)
    for number in range(1, total // fragment + 1):
        start = -(-number * fragment // _READ_SIZE) * _READ_SIZE
        if start < total:
            yield min(start + _READ_SIZE, total)


def _fragment_digits(digest: bytes) -> str:
    """The first digit of each of three bytes, printed without a leading zero, as the tool does."""
    return "".join(f"{byte:x}"[0] for byte in digest[:_DIGITS_PER_FRAGMENT])
