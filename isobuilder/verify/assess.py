"""What a medium is, read once: its description, repositories, boot files, menus, kickstarts, and their packages.

`examine` makes a verdict of it, and `isobuilder.seeing` says what is there. Damage ends the part in which it is.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from isobuilder.kept import Kept
from isobuilder.releases import Release, release_of_version
from isobuilder.verify.damage import tried
from isobuilder.verify.description import Description, describe
from isobuilder.verify.finding import Finding
from isobuilder.verify.firmware import Firmware, check_firmware
from isobuilder.verify.judge import Judge, judge
from isobuilder.verify.kickstarts import Kickstarts, kickstart_paths, read_kickstarts
from isobuilder.verify.medium import Medium
from isobuilder.verify.menus import Menus, check_menus
from isobuilder.verify.repositories import Repositories, check_formats, examine_repositories, repository_folders
from isobuilder.verify.resolving import Resolved, Resolving
from isobuilder.verify.verdict import harmless


@dataclass(frozen=True)
class Assessed:
    """A medium as its parts say it is, and what is wrong with them.

    `paths` are those of its kickstarts, `kickstarts` those that a release could be found for and that could be read;
    `judged_by` is None where no release is known, and then nothing is `resolved`.
    """

    description: Description
    repositories: Repositories
    firmware: Firmware
    menus: Menus
    judged_by: Judge | None
    paths: tuple[str, ...]
    kickstarts: Kickstarts
    resolved: Resolved
    findings: tuple[Finding, ...]


def assess(
    medium: Medium, scratch: Path, release: Release | None, *, with_needs: bool = False, kept: Kept | None = None
) -> Assessed:
    """Read every part of `medium`; metadata is taken out into the folder `scratch`.

    Its kickstarts are judged by `release`; None goes by the version that the medium says. `with_needs` and `kept` are
    as in `resolve`.
    """
    findings: list[Finding] = []
    folders = frozenset(repository_folders(medium))
    description = tried("its description", lambda: describe(medium, folders), Description(()), findings)
    repositories = tried(
        "the repositories", lambda: examine_repositories(medium, scratch), Repositories((), (), ()), findings
    )
    findings += [*description.findings, *repositories.findings]
    judged_by = _judge(description, release)
    if judged_by:
        findings += check_formats(repositories.found, judged_by.release.metadata)
    firmware = tried(
        "the boot files", lambda: check_firmware(medium, description.arch), Firmware((), None, (), {}, {}), findings
    )
    menus = tried(
        "the menus",
        lambda: check_menus(medium, description, firmware.esp, firmware.command_line_limits),
        Menus((), (), {}),
        findings,
    )
    findings += [*firmware.findings, *menus.findings]
    paths = kickstart_paths(medium, menus.kickstarts)
    kickstarts = tried(
        "the kickstarts",
        lambda: read_kickstarts(medium, paths, judged_by, repositories.found),
        Kickstarts((), ()),
        findings,
    )
    resolved = tried(
        "the packages of kickstarts",
        lambda: _resolved(judged_by, repositories, kickstarts, with_needs, kept),
        Resolved((), ()),
        findings,
    )
    findings += [*kickstarts.findings, *resolved.findings]
    return Assessed(description, repositories, firmware, menus, judged_by, paths, kickstarts, resolved, tuple(findings))


def facts(medium: Medium, assessed: Assessed) -> dict[str, tuple[str, ...]]:
    """What the medium is, in the order that a person would ask."""
    description, judged_by = assessed.description, assessed.judged_by
    what = " ".join(filter(None, [description.family, description.version, description.arch]))
    said = {
        "is": (what or "it does not say",),
        "volume id": (medium.volume.volume_id,),
        "judged as": (judged_by.release.title if judged_by else "no release that is known",),
        "starts": assessed.firmware.starts or ("nothing",),
        "signed": tuple(
            f"{place}: {_common_name(signature.subject)}, certified by {_common_name(signature.issuer)}"
            for place, signatures in assessed.firmware.signers.items()
            for signature in signatures
        ),
        "menus": tuple(f"{menu.path}: {len(menu.entries)} entries" for menu in assessed.menus.menus),
        "kickstarts": tuple(assessed.menus.kickstarts),
    }
    return {name: tuple(map(harmless, values)) for name, values in said.items()}


def _resolved(
    judged_by: Judge | None,
    repositories: Repositories,
    kickstarts: Kickstarts,
    with_needs: bool,  # noqa: FBT001 - handed on
    kept: Kept | None,
) -> Resolved:
    usable = [repository for repository in repositories.found if repository.files]
    if judged_by is None or not usable:
        return Resolved((), ())
    networked = {kickstart.path for kickstart in kickstarts.found if kickstart.reading.network}
    resolving = Resolving(judged_by, usable, networked, with_needs=with_needs, kept=kept)
    return resolving.run([kickstart.request for kickstart in kickstarts.found])


def _judge(description: Description, release: Release | None) -> Judge | None:
    found = release or release_of_version(description.version)
    if found is None:
        return None
    return judge(found, description.arch, family=description.family, named=release is not None)


def _common_name(name: str) -> str:
    """The CN of a distinguished name as RFC 4514 writes it; all of it where it has none."""
    found = re.search(r"CN=((?:\\.|[^,\\])+)", name)
    return found[1] if found else name
