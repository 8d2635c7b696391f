"""What is so damaged that a check cannot go on: it ends the part in which it is, and nothing else."""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Unreadable

T = TypeVar("T")

DAMAGED = Kind(
    "part-unreadable",
    "error",
    "a part of the medium is so damaged that a check could not go on",
    "Copy or download the image again, or make it anew.",
)
KINDS = (DAMAGED,)
# What readers raise for bytes that cannot be.
_DAMAGE = (ArithmeticError, LookupError, RecursionError, ValueError, struct.error, Unreadable)


def guarded(part: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings of one check; what is so damaged that it cannot go on ends it, and nothing else."""
    try:
        yield from findings
    except _DAMAGE as error:
        yield _damaged(part, error)


def tried(part: str, check: Callable[[], T], otherwise: T, findings: list[Finding]) -> T:
    """What a check comes to, or `otherwise` and a finding where damage ended it."""
    try:
        return check()
    except _DAMAGE as error:
        findings.append(_damaged(part, error))
        return otherwise


def _damaged(part: str, error: Exception) -> Finding:
    return DAMAGED.at(part, " ".join(f"{type(error).__name__}: {error}".split()))
