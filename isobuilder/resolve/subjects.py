"""What a word means among packages, as dnf takes it: its "subjects".

A word is tried as NEVRA, name.arch, name, NEVR and name-version, each part of which may be a glob, then as a glob of
the whole NEVRA; it means what it finds first (libdnf 0.69, nevra.cpp and Query::filterSubject). Provided names and
files are looked up elsewhere, where this finds nothing.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate
from typing import Any, Final

import solv

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
_GLOB: Final = re.compile(r"[*?[]")
_NO_NEVRA: Final = frozenset("(/=<> ")
_EXACTLY: Final = solv.Selection.SELECTION_NAME | solv.Selection.SELECTION_WITH_ALL
_SOURCES: Final = frozenset({"src", "nosrc"})


def is_glob(word: str) -> bool:
    """Whether dnf takes `word` as a glob."""
    return bool(_GLOB.search(word))


@dataclass(frozen=True)
class Subject:
    """The packages that a word means, libsolv's solvables in the order of their numbers.

    `said` has the parts of the NEVRA that the word gives (name, epoch, version, release, arch); nothing where it is a
    glob of the whole. For one that gives a name alone, packages which replace (obsolete) these would do as well.
    """

    packages: Sequence[Any] = ()
    said: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_name(self) -> bool:
        """Whether the word is a name and no more."""
        return self.said.keys() == {"name"}


class Subjects:
    """The packages of all repositories by name, and what words mean among them. Sources of packages are no packages.

    `pool` is libsolv's, with what packages provide made. Packages are looked up in it as they are asked for: to touch
    each of 60,000 costs more time than all else.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._known: dict[str, list[Any]] = {}

    @functools.cached_property
    def by_name(self) -> Mapping[str, Sequence[Any]]:
        """All of them, for globs and for what was meant by a mistyped name."""
        found: dict[str, list[Any]] = {}
        for solvable in self._pool.solvables:
            if solvable.arch not in _SOURCES:
                found.setdefault(solvable.name, []).append(solvable)
        return found

    def called(self, name: str) -> Sequence[Any]:
        """The packages of exactly that name."""
        if name not in self._known:
            is_known = name and self._pool.str2id(name, False)  # noqa: FBT003 - no keywords
            found = self._pool.select(name, _EXACTLY).solvables() if is_known else ()
            self._known[name] = [each for each in found if each.arch not in _SOURCES and each.name == name]
        return self._known[name]

    def of(self, word: str, seen: Callable[[Any], bool] = lambda _solvable: True) -> Subject:
        """What `word` means where only packages are known that are `seen`."""
        for form in _FORMS:
            if match := form.fullmatch(word):
                # What is not said, anything matches.
                said = {part: text for part, text in match.groupdict().items() if text is not None}
                found = [each for each in self._like(said) if seen(each)]
                if found:
                    return Subject(found, said)
        if _NO_NEVRA.isdisjoint(word) and is_glob(word):
            epoch = ":" in word
            every = (each for solvables in self.by_name.values() for each in solvables)
            return Subject(_sorted(each for each in every if fnmatchcase(_nevra(each, epoch), word) and seen(each)))
        return Subject()

    def _like(self, said: Mapping[str, str]) -> list[Any]:
        rest = {part: text for part, text in said.items() if part != "name"}
        named = (each for name in self._names(said["name"]) for each in self.called(name))
        return _sorted(each for each in named if not rest or _matches(rest, _parts(each)))

    def _names(self, name: str) -> Iterator[str]:
        if is_glob(name):
            matches = re.compile(translate(name)).match
            yield from (each for each in self.by_name if matches(each))
        else:
            yield name


def _sorted(solvables: Iterable[Any]) -> list[Any]:
    return sorted(solvables, key=lambda solvable: int(solvable.id))


def _matches(said: Mapping[str, str], parts: Mapping[str, str]) -> bool:
    return all(
        int(parts[part]) == int(text) if part == "epoch" else fnmatchcase(parts[part], text)
        for part, text in said.items()
    )


def _parts(solvable: Any) -> dict[str, str]:
    epoch, _, rest = solvable.evr.rpartition(":")
    version, _, release = rest.rpartition("-")
    return {"epoch": epoch or "0", "version": version, "release": release, "arch": solvable.arch}


def _nevra(solvable: Any, epoch: bool) -> str:  # noqa: FBT001 - one of two forms
    evr = solvable.evr if ":" in solvable.evr or not epoch else f"0:{solvable.evr}"
    return f"{solvable.name}-{evr}.{solvable.arch}"
