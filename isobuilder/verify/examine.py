"""All checks of a medium in their order: what each needs of the others goes forward, as values."""

import re
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from isobuilder.errors import MediumError
from isobuilder.hosterrors import scratch_errors
from isobuilder.progress import Progress
from isobuilder.releases import Release, release_of_version
from isobuilder.verify import sums
from isobuilder.verify.description import TREEINFO_OTHER_SUM, TREEINFO_SUM, Description, describe
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.firmware import Firmware, check_firmware
from isobuilder.verify.judge import Judge, judge
from isobuilder.verify.kickstarts import check_kickstarts, kickstart_paths
from isobuilder.verify.medium import Medium, Unreadable, open_medium
from isobuilder.verify.menus import Menus, check_menus
from isobuilder.verify.repositories import (
    PACKAGE_SUM,
    REPODATA_SUM,
    Repositories,
    check_formats,
    examine_repositories,
    repository_folders,
)
from isobuilder.verify.verdict import Verdict, harmless, sorted_and_bounded
from isobuilder.verify.volume import check_volume

T = TypeVar("T")

NOT_AN_IMAGE = Kind(
    "not-an-image",
    "error",
    "this is no ISO 9660 image",
    "Copy or download it again, and compare its checksum.",
)
DAMAGED = Kind(
    "part-unreadable",
    "error",
    "a part of the medium is so damaged that a check could not go on",
    "Copy or download the image again, or make it anew.",
)
KINDS = (NOT_AN_IMAGE, DAMAGED)
# What readers raise for bytes that cannot be.
_DAMAGE = (ArithmeticError, LookupError, RecursionError, ValueError, struct.error, Unreadable)
# What is found by reading all bytes, besides the kinds of `sums`.
_SUMMED = (TREEINFO_SUM, TREEINFO_OTHER_SUM, REPODATA_SUM, PACKAGE_SUM)


def examine(
    iso: Path,
    *,
    progress: Progress,
    release: Release | None = None,
    wanted: Callable[[Kind], bool] = lambda _kind: True,
    read_all: bool = True,
) -> Verdict:
    """Look at the image `iso`, and say what would go wrong with it.

    Its kickstarts are judged by `release`; None goes by the version that the medium says. Findings of kinds that are
    not `wanted` are left out. Without `read_all` only checksums of the medium and of its files are not compared.

    Raises UsageError when there is no such file, HostError when it cannot be read or there is no room for its metadata.
    """
    try:
        with open_medium(iso) as medium:
            facts, findings = _examined(medium, release, progress, wanted, read_all=read_all)
            size = medium.size
    except MediumError as error:
        reason = error.message.removeprefix(f"{iso}: ")
        facts, findings, size = {}, [NOT_AN_IMAGE.at(iso.name, reason)], iso.stat().st_size
    kept, more = sorted_and_bounded(finding for finding in findings if wanted(finding.kind))
    return Verdict(iso, size, facts, kept, more)


def _examined(
    medium: Medium, release: Release | None, progress: Progress, wanted: Callable[[Kind], bool], *, read_all: bool
) -> tuple[dict[str, tuple[str, ...]], list[Finding]]:
    findings = [
        *_guarded("the file system", medium.damage()),
        *_guarded("the file system", check_volume(medium)),
        *_guarded("the file system", sums.check_layout(medium)),
    ]
    with scratch_errors(), tempfile.TemporaryDirectory(prefix="isobuilder-verify-") as scratch:
        folders = frozenset(repository_folders(medium))
        description = _tried("its description", lambda: describe(medium, folders), Description(()), findings)
        repositories = _tried(
            "the repositories",
            lambda: examine_repositories(medium, Path(scratch)),
            Repositories((), (), ()),
            findings,
        )
        findings += [*description.findings, *repositories.findings]
        judged_by = _judge(description, release)
        if judged_by:
            findings += check_formats(repositories.found, judged_by.release.metadata)
        firmware = _tried(
            "the boot files", lambda: check_firmware(medium, description.arch), Firmware((), None, (), {}, {}), findings
        )
        menus = _tried(
            "the menus",
            lambda: check_menus(medium, description, firmware.esp, firmware.command_line_limits),
            Menus((), (), {}),
            findings,
        )
        findings += [*firmware.findings, *menus.findings]
        paths = kickstart_paths(medium, menus.kickstarts)
        findings += _guarded("the kickstarts", check_kickstarts(medium, paths, judged_by, repositories.found))
    if read_all and any(wanted(kind) for kind in (*sums.KINDS, *_SUMMED)):
        expected = (*description.expected, *repositories.expected)
        findings += _guarded("the bytes", sums.check_sums(medium, expected, progress))
    return _facts(medium, description, firmware, menus, judged_by), findings


def _judge(description: Description, release: Release | None) -> Judge | None:
    found = release or release_of_version(description.version)
    if found is None:
        return None
    return judge(found, description.arch, family=description.family, named=release is not None)


def _facts(
    medium: Medium, description: Description, firmware: Firmware, menus: Menus, judged_by: Judge | None
) -> dict[str, tuple[str, ...]]:
    """What the medium is, in the order that a person would ask."""
    what = " ".join(filter(None, [description.family, description.version, description.arch]))
    said = {
        "is": (what or "it does not say",),
        "volume id": (medium.volume.volume_id,),
        "judged as": (judged_by.release.title if judged_by else "no release that is known",),
        "starts": firmware.starts or ("nothing",),
        "signed": tuple(
            f"{place}: {_common_name(signature.subject)}, certified by {_common_name(signature.issuer)}"
            for place, signatures in firmware.signers.items()
            for signature in signatures
        ),
        "menus": tuple(f"{menu.path}: {len(menu.entries)} entries" for menu in menus.menus),
        "kickstarts": tuple(menus.kickstarts),
    }
    return {name: tuple(map(harmless, values)) for name, values in said.items()}


def _common_name(name: str) -> str:
    """The CN of a distinguished name as RFC 4514 writes it; all of it where it has none."""
    found = re.search(r"CN=((?:\\.|[^,\\])+)", name)
    return found[1] if found else name


def _guarded(part: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings of one check; what is so damaged that it cannot go on ends it, and nothing else."""
    try:
        yield from findings
    except _DAMAGE as error:
        yield _damaged(part, error)


def _tried(part: str, check: Callable[[], T], otherwise: T, findings: list[Finding]) -> T:
    """What a check comes to, or `otherwise` and a finding where damage ended it."""
    try:
        return check()
    except _DAMAGE as error:
        findings.append(_damaged(part, error))
        return otherwise


def _damaged(part: str, error: Exception) -> Finding:
    return DAMAGED.at(part, " ".join(f"{type(error).__name__}: {error}".split()))
