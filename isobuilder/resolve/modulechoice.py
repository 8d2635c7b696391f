"""Which module streams a role has: what its kickstart enables, disables and names, in the order of the installer.

Anaconda disables what `module --disable` names, enables what `module` names, and hands every @ of %packages to dnf,
which looks for a module first and for a group where there is none (rhel-8 and rhel-9, payload.py; dnf 4.14,
module_base.py). Before that, dnf looks up the packages that are named or left out. Packages are looked up elsewhere.
"""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from isobuilder.kickstart.request import PackageRequest, WantedGroup
from isobuilder.repository.modules import ModuleStream
from isobuilder.resolve.modulepool import Activation, ModulePool, ModuleSpec
from isobuilder.schema import did_you_mean


@dataclass(frozen=True)
class ProfilePackage:
    """A package that a profile of a stream asks for, for the kickstart's line that means the stream."""

    name: str
    reason: str
    line: int


@dataclass(frozen=True)
class ModuleChoice:
    """The modules of a role. Mistakes and notes are for people to read, mistakes with the line that they stand in.

    `before` is what is active while packages are looked up by name: what %packages enables, it enables later. `taken`
    are the @ of %packages that are modules, and no groups. `asked` are the active builds that they mean, whose
    artifacts come first when `packages` are looked up. `reasons` has the active streams by NAME:STREAM.
    """

    before: Activation
    activation: Activation
    taken: frozenset[WantedGroup]
    asked: tuple[ModuleStream, ...]
    packages: tuple[ProfilePackage, ...]
    reasons: Mapping[str, str]
    mistakes: tuple[tuple[int, str], ...]
    notes: tuple[str, ...]


def choose_modules(pool: ModulePool, request: PackageRequest, path: str) -> ModuleChoice:
    """The modules of the role whose kickstart at `path` makes this request."""
    return _Chooser(pool, path).choose(request)


