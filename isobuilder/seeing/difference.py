"""What differs between two media, or what they are to be made of: a model for people and for scripts.

Whether that is wanted, others say.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from typing import Final, Literal, get_args

import solv
from rich import filesize

What = Literal["added", "removed", "upgraded", "downgraded", "changed"]
# In which counts are given.
ORDER: Final[tuple[What, ...]] = get_args(What)


@dataclass(frozen=True)
class Change:
    """One difference. `kind` is what changed: package, boot, key, module, repository, input, tool, setting.

    Of media, `kind` may also be starts, file, role, menu, kernel or kickstart.

    `old` and `new` are the values in words, empty where there is none; `roles` are those that have the package, before
    or after.
    """

    kind: str
    name: str
    what: What
    old: str = ""
    new: str = ""
    roles: tuple[str, ...] = ()

    def __str__(self) -> str:
        values = f"{self.old or 'none'} -> {self.new or 'none'}" if self.what == "changed" else self._moved()
        return f"{self.kind} {self.name}: {values}" + (f" ({', '.join(self.roles)})" if self.roles else "")

    def _moved(self) -> str:
        if self.old and self.new:
            return f"{self.old} -> {self.new}, {self.what}"
        return f"{self.old or self.new}, {self.what}" if self.old or self.new else self.what


@dataclass(frozen=True)
class Difference:
    """All changes, and the bytes before and after of what is `sized`; `notes` say what could not be compared."""

    changes: tuple[Change, ...]
    old_size: int
    new_size: int
    notes: tuple[str, ...] = ()
    what: str = "the locks"
    sized: str = "packages and boot files"

    def lines(self) -> Iterator[str]:
        """For people: a line for each change, and one for what they come to."""
        if not self.changes:
            yield f"{self.what} are the same"
            yield from self.notes
            return
        yield from map(str, self.changes)
        of_packages = Counter(change.what for change in self.changes if change.kind == "package")
        yield f"packages: {_in_order(of_packages) or 'the same'}"
        yield from self._of_roles()
        yield f"size of {self.sized}: {filesize.decimal(self.old_size)} -> {filesize.decimal(self.new_size)}"
        yield from self.notes

    def _of_roles(self) -> Iterator[str]:
        """How many packages of each role come, go, and move; one for several roles counts in each."""
        counts: dict[str, Counter[What]] = {}
        for change in self.changes:
            for role in change.roles if change.kind == "package" else ():
                counts.setdefault(role, Counter())[change.what] += 1
        for role, found in sorted(counts.items()):
            yield f"  {role}: {_in_order(found)}"

    def json(self) -> str:
        """For scripts."""
        return json.dumps(
            {
                "same": not self.changes,
                "old-size": self.old_size,
                "new-size": self.new_size,
                "notes": list(self.notes),
                "changes": [asdict(change) for change in self.changes],
            },
            indent=1,
        )


def _in_order(counts: Counter[What]) -> str:
    return ", ".join(f"{counts[what]} {what}" for what in ORDER if counts[what])


@dataclass(frozen=True)
class Held:
    """A package to compare, with the digest of its bytes; `roles` and `repository` may be left out of it (empty)."""

    name: str
    evr: str
    arch: str
    digest: str
    size: int
    roles: tuple[str, ...] = ()
    repository: str = ""


def changed(
    kind: str, old: Mapping[str, str], new: Mapping[str, str], show: Callable[[str], str] = str
) -> Iterator[Change]:
    """The changes from one set of values by name to another, each shown by `show` ("" for what is only other)."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None or after is None:
            what: What = "added" if before is None else "removed"
            yield Change(kind, name, what, show(before or ""), show(after or ""))
        elif show(before) or show(after):
            yield Change(kind, name, "changed", show(before), show(after))
        else:
            yield Change(kind, name, "changed", "one", "another")


def changed_roles(old: Sequence[Held], new: Sequence[Held]) -> Iterator[Change]:
    """The roles that come or go, with how many packages they have."""
    before, after = _packages_of_roles(old), _packages_of_roles(new)
    gone, come = (
        {role: f"packages: {count}" for role, count in side.items() if role not in other}
        for side, other in ((before, after), (after, before))
    )
    yield from changed("role", gone, come)


def changed_packages(old: Sequence[Held], new: Sequence[Held]) -> Iterator[Change]:
    """The packages that come, go, and move up or down in rpm's order, by name and architecture.

    Which roles have a package is compared for roles that both sides have: what comes with a role is no change of each
    package.
    """
    before, after = _by_name(old), _by_name(new)
    roles = _packages_of_roles(old).keys() & _packages_of_roles(new).keys()
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, {}), after.get(name, {})
        gone = [evr for evr in was if evr not in now]
        come = [evr for evr in now if evr not in was]
        if len(gone) == len(come) == 1:
            what: What = "upgraded" if _is_older(gone[0], come[0]) else "downgraded"
            yield Change("package", name, what, gone[0], come[0], _roles(was[gone[0]], now[come[0]]))
        else:
            yield from (Change("package", name, "removed", old=evr, roles=was[evr].roles) for evr in gone)
            yield from (Change("package", name, "added", new=evr, roles=now[evr].roles) for evr in come)
        for evr in sorted(was.keys() & now.keys()):
            one, other = was[evr], now[evr]
            yield from changed("package", _details(name, one, other, roles), _details(name, other, one, roles))


def _is_older(one: str, other: str) -> bool:
    """Whether rpm holds a version (0:5.1-1) for older than another."""
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    repository = pool.add_repo("versions")
    solvables = [repository.add_solvable(), repository.add_solvable()]
    for solvable, evr in zip(solvables, (one, other), strict=True):
        solvable.evr = evr
    return bool(solvables[0].evrcmp(solvables[1]) < 0)


def _by_name(packages: Sequence[Held]) -> dict[str, dict[str, Held]]:
    """The packages by name and architecture (bash.x86_64), then by epoch, version and release (0:5.1-2)."""
    found: dict[str, dict[str, Held]] = {}
    for package in packages:
        found.setdefault(f"{package.name}.{package.arch}", {})[package.evr] = package
    return found


def _packages_of_roles(packages: Sequence[Held]) -> Counter[str]:
    return Counter(role for package in packages for role in package.roles)


def _details(name: str, package: Held, other: Held, roles: AbstractSet[str]) -> dict[str, str]:
    """What else may be other in `other`, of the same version; digests of two kinds cannot be compared."""
    of_both = ", ".join(role for role in package.roles if role in roles)
    details = {f"{name} roles": of_both, f"{name} repository": package.repository}
    is_comparable = package.digest.partition(" ")[0] == other.digest.partition(" ")[0]
    return details | ({f"{name} bytes": package.digest} if is_comparable else {})


def _roles(*packages: Held) -> tuple[str, ...]:
    return tuple(dict.fromkeys(role for package in packages for role in package.roles))
