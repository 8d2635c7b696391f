"""Why packages are on a medium, and the bytes that would go if one of them, or a group, went.

What goes with a package is what is there because of it alone: every way from what is asked for to it leads through
that package (it dominates the other, as graph theory says). Nothing is resolved again: where a resolver would take
another package instead, that is not foreseen. So nothing that is counted would be wanted by what stays.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich import filesize

from isobuilder.lock import Lock
from isobuilder.resolve.solve import Needs
from isobuilder.seeing.facts import MediumFacts

_ROOT: Final = ""
_BY: Final = re.compile(r"(?:required by|recommended by|supplements) (\S+)")


@dataclass(frozen=True)
class Reasons:
    """Bytes by NEVRA, and the needs of each role. A lock has one reason for each package: then it is no `graph`."""

    sizes: Mapping[str, int]
    needs: Mapping[str, Needs]
    is_graph: bool


@dataclass(frozen=True)
class Cost:
    """What would go: the bytes of the thing itself (0 for what is asked for, such as a group), and of all that goes."""

    name: str
    own: int
    goes: int
    packages: int

    def line(self) -> str:
        """For people."""
        own = f"itself {filesize.decimal(self.own)}, " if self.own else ""
        return f"{filesize.decimal(self.goes):>10}  {self.name}  ({own}packages: {self.packages})"


def reasons_of_medium(found: MediumFacts) -> Reasons:
    """Those of a finished medium, as its repositories and kickstarts say."""
    return Reasons({held.listing.nevra: held.listing.size for held in found.packages}, found.needs, is_graph=True)


def reasons_of_lock(lock: Lock) -> Reasons:
    """Those that a lock names: of several reasons for a package it has the one that is nearest to what is asked for."""
    roles = dict.fromkeys(role for package in lock.packages for role in package.roles)
    needs = {}
    for role in roles:
        why = {p.nevra: p.reasons[p.roles.index(role)] for p in lock.packages if role in p.roles}
        named = {p.name: p.nevra for p in lock.packages if role in p.roles}
        asked: dict[str, set[str]] = {}
        wants: dict[str, set[str]] = {nevra: set() for nevra in why}
        for nevra, reason in why.items():
            by = _BY.fullmatch(reason)
            if by and by[1] in named:
                wants[named[by[1]]].add(nevra)
            else:
                asked.setdefault(reason, set()).add(nevra)
        needs[role] = Needs(
            {reason: frozenset(found) for reason, found in asked.items()},
            {nevra: frozenset(found) for nevra, found in wants.items()},
        )
    sizes = {package.nevra: package.file.size for package in lock.packages if package.roles}
    return Reasons(sizes, needs, is_graph=False)


def chain(needs: Needs, nevra: str) -> list[str]:
    """The shortest way from what a role asks for to a package, both of them in it; empty where there is none."""
    before: dict[str, str] = {}
    todo: deque[str] = deque()
    for reason, packages in needs.asked.items():
        for package in sorted(packages):
            if package not in before:
                before[package] = reason
                todo.append(package)
    while todo:
        package = todo.popleft()
        if package == nevra:
            break
        for other in sorted(needs.wants.get(package, ())):
            if other not in before:
                before[other] = package
                todo.append(other)
    way = [nevra] if nevra in before else []
    while way and way[-1] in needs.wants and way[-1] in before:
        way.append(before[way[-1]])
    return way[::-1]


def costs(reasons: Reasons, role: str | None = None) -> list[Cost]:
    """What would go with each package and each thing that is asked for, most bytes first; None: of the whole medium."""
    chosen = [needs for name, needs in reasons.needs.items() if role in (None, name)]
    following: dict[str, set[str]] = {_ROOT: set()}
    for needs in chosen:
        for reason, packages in needs.asked.items():
            following[_ROOT].add(f"@{reason}")
            following.setdefault(f"@{reason}", set()).update(packages)
        for package, others in needs.wants.items():
            following.setdefault(package, set()).update(others)
    order = _postorder(following)
    reached = set(order)
    # What nothing known wants stays.
    following[_ROOT].update(node for node in following if node not in reached)
    order = _postorder(following)
    above = _dominators(following, order)
    goes = {node: reasons.sizes.get(node, 0) for node in order}
    count = {node: int(not node.startswith("@") and node != _ROOT) for node in order}
    for node in order:
        if node != _ROOT:
            goes[above[node]] += goes[node]
            count[above[node]] += count[node]
    found = [
        Cost(node.removeprefix("@"), reasons.sizes.get(node, 0), goes[node], count[node])
        for node in order
        if node != _ROOT and count[node]
    ]
    return sorted(found, key=lambda cost: (-cost.goes, cost.name))


def _postorder(following: Mapping[str, Iterable[str]]) -> list[str]:
    """All that is reached from the root, each after what follows it, the root last."""
    order: list[str] = []
    seen = {_ROOT}
    stack: list[tuple[str, Iterator[str]]] = [(_ROOT, iter(sorted(following[_ROOT])))]
    while stack:
        node, rest = stack[-1]
        other = next((each for each in rest if each not in seen), None)
        if other is None:
            stack.pop()
            order.append(node)
        else:
            seen.add(other)
            stack.append((other, iter(sorted(following.get(other, ())))))
    return order


def _dominators(following: Mapping[str, Iterable[str]], order: Sequence[str]) -> dict[str, str]:
    """The nearest node above each that every way to it leads through (Cooper, Harvey and Kennedy, 2001).

    `order` is that of `_postorder`, in which a dominator comes after what it dominates.
    """
    number = {node: place for place, node in enumerate(order)}
    leading: dict[str, list[str]] = {node: [] for node in order}
    for node in order:
        for other in following.get(node, ()):
            leading[other].append(node)
    above = {_ROOT: _ROOT}
    is_changed = True
    while is_changed:
        is_changed = False
        for node in reversed(order[:-1]):
            known = [each for each in leading[node] if each in above]
            new = known[0]
            for each in known[1:]:
                one, other = each, new
                while one != other:
                    while number[one] < number[other]:
                        one = above[one]
                    while number[other] < number[one]:
                        other = above[other]
                new = one
            if above.get(node) != new:
                above[node] = new
                is_changed = True
    return above
