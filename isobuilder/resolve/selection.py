"""What a role asks for: the words and groups of its kickstart, looked up in repositories and comps.

How it fits together is libsolv's business, in solve.py. The rules here are those of the installer's dnf.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isobuilder.kickstart.request import PackageRequest, Wanted, WantedGroup
from isobuilder.repository.comps import Comps, Environment, Group
from isobuilder.resolve.modular import artifacts
from isobuilder.resolve.modulechoice import ProfilePackage
from isobuilder.resolve.modules import RoleModules
from isobuilder.resolve.pool import PackagePool
from isobuilder.schema import did_you_mean

INSTALLER = "added by the installer"
SCREENS = "may be chosen at the installer's screens"


@dataclass(frozen=True)
class RoleRequest:
    """What one role asks for; `path` is its kickstart's, for messages."""

    role: str
    request: PackageRequest
    path: str

    def where(self, line: int) -> str:
        """A place in the kickstart, for a message. What the installer adds by itself has line 0."""
        return f"{self.path}:{line}" if line else f"{self.path} ({INSTALLER}, as the release file says)"


@dataclass(frozen=True)
class Ask:
    """One package that has to be installed: any of `candidates`, libsolv's solvables; `word` is what it was asked by.

    With `beside`, it is only wanted where the package of that name is installed.
    """

    word: str
    reason: str
    where: str
    candidates: tuple[Any, ...]
    beside: str = ""


@dataclass(frozen=True)
class Selection:
    """All that a role asks for; `mistakes` and `notes` are for people to read.

    `left_out` are the packages it rules out, by libsolv's number, and the line that does so; `hidden` those that are
    not to be seen for its modules.
    """

    role: RoleRequest
    asks: tuple[Ask, ...]
    left_out: Mapping[int, Wanted]
    hidden: frozenset[int]
    mistakes: tuple[str, ...]
    notes: tuple[str, ...]


def select(
    pool: PackagePool, comps: Comps, role: RoleRequest, modules: RoleModules, added: Mapping[str, str]
) -> Selection:
    """Look up all that `role` asks for; `added` are names that the installer brings in, each with the reason.

    Mistakes are names that nothing is called by; a member of a group that no repository has is a note, as with dnf.
    """
    return _Selector(pool, comps, role, modules).select(added)


