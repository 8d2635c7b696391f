"""What a repository's `excludes` and `includes` mean: dnf's excludepkgs and includepkgs.

As in libdnf (hawkey's subjects), a pattern is tried as NEVRA, name.arch, name, NEVR and name-version, over all
repositories, and means what it finds first. Provided names and files mean nothing here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

_NAME: Final = r"(?P<name>[^:(/=<> ]+)"
_EVR: Final = r"(?:(?P<epoch>[0-9]+):)?(?P<version>[^-:(/=<> ]+)"
_RELEASE: Final = r"(?P<release>[^-:(/=<> ]+)"
_ARCH: Final = r"(?P<arch>[^-:.(/=<> ]+)"
_FORMS: Final = tuple(
    re.compile(form)
    for form in (
        rf"{_NAME}-{_EVR}-{_RELEASE}\.{_ARCH}",
        rf"{_NAME}\.{_ARCH}",
        _NAME,
        rf"{_NAME}-{_EVR}-{_RELEASE}",
        rf"{_NAME}-{_EVR}",
    )
)


@dataclass(frozen=True)
class Filter:
    """What of one repository is to be seen: nothing that `excludes` match, and only what `includes` do, if any are."""

    repository: str
    excludes: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()


def unseen(filters: Iterable[Filter], solvables: Iterable[Any]) -> frozenset[int]:
    """Which of the packages of all repositories, by libsolv's number, the filters leave out."""
    wanted = [one for one in filters if one.excludes or one.includes]
    if not wanted:
        return frozenset()
    parts = {solvable.id: _parts(solvable) for solvable in solvables}
    out: set[int] = set()
    for one in wanted:
        own = {number for number, fields in parts.items() if fields["repository"] == one.repository}
        if one.includes:
            out |= own.difference(*(_matches(pattern, parts) for pattern in one.includes))
        out |= own.intersection({number for pattern in one.excludes for number in _matches(pattern, parts)})
    return frozenset(out)


def _parts(solvable: Any) -> dict[str, str]:
    epoch, _, rest = solvable.evr.rpartition(":")
    version, _, release = rest.rpartition("-")
    return {
        "repository": solvable.repo.name,
        "name": solvable.name,
        "epoch": epoch or "0",
        "version": version,
        "release": release,
        "arch": solvable.arch,
    }


def _matches(pattern: str, packages: Mapping[int, Mapping[str, str]]) -> set[int]:
    for form in _FORMS:
        # What is not said, anything matches.
        if found := form.fullmatch(pattern):
            said = {field: text for field, text in found.groupdict().items() if text is not None}
            matches = {
                number
                for number, fields in packages.items()
                if all(fnmatchcase(fields[field], text) for field, text in said.items())
            }
            if matches:
                return matches
    return set()
