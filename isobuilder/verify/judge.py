"""By which release's facts a medium is judged: its kickstarts, and what its installer adds."""

from dataclasses import dataclass

from isobuilder.releases import ArchFacts, Release


@dataclass(frozen=True)
class Judge:
    """By which release's facts a medium is judged.

    `exact`: it is that release or a rebuild of it, so that its installer adds the packages that the facts name; others
    are judged by its kickstart syntax, and by those of the packages that they have.
    """

    release: Release
    arch: str
    facts: ArchFacts
    exact: bool


def judge(release: Release, arch: str, *, family: str, named: bool) -> Judge | None:
    """Judge by `release`, which was `named` by the user or goes by the version that the medium says.

    None for an architecture that the release lacks.
    """
    facts = release.arch.get(arch)  # type: ignore[call-overload] # any text may stand on a medium
    return Judge(release, arch, facts, named or family in {release.family, *release.rebuilds}) if facts else None
