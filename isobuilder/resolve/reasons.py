"""Why each package that libsolv chose is there, in the words of a lock.

libsolv knows which rule decided, which is often one that it made up on the way. What people want to know stands in the
packages: the shortest way from something that was asked for, by what is required if there is one, or else by what is
recommended.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import solv

from isobuilder.resolve.pool import PackagePool

# The names in a dependency like "(a >= 2 if (libb.so.1()(64bit) or c))"; what is no name, nobody provides.
_LEAF: Final = re.compile(r"[^\s()]+(?:\([^\s()]*\))*")
# Those too that a package needs before its installation (pre).
_ALL: Final = 0


def why_chosen(pool: PackagePool, chosen: Sequence[Any], asked: Mapping[int, str]) -> dict[int, str]:
    """The reason of each of the `chosen` packages, by libsolv's number; `asked` has those of what was asked for."""
    found = {each.id: asked[each.id] for each in chosen if each.id in asked}
    graph = _Graph(pool, chosen)
    new = [each for each in chosen if each.id in found]
    while new:
        graph.follow(found, new)
        if len(found) == len(chosen):
            break
        new = next((more for step in graph.steps if (more := list(step(found)))), [])
    return {each.id: found.get(each.id, "what else is chosen needs it") for each in chosen}


def wants(pool: PackagePool, chosen: Sequence[Any]) -> dict[int, frozenset[int]]:
    """What each of the `chosen` packages wants of the others, by libsolv's number: requires, recommends, brings along.

    Where several of them provide what is wanted, all of them count.
    """
    graph = _Graph(pool, chosen)
    found: dict[int, set[int]] = {each.id: set() for each in chosen}
    for each in chosen:
        found[each.id] |= {other.id for other in graph.wanted(each) if other.id != each.id}
        for beside in graph.beside(each):
            found[beside.id].add(each.id)
    return {number: frozenset(others) for number, others in found.items()}


class _Graph:
    """What the chosen packages want of each other."""

    def __init__(self, pool: PackagePool, chosen: Sequence[Any]) -> None:
        self._pool = pool.solv
        self._chosen = {each.id: each for each in chosen}
        self._known: dict[int, tuple[Any, ...]] = {}
        self.steps: Sequence[Callable[[dict[int, str]], Iterator[Any]]] = (
            self._recommended,
            self._supplementing,
            self._parts,
        )

    def follow(self, found: dict[int, str], roots: Iterable[Any]) -> None:
        """Add to `found` what the `roots` require, and what that requires, nearest first."""
        todo = list(roots)
        for package in todo:
            for dependency in package.lookup_deparray(solv.SOLVABLE_REQUIRES, _ALL):
                todo += self._add(found, self._providers(dependency), f"required by {package.name}")

    def wanted(self, package: Any) -> Iterator[Any]:
        """What `package` requires or recommends, and what conditions in that name."""
        for dependency in package.lookup_deparray(solv.SOLVABLE_REQUIRES, _ALL):
            yield from self._providers(dependency) or self._leaves(dependency)
        for dependency in package.lookup_deparray(solv.SOLVABLE_RECOMMENDS):
            yield from self._providers(dependency)

    def beside(self, package: Any) -> Iterator[Any]:
        """What `package` supplements, so that it comes along."""
        for dependency in package.lookup_deparray(solv.SOLVABLE_SUPPLEMENTS):
            yield from (other for other in self._leaves(dependency) if other.id != package.id)

    def _recommended(self, found: dict[int, str]) -> Iterator[Any]:
        for package in self._those(found):
            for dependency in package.lookup_deparray(solv.SOLVABLE_RECOMMENDS):
                yield from self._add(found, self._providers(dependency), f"recommended by {package.name}")

    def _supplementing(self, found: dict[int, str]) -> Iterator[Any]:
        for package in self._others(found):
            for dependency in package.lookup_deparray(solv.SOLVABLE_SUPPLEMENTS):
                beside = next((each for each in self._leaves(dependency) if each.id in found), None)
                if beside:
                    yield from self._add(found, [package], f"supplements {beside.name}")

    def _parts(self, found: dict[int, str]) -> Iterator[Any]:
        """What conditions in a requirement name, for what stands behind `else`."""
        for package in self._those(found):
            for dependency in package.lookup_deparray(solv.SOLVABLE_REQUIRES, _ALL):
                yield from self._add(found, self._leaves(dependency), f"required by {package.name}")

    def _those(self, found: Mapping[int, str]) -> list[Any]:
        return [self._chosen[number] for number in found]

    def _others(self, found: Mapping[int, str]) -> list[Any]:
        return [each for each in self._chosen.values() if each.id not in found]

    def _add(self, found: dict[int, str], packages: Iterable[Any], reason: str) -> list[Any]:
        new = [each for each in packages if each.id not in found]
        found.update((each.id, reason) for each in new)
        return new

    def _leaves(self, dependency: Any) -> Iterator[Any]:
        for name in _LEAF.findall(str(dependency)):
            if leaf := self._pool.Dep(name, 0):
                yield from self._providers(leaf)

    def _providers(self, dependency: Any) -> tuple[Any, ...]:
        if dependency.id not in self._known:
            providers = self._pool.whatprovides(dependency)
            self._known[dependency.id] = tuple(each for each in providers if each.id in self._chosen)
        return self._known[dependency.id]
