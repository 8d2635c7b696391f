"""Whether the packages of kickstarts resolve from the repositories of a medium, and nothing else."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from isobuilder.errors import IsobuilderError, ResolveError
from isobuilder.kept import Kept
from isobuilder.kickstart.request import PackageRequest, WantedGroup
from isobuilder.repository.comps import merge_comps, parse_comps
from isobuilder.resolve.pool import Source
from isobuilder.resolve.selection import RoleRequest
from isobuilder.resolve.solve import Resolution, resolve
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.judge import Judge
from isobuilder.verify.repositories import OnMedium

_KERNEL: Final = "kernel"
_CORE: Final = "core"

UNRESOLVED = Kind(
    "packages-unresolved",
    "error",
    "the packages of a kickstart do not resolve from the medium alone",
    "Put what is missing on the medium, or take it out of the kickstart.",
)
UNRESOLVED_HERE = Kind(
    "packages-from-network",
    "note",
    "a kickstart takes packages from the network, and not all of them are on the medium",
    "Nothing, when the network is there at installation.",
)
INSTALLER_PACKAGE = Kind(
    "installer-package-missing",
    "error",
    "the installer adds a package by itself that is not on the medium",
    "Put the package there.",
)
NO_RESOLVE = Kind(
    "packages-unchecked",
    "warning",
    "whether packages resolve from the medium could not be found out",
    "Mend what else is wrong with the metadata of the medium first.",
)
KINDS = (UNRESOLVED, UNRESOLVED_HERE, INSTALLER_PACKAGE, NO_RESOLVE)


@dataclass(frozen=True)
class Resolved:
    """What does not resolve, and what did: one resolution of all kickstarts, or one for each that does alone."""

    findings: tuple[Finding, ...]
    resolutions: tuple[Resolution, ...]


class Resolving:
    """Each kickstart's packages, from the repositories of the medium and nothing else."""

    def __init__(
        self,
        judged_by: Judge,
        repositories: Sequence[OnMedium],
        networked: set[str],
        *,
        with_needs: bool,
        kept: Kept | None,
    ) -> None:
        self._judged_by = judged_by
        self._sources = [
            Source(repository.id, 99, repository.files, sha256=repository.sha256) for repository in repositories
        ]
        self._with_needs = with_needs
        self._kept = kept
        self._names = frozenset(name for repository in repositories for name in repository.names)
        self._networked = networked
        self._resolutions: list[Resolution] = []

    def run(self, requests: Sequence[RoleRequest]) -> Resolved:
        """Resolve `requests`, or without any what a person gets who chooses nothing."""
        findings = tuple(self._check(requests))
        return Resolved(findings, tuple(self._resolutions))

    def _check(self, requests: Sequence[RoleRequest]) -> Iterator[Finding]:
        if _KERNEL not in self._names:
            # A medium with a repository of something besides; where a kickstart is, it cannot install from it alone.
            if any(request.path not in self._networked for request in requests):
                yield INSTALLER_PACKAGE.at("the repositories", f"no package is called {_KERNEL}")
            return
        yield from self._installers_own()
        try:
            asked = requests or self._plain_installation()
            found = self._refusals(asked)
            if found and len(asked) > 1:
                # Alone, so that a mistake in one does not hide what does not fit together in another.
                found = [line for request in asked for line in self._refusals([request])]
        except IsobuilderError as error:
            yield NO_RESOLVE.at("the repositories", " ".join([error.message, *error.details]))
            return
        for where, message in found:
            networked = where.partition(", line ")[0] in self._networked
            yield (UNRESOLVED_HERE if networked else UNRESOLVED).at(where, message)

    def _installers_own(self) -> Iterator[Finding]:
        """What the installer insists on; media of other families may do without."""
        facts = self._judged_by.facts
        for name in facts.always if self._judged_by.exact else ():
            if name not in self._names and name not in facts.if_there:
                yield INSTALLER_PACKAGE.at("the repositories", f"no package is called {name}")

    def _plain_installation(self) -> list[RoleRequest]:
        """What a person gets who chooses nothing; nothing is known of that where no comps has its group."""
        published = [source.files["group"].read_bytes() for source in self._sources if "group" in source.files]
        if _CORE not in parse_comps(merge_comps(published)).groups:
            return []
        request = PackageRequest((), (WantedGroup(_CORE, 0),), None, (), ())
        return [RoleRequest("a plain installation", request, "a plain installation")]

    def _refusals(self, requests: Sequence[RoleRequest]) -> list[tuple[str, str]]:
        """What does not resolve: the place in a kickstart, and what is wrong there with all that libsolv says of it."""
        if not requests:
            return []
        facts = self._judged_by.facts
        try:
            resolution = resolve(
                self._sources,
                requests,
                arch=self._judged_by.arch,
                always=[name for name in facts.always if name in self._names],
                may=[name for name in facts.may if name in self._names],
                platform=self._judged_by.release.platform,
                with_needs=self._with_needs,
                kept=self._kept,
            )
        except ResolveError as error:
            return _by_place(error.details, [request.path for request in requests])
        self._resolutions.append(resolution)
        return []


def _by_place(details: Iterable[str], paths: Sequence[str]) -> list[tuple[str, str]]:
    """Lines that begin with blanks belong to the one before; a line of a kickstart begins with its path and number."""
    whole: list[str] = []
    for line in details:
        if line.startswith(" ") and whole:
            whole[-1] += f"; {line.strip()}"
        else:
            whole.append(line)
    found = []
    for line in whole:
        match = next((match for path in paths if (match := re.match(rf"{re.escape(path)}:(\d+): (.*)", line))), None)
        found.append(
            (f"{line[: match.start(1) - 1]}, line {match[1]}", match[2]) if match else _without_path(line, paths)
        )
    return found


def _without_path(line: str, paths: Sequence[str]) -> tuple[str, str]:
    path = next((path for path in paths if path in line), paths[0])
    return path, line.removeprefix(f"{path} ")