@dataclass
class _Chooser:
    pool: ModulePool
    path: str
    enabled: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    lines: dict[str, int] = field(default_factory=dict)
    strict: bool = True
    mistakes: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def choose(self, request: PackageRequest) -> ModuleChoice:
        # Options make it a group: Anaconda says them behind a slash, with commas.
        words = [*request.groups, *([request.environment] if request.environment else [])]
        wanted = {group: spec for group in words if group.depth == "default" and (spec := ModuleSpec.parse(group.id))}
        self.strict = bool(words or request.modules)
        for command in (command for command in request.modules if not command.enable):
            self.disabled |= {stream.name for stream in self._known(command.word, "", command.line)}
        self._activate()
        for command in (command for command in request.modules if command.enable):
            self._enable(self._known(command.word, "", command.line), command.word, command.line)
        before = self._activate()
        self._enable_needs(before)
        found = {group: streams for group, spec in wanted.items() if (streams := self._named(group, spec))}
        means = {group: self._enable(streams, f"@{group.id}", group.line) for group, streams in found.items()}
        # Only for groups and modules does dnf look once more; what an enabled stream needs is enabled by then.
        activation = self._activate() if words else before
        asked = [(group, [each for each in means[group] if each in activation.streams]) for group in found]
        packages = [package for group, builds in asked for package in self._profiles(group, wanted[group], builds)]
        return ModuleChoice(
            before=before,
            activation=activation,
            # What can be no group is no group's mistake.
            taken=frozenset(group for group in wanted if group in found or set(":/") & set(group.id)),
            asked=tuple(build for _, builds in asked for build in builds),
            packages=tuple(packages),
            reasons=self._reasons(activation),
            mistakes=tuple(dict.fromkeys(self.mistakes)),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _activate(self) -> Activation:
        """What is active now. Anaconda gives up where modules do not fit together, at each step.

        Where a role has no group and no module, which only --nocore makes so, it is a note.
        """
        activation = self.pool.activate(self.enabled, frozenset(self.disabled))
        problems = [f"modules: {line}" for line in activation.problems]
        if problems and self.enabled:
            lines = (f"{name}:{stream} at line {self.lines[name]}" for name, stream in self.enabled.items())
            problems.append(f"  enabled: {', '.join(lines)}")
        if self.strict:
            self.mistakes += [(0, line) for line in problems]
        else:
            self.notes += problems
        return activation

    def _named(self, group: WantedGroup, spec: ModuleSpec) -> list[ModuleStream]:
        """What an @ of %packages means; nothing where it is a group, or a mistake where it can be none."""
        if ":" in group.id or "/" in group.id:
            return self._known(group.id, "@", group.line)
        return self.pool.matching(spec)

    def _known(self, word: str, sign: str, line: int) -> list[ModuleStream]:
        spec = ModuleSpec.parse(word)
        found = self.pool.matching(spec) if spec else []
        if not found:
            streams = sorted({stream.stream for stream in self.pool.streams if spec and stream.name == spec.name})
            modules = {stream.name for stream in self.pool.streams}
            if spec and streams:
                why = f"module {spec.name} has no stream {spec.stream}; it has: {', '.join(streams)}"
            else:
                name = spec.name if spec else word
                why = f"there is no module {name}{did_you_mean(name, modules)}"
            self.mistakes.append((line, f"{sign}{word}: {why}"))
        return found

    def _enable(self, builds: Sequence[ModuleStream], word: str, line: int) -> list[ModuleStream]:
        """Enable the one stream of each module that `builds` are of; the builds of those streams come back."""
        meant: list[ModuleStream] = []
        for module in dict.fromkeys(build.name for build in builds):
            streams = sorted({build.stream for build in builds if build.name == module})
            stream = streams[0]
            if len(streams) > 1:
                stream = self.enabled.get(module) or self.pool.default_stream(module)
                if stream not in streams:
                    self.mistakes.append(
                        (line, f"{word}: module {module} has no default stream; it has: {', '.join(streams)}")
                    )
                    continue
            if self.enabled.get(module, stream) != stream:
                other = f"{self.enabled[module]} ({self.path}:{self.lines[module]})"
                self.mistakes.append(
                    (line, f"{word}: module {module} can have one stream only, not {stream} and {other}")
                )
                continue
            self.disabled.discard(module)
            self.enabled[module] = stream
            self.lines.setdefault(module, line)
            meant += [build for build in builds if build.name == module and build.stream == stream]
        return meant

    def _enable_needs(self, activation: Activation) -> None:
        """What an enabled stream is active with is enabled too: a later line cannot choose otherwise."""
        for needed, by in activation.needed_by([s for s in activation.streams if s.name in self.enabled]):
            self.enabled.setdefault(needed.name, needed.stream)
            self.lines.setdefault(needed.name, self.lines[by.name])

    def _profiles(
        self, group: WantedGroup, spec: ModuleSpec, builds: Sequence[ModuleStream]
    ) -> Iterator[ProfilePackage]:
        for name in dict.fromkeys(build.name for build in builds):
            # The first of equals, as in libdnf.
            latest = max((build for build in builds if build.name == name), key=lambda build: build.version)
            if spec.profile:
                chosen = fnmatch.filter(sorted(latest.profiles), spec.profile)
            else:
                chosen = [profile for profile in self.pool.default_profiles(latest) if profile in latest.profiles]
            known = f"it has: {', '.join(sorted(latest.profiles))}" if latest.profiles else "it has none at all"
            default = () if spec.profile else self.pool.default_profiles(latest)
            if missing := [profile for profile in default if profile not in latest.profiles]:
                self._mistake(group, f"{latest.id} lacks its own default profile {', '.join(missing)}; {known}")
            elif not chosen:
                profile = f"profile {spec.profile}" if spec.profile else "default profile"
                self._mistake(group, f"module {latest.id} has no {profile}; {known}")
            for profile in chosen:
                for package in latest.profiles[profile]:
                    yield ProfilePackage(package, f"module {latest.id}/{profile}", group.line)

    def _mistake(self, group: WantedGroup, why: str) -> None:
        self.mistakes.append((group.line, f"@{group.id}: {why}"))

    def _reasons(self, activation: Activation) -> dict[str, str]:
        """Why each stream is active: the line that enables it, that it is the default, or what requires it."""
        active = activation.streams
        reasons: dict[str, str] = {}
        for stream in active:
            if stream.name in self.enabled:
                reasons[stream.id] = f"enabled at {self.path}:{self.lines[stream.name]}"
            elif self.pool.default_stream(stream.name) == stream.stream:
                reasons[stream.id] = "default stream"
        roots = [stream for stream in active if stream.id in reasons]
        for stream in roots:
            for needed, by in activation.needed_by([stream]):
                reasons.setdefault(needed.id, f"required by module {by.id}")
        return dict(sorted(reasons.items()))
