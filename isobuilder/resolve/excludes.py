"""What a repository's `excludes` and `includes` mean: dnf's excludepkgs and includepkgs.

As in dnf, a pattern is looked up among the packages of all repositories, and what it means there counts for this one.
Provided names and files mean nothing here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from isobuilder.resolve.subjects import Subjects


@dataclass(frozen=True)
class Filter:
    """What of one repository is to be seen: nothing that `excludes` match, and only what `includes` do, if any are."""

    repository: str
    excludes: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()


def unseen(filters: Iterable[Filter], subjects: Subjects) -> frozenset[int]:
    """Which of the packages of all repositories, by libsolv's number, the filters leave out."""
    out: set[int] = set()
    for one in filters:
        if one.includes:
            out |= _own(one, subjects) - _matches(one.includes, one.repository, subjects)
        out |= _matches(one.excludes, one.repository, subjects)
    return frozenset(out)


def _own(one: Filter, subjects: Subjects) -> set[int]:
    every = (solvable for solvables in subjects.by_name.values() for solvable in solvables)
    return {solvable.id for solvable in every if solvable.repo.name == one.repository}


def _matches(patterns: Iterable[str], repository: str, subjects: Subjects) -> set[int]:
    found = (solvable for pattern in patterns for solvable in subjects.of(pattern).packages)
    return {solvable.id for solvable in found if solvable.repo.name == repository}
