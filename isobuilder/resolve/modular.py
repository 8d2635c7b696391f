"""What modules do to packages: those of streams that are not active are hidden, and plain ones that share a name.

The rule is libdnf's (dnf-sack.cpp of 0.69, setModuleExcludes). A repository of hotfixes is exempt.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import solv

from isobuilder.repository.modules import Artifact, ModuleStream
from isobuilder.resolve.modulepool import Activation
from isobuilder.resolve.pool import PackagePool

_PLATFORM = re.compile(r"base-module\(platform:([A-Za-z0-9+._-]+)\)")


def hidden_packages(pool: PackagePool, streams: Iterable[ModuleStream], activation: Activation) -> frozenset[int]:
    """The packages that are not to be seen where of all `streams` some are active, by libsolv's number."""
    active = frozenset(activation.streams)
    included = {found.id for stream in active for found in artifacts(pool, stream.artifacts)}
    others = [stream for stream in streams if stream not in active]
    hidden = {found.id for stream in others for found in artifacts(pool, stream.artifacts) if not pool.hotfix(found)}
    for name in _names(activation):
        # A package of that name provides it, too.
        hidden |= {found.id for found in pool.providers(name) if not pool.hotfix(found)}
    return frozenset(hidden - included)


def artifacts(pool: PackagePool, wanted: Iterable[Artifact]) -> Iterator[Any]:
    """The packages that are in the repositories of those that a stream lists."""
    for artifact in wanted:
        yield from pool.by_nevra.get(artifact.key, ())


def platform_of(pool: PackagePool) -> str | None:
    """The release's platform ("el8") as its own package says it, for a release whose data does not; None: unclear.

    It stands in what the newest provider of system-release provides. So dnf finds it as well.
    """
    newest: dict[str, Any] = {}
    for found in pool.providers("system-release"):
        known = newest.setdefault(found.name, found)
        if found.evrcmp(known) > 0:
            newest[found.name] = found
    said = {
        match[1]
        for each in newest.values()
        for provided in each.lookup_deparray(solv.SOLVABLE_PROVIDES)
        if (match := _PLATFORM.fullmatch(str(provided)))
    }
    return said.pop() if len(said) == 1 else None


def _names(activation: Activation) -> set[str]:
    """The names that are the active streams' alone: their artifacts', without those that the newest build gave up."""
    given_up: dict[tuple[str, str], frozenset[str]] = {}
    for build in activation.newest:
        same = build.id, build.arch
        given_up[same] = given_up.get(same, frozenset()) | build.demodularized
    return {
        artifact.name
        for build in activation.streams
        for artifact in build.artifacts
        if not artifact.source and artifact.name not in given_up.get((build.id, build.arch), frozenset())
    }
