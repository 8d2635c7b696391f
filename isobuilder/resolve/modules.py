"""The modules of a medium: what repositories publish, what each role makes of it, and what all roles together need."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from isobuilder.kickstart.request import PackageRequest
from isobuilder.lock import ActiveStream
from isobuilder.repository.modules import ModuleIndex, ModuleStream, parse_modules
from isobuilder.resolve.modular import hidden_packages, platform_of
from isobuilder.resolve.modulechoice import ModuleChoice, choose_modules
from isobuilder.resolve.modulepool import PLATFORM, Activation, ModulePool
from isobuilder.resolve.pool import PackagePool, Source


@dataclass(frozen=True)
class RoleModules:
    """The modules of a role, and the packages that are not to be seen for them, by libsolv's number.

    `before` are those while packages are looked up by name, `hidden` those from then on.
    """

    choice: ModuleChoice
    before: frozenset[int]
    hidden: frozenset[int]


class Modules:
    """The modules of `sources`, whose packages are in `pool`. `platform` is the release's; None: look for it there.

    Raises TrustError where their metadata is not as it should be.
    """

    def __init__(self, sources: Sequence[Source], pool: PackagePool, platform: str | None) -> None:
        self._packages = pool
        self._indexes = [_index(source) for source in sources if "modules" in source.files]
        self._platform = platform or (platform_of(pool) if self._indexes else None)
        self._pool = ModulePool(self._indexes, arch=pool.arch, platform=self._platform)
        self._hidden: dict[tuple[ModuleStream, ...], frozenset[int]] = {}

    def choose(self, request: PackageRequest, path: str) -> RoleModules:
        """The modules of the role whose kickstart at `path` makes this request."""
        choice = choose_modules(self._pool, request, path)
        return RoleModules(choice, self._hide(choice.before), self._hide(choice.activation))

    def hidden_by_defaults(self) -> frozenset[int]:
        """The packages that are not to be seen where nobody enables or disables anything, by libsolv's number."""
        return self._hide(self._pool.activate({}))

    def _hide(self, activation: Activation) -> frozenset[int]:
        if activation.streams not in self._hidden:
            self._hidden[activation.streams] = hidden_packages(self._packages, self._pool.streams, activation)
        return self._hidden[activation.streams]

    def notes(self) -> Iterator[str]:
        """What a user should know of the modules as they are published."""
        for index in self._indexes:
            yield from index.notes
        if self._pool.contested:
            yield "modules: repositories contradict each other on default profiles, so there are no defaults at all"
        needs = any(module == PLATFORM for stream in self._pool.streams for module, _ in stream.requires)
        if needs and self._platform is None:
            yield "modules: no repository says which platform this is, so streams that require one are not active"


def active_streams(chosen: Sequence[tuple[str, RoleModules]]) -> tuple[ActiveStream, ...]:
    """The streams that are active in any of the roles, each role given with its modules."""
    reasons: dict[str, dict[str, str]] = {}
    for role, modules in chosen:
        for stream, reason in modules.choice.reasons.items():
            reasons.setdefault(stream, {})[role] = reason
    return tuple(
        ActiveStream(stream=stream, roles=tuple(found), reasons=tuple(found.values()))
        for stream, found in sorted(reasons.items())
    )


def _index(source: Source) -> ModuleIndex:
    return parse_modules(source.read("modules"), source.id)