@dataclass
class _Selector:
    pool: PackagePool
    comps: Comps
    role: RoleRequest
    modules: RoleModules
    mistakes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool.hide(self.modules.before)
        excluded = self.role.request.excluded_packages
        self.excluded_by = {
            solvable.id: wanted for wanted in reversed(excluded) for solvable in self.pool.names_like(wanted.text)
        }
        # As in dnf, what is left out is not there at all when words are looked up.
        self.pool.hide(self.modules.before | self.excluded_by.keys())

    def select(self, added: Mapping[str, str]) -> Selection:
        choice = self.modules.choice
        self.mistakes += [f"{self._place(line)}: {mistake}" for line, mistake in choice.mistakes]
        self.notes += [f"role {self.role.role}: {note}" for note in choice.notes]
        named, brought = list(self._named()), list(self._added(added))
        self.pool.hide(self.modules.hidden | self.excluded_by.keys())
        asks = (*named, *self._of_modules(), *self._grouped(), *brought)
        mistakes, notes = tuple(self.mistakes), tuple(self.notes)
        return Selection(self.role, asks, self.excluded_by, self.modules.hidden, mistakes, notes)

    def _place(self, line: int) -> str:
        return self.role.where(line) if line else f"role {self.role.role}"

    def _named(self) -> Iterator[Ask]:
        for wanted in self.role.request.packages:
            where = self.role.where(wanted.line)
            yield from self._ask(wanted.text, f"named at {where}", where)

    def _added(self, names: Mapping[str, str]) -> Iterator[Ask]:
        for name, reason in names.items():
            yield from self._ask(name, reason, self.role.where(0))

    def _ask(self, word: str, reason: str, where: str) -> Iterator[Ask]:
        found = self.pool.named(word)
        if not found:
            self.mistakes.append(f"{where}: {self._unknown(word)}")
        for candidates in found:
            yield Ask(word, reason, where, tuple(candidates))

    def _of_modules(self) -> Iterator[Ask]:
        """What profiles ask for: out of the streams that were asked for or a repository of hotfixes, else whatever."""
        known = {found.id for build in self.modules.choice.asked for found in artifacts(self.pool, build.artifacts)}
        for package in dict.fromkeys(self.modules.choice.packages):
            seen = self.pool.called(package.name)
            own = [found for found in seen if found.id in known or self.pool.hotfix(found)]
            yield from self._of_module(package, own or seen)

    def _of_module(self, package: ProfilePackage, candidates: Sequence[Any]) -> Iterator[Ask]:
        where = self.role.where(package.line)
        if candidates:
            yield Ask(package.name, package.reason, where, tuple(candidates))
        elif exclusion := self._exclusion(self.pool.every(package.name)):
            said = f"is left out again by -{exclusion.text} in line {exclusion.line}"
            self.mistakes.append(f"{where}: {package.name} of {package.reason} {said}")
        else:
            self.mistakes.append(f"{where}: {package.reason}: {self._unknown(package.name)}")

    def _grouped(self) -> Iterator[Ask]:
        skipped = self._skipped()
        environment = self.role.request.environment
        wanted = [*self.role.request.groups, *([environment] if environment else [])]
        for line in (line for line in wanted if line not in self.modules.choice.taken):
            where = self.role.where(line.line)
            for group in self._groups(line, where, skipped):
                yield from self._members(group, line.depth, where)

    def _skipped(self) -> set[str]:
        """The groups that lines leave out, by id: those that they mean, and those of environments that they mean."""
        meant = [self.comps.matching(excluded.id) for excluded in self.role.request.excluded_groups]
        named = {group.id for groups, _ in meant for group in groups}
        return named | {name for _, environments in meant for each in environments for name in each.groups}

    def _groups(self, wanted: WantedGroup, where: str, skipped: Collection[str]) -> Iterator[Group]:
        """The groups that one line of the kickstart stands for, and those of environments that it stands for."""
        groups, environments = self.comps.matching(wanted.id)
        unknown = f"{where}: there is no group @{wanted.id}{did_you_mean(wanted.id, self.comps.groups)}"
        if wanted is self.role.request.environment:
            groups, environments = (), self.comps.environment(wanted.id)
            known = did_you_mean(wanted.id, self.comps.environments)
            unknown = f"{where}: there is no environment @^{wanted.id}{known}"
        if not groups and not environments:
            self.mistakes.append(unknown)
        every = (*groups, *(group for each in environments for group in self._of_environment(each, wanted.depth)))
        yield from (group for group in dict.fromkeys(every) if group.id not in skipped)

    def _of_environment(self, environment: Environment, depth: str) -> Iterator[Group]:
        for name in (*environment.groups, *(environment.options if depth == "optional" else ())):
            if group := self.comps.groups.get(name):
                yield group
            else:
                self.notes.append(f"environment {environment.id}: no repository has its group {name}")

    def _members(self, group: Group, depth: str, where: str) -> Iterator[Ask]:
        missing = []
        for member in group.wanted(depth):
            if candidates := self.pool.member(member.name, native=member.native):
                reason = f"group {group.id}" + (f", beside {member.requires}" if member.requires else "")
                yield Ask(member.name, reason, where, tuple(candidates), member.requires)
            elif not self._exclusion(self.pool.every(member.name)):
                missing.append(f"{member.name}.{self.pool.arch}" if member.native else member.name)
        if missing:
            self.notes.append(f"comps lists in group {group.id} what no repository has: {', '.join(missing)}")

    def _exclusion(self, packages: Iterable[Any]) -> Wanted | None:
        """The line that leaves out one of `packages`."""
        return next((self.excluded_by[each.id] for each in packages if each.id in self.excluded_by), None)

    def _unknown(self, word: str) -> str:
        if word.startswith("/"):
            return f"no package has the file {word}"
        if self.pool.is_excluded(word):
            return f"{word} is left out by the excludes or includes of its repository"
        called = self.pool.every(word)
        if exclusion := self._exclusion(called):
            return f"{word} is left out again by -{exclusion.text} in line {exclusion.line}"
        if any(found.id in self.modules.before | self.modules.hidden for found in called):
            return f"every package called {word!r} is hidden by module streams; `module` enables others"
        return f"no package is called {word!r}{did_you_mean(word, self.pool.names())}"
