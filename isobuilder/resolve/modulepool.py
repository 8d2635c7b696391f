"""The module streams of several repositories in a libsolv pool of their own, and which of them are active together.

A stream is there as libdnf has it (ModulePackage.cpp and ModulePackageContainer.cpp of 0.69): a package called
NAME:STREAM:CONTEXT that provides module(NAME) and module(NAME:STREAM) and conflicts with every other stream of its
module. What a kickstart asks for is not known here, nor are packages.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import solv

from isobuilder.repository.modules import ModuleIndex, ModuleStream, merge_defaults

# The module that stands for the release; no repository has it.
PLATFORM = "platform"

_WORD = re.compile(r"[][*?!A-Za-z0-9+._-]*")


@dataclass(frozen=True)
class ModuleSpec:
    """NAME[:STREAM[:VERSION[:CONTEXT]]][::ARCH][/PROFILE], each of which may be a glob; "" for what is not said."""

    name: str
    stream: str = ""
    version: str = ""
    context: str = ""
    arch: str = ""
    profile: str = ""

    @classmethod
    def parse(cls, word: str) -> Self | None:
        """`word` as a kickstart has it behind the @, or None where it cannot mean a module."""
        place, _, profile = word.partition("/")
        head, _, arch = place.partition("::")
        parts = head.split(":")
        if len(parts) == 5 and not arch:
            arch = parts.pop()
        words = [*parts, arch, profile]
        if not parts[0] or len(parts) > 4 or not all(_WORD.fullmatch(each) for each in words):
            return None
        name, stream, version, context = [*parts, "", "", ""][:4]
        return cls(name, stream, version, context, arch, profile)

    def matches(self, stream: ModuleStream) -> bool:
        """Whether it means that build of a stream."""
        pairs = (
            (f"{self.name}:{self.stream or '*'}", stream.id),
            (self.version or "*", str(stream.version)),
            (self.context or "*", stream.context),
            (self.arch or "*", stream.arch),
        )
        return all(fnmatch.fnmatchcase(value, pattern) for pattern, value in pairs)


@dataclass(frozen=True)
class Activation:
    """The builds of streams that are active together; `problems` are why others could not be, a line for each fact.

    `newest` are the newest of them, for each stream, what it requires, and architecture.
    """

    streams: tuple[ModuleStream, ...]
    newest: tuple[ModuleStream, ...]
    problems: tuple[str, ...] = ()

    def needed_by(self, streams: Sequence[ModuleStream]) -> Iterator[tuple[ModuleStream, ModuleStream]]:
        """The active streams that `streams` require, and what those require, each with one that requires it."""
        todo, seen = list(streams), {stream.name for stream in streams}
        while todo:
            stream = todo.pop(0)
            required = {name for name, _ in stream.requires} - seen
            for found in self.streams:
                if found.name in required:
                    todo.append(found)
                    yield found, stream
            seen |= required


class ModulePool:
    """All module streams of the repositories, on a system of `arch` and of that `platform` ("el8"; None: not known)."""

    def __init__(self, indexes: Sequence[ModuleIndex], *, arch: str, platform: str | None) -> None:
        # In the order in which libdnf has them: static contexts first.
        every = [stream for index in indexes for stream in index.streams]
        self.streams = tuple(sorted(every, key=lambda stream: not stream.static))
        merged = merge_defaults(indexes)
        self.defaults = merged or {}
        self.contested = merged is None
        self._solv = solv.Pool()
        self._solv.setdisttype(solv.Pool.DISTTYPE_RPM)
        self._solv.setarch(arch)
        self._repos = [self._solv.add_repo("available"), self._solv.add_repo("@System")]
        contexts = _static_contexts(self.streams)
        self._solvables = {self._add(stream, _context(stream, contexts)): stream for stream in self.streams}
        self._names = {number: self._solv.id2solvable(number).name for number in self._solvables}
        if platform:
            self._provide(self._repos[1].add_solvable(), PLATFORM, platform, "00000000", "0", "noarch")
        self._solv.installed = self._repos[1]
        self._known: dict[tuple[frozenset[tuple[str, str]], frozenset[str]], Activation] = {}

    def default_stream(self, module: str) -> str:
        """The stream that is taken where nobody says, or ""."""
        return self.defaults[module].stream if module in self.defaults else ""

    def default_profiles(self, stream: ModuleStream) -> tuple[str, ...]:
        """The profiles that are taken of a stream where nobody says."""
        return self.defaults[stream.name].profiles.get(stream.stream, ()) if stream.name in self.defaults else ()

    def matching(self, spec: ModuleSpec) -> list[ModuleStream]:
        """The builds of streams that a kickstart's word means."""
        return [stream for stream in self.streams if spec.matches(stream)]

    def activate(self, enabled: Mapping[str, str], disabled: frozenset[str] = frozenset()) -> Activation:
        """What is active where streams are `enabled` by module, and modules `disabled`: those, defaults, their needs.

        A default stream that does not fit gives way, and is a problem all the same. Where what is enabled does not fit,
        nothing is active.
        """
        state = frozenset(enabled.items()), disabled
        if state not in self._known:
            self._known[state] = self._activate(enabled, disabled)
        return self._known[state]

    def _activate(self, enabled: Mapping[str, str], disabled: frozenset[str]) -> Activation:
        jobs: dict[str, bool] = {}
        for stream in self.streams:
            wanted = enabled.get(stream.name) or self.default_stream(stream.name)
            if stream.stream == wanted and stream.name not in disabled:
                jobs[f"module({stream.id})"] = stream.name in enabled
        self._solv.set_disabled_list([number for number, s in self._solvables.items() if s.name in disabled])
        self._solv.createwhatprovides()
        taken, problems = self._solve(dict.fromkeys(jobs, True))
        if problems:
            taken, _ = self._solve(jobs)
        active = {number: stream for number, stream in self._solvables.items() if self._names[number] in taken}
        latest: dict[tuple[str, str], int] = {}
        for number, stream in active.items():
            same = self._names[number], stream.arch
            latest[same] = max(stream.version, latest.get(same, 0))
        newest = (s for number, s in active.items() if s.version == latest[self._names[number], s.arch])
        return Activation(tuple(active.values()), tuple(newest), tuple(problems))

    def _solve(self, jobs: Mapping[str, bool]) -> tuple[set[str], list[str]]:
        """The names of what is taken to have `jobs`, or problems. Only jobs that are true are insisted on."""
        how = solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE_PROVIDES | solv.Job.SOLVER_FORCEBEST
        solver = self._solv.Solver()
        problems = solver.solve(
            [
                self._solv.Job(how | (0 if insisted else solv.Job.SOLVER_WEAK), self._solv.Dep(name).id)
                for name, insisted in jobs.items()
            ]
        )
        if problems:
            return set(), [line for problem in problems for line in self._account(problem)]
        return {solvable.name for solvable in solver.transaction().newsolvables()}, []

    def _account(self, problem: Any) -> Iterator[str]:
        """libsolv's account of a problem with the streams by the names that people know."""
        infos = [info for rule in problem.findallproblemrules() for info in rule.allinfos()]
        found = (solvable for info in infos for solvable in (info.solvable, info.othersolvable) if solvable)
        names = {
            str(each): f"module {self._solvables[each.id].full_id}" for each in found if each.id in self._solvables
        }
        lines = dict.fromkeys([str(problem), *(info.problemstr() for info in infos)])
        for line in lines:
            for name, plain in names.items():
                line = line.replace(f"package {name}", plain).replace(name, plain)
            yield re.sub(r"module\(([^()]+)\)", r"module \1", line)

    def _add(self, stream: ModuleStream, context: str) -> int:
        solvable = self._repos[0].add_solvable()
        self._provide(solvable, stream.name, stream.stream, context, str(stream.version), stream.arch)
        for module, streams in stream.requires:
            # A dash anywhere, not only in front: so libdnf reads it.
            for refused in (name for name in streams if "-" in name):
                solvable.add_deparray(solv.SOLVABLE_CONFLICTS, self._solv.Dep(f"module({module}:{refused[1:]})"))
            accepted = [self._solv.Dep(f"module({module}:{name})") for name in streams if "-" not in name]
            required = accepted[0] if accepted else self._solv.Dep(f"module({module})")
            for other in accepted[1:]:
                required = required.Rel(solv.REL_OR, other)
            solvable.add_deparray(solv.SOLVABLE_REQUIRES, required)
        return int(solvable.id)

    def _provide(self, solvable: Any, name: str, stream: str, context: str, version: str, arch: str) -> None:
        solvable.name, solvable.evr, solvable.arch = f"{name}:{stream}:{context}", version, arch
        module = self._solv.Dep(f"module({name})")
        for provided in (module, self._solv.Dep(f"module({name}:{stream})")):
            solvable.add_deparray(solv.SOLVABLE_PROVIDES, provided)
        solvable.add_deparray(solv.SOLVABLE_CONFLICTS, module)


def _requires_text(stream: ModuleStream) -> str:
    """What stands for the context in a stream's identity where it is not static: what it requires of other modules."""
    required = (
        f"{module}:[{','.join(sorted(streams))}]" if streams else module
        for module, streams in stream.requires
        if module != PLATFORM
    )
    return ";".join(sorted(required))


def _identity(stream: ModuleStream) -> tuple[str, str]:
    return stream.id, _requires_text(stream)


def _context(stream: ModuleStream, static: Mapping[tuple[str, str], str]) -> str:
    """What tells a build from others of its stream: its own context where that is static, else what it requires."""
    if stream.static:
        return stream.context
    return static.get(_identity(stream)) or _requires_text(stream) or "NoRequires"


def _static_contexts(streams: Sequence[ModuleStream]) -> dict[tuple[str, str], str]:
    """The static context of each stream and requirement: older builds without one are the same stream."""
    contexts: dict[tuple[str, str], str] = {}
    for stream in streams:
        if stream.static:
            contexts.setdefault(_identity(stream), stream.context)
    return contexts
