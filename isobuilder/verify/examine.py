"""All checks of a medium in their order: what each needs of the others goes forward, as values."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from isobuilder.errors import MediumError
from isobuilder.hosterrors import scratch_errors
from isobuilder.kept import Kept
from isobuilder.progress import Progress
from isobuilder.releases import Release
from isobuilder.verify import sums
from isobuilder.verify.assess import Assessed, assess, facts
from isobuilder.verify.carried import DIFFERS, CarriedManifest, check_manifest
from isobuilder.verify.damage import guarded, tried
from isobuilder.verify.description import TREEINFO_OTHER_SUM, TREEINFO_SUM
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, open_medium
from isobuilder.verify.repositories import PACKAGE_SUM, REPODATA_SUM
from isobuilder.verify.verdict import Verdict, sorted_and_bounded
from isobuilder.verify.volume import check_volume

NOT_AN_IMAGE = Kind(
    "not-an-image",
    "error",
    "this is no ISO 9660 image",
    "Copy or download it again, and compare its checksum.",
)
KINDS = (NOT_AN_IMAGE,)
# What is found by reading all bytes, besides the kinds of `sums`.
_SUMMED = (TREEINFO_SUM, TREEINFO_OTHER_SUM, REPODATA_SUM, PACKAGE_SUM, DIFFERS)


@dataclass(frozen=True)
class Examination:
    """An image that was looked at: its verdict, and, while it is open, what it is. What is no image has only that."""

    verdict: Verdict
    medium: Medium | None
    assessed: Assessed | None


def examine(
    iso: Path,
    *,
    progress: Progress,
    release: Release | None = None,
    wanted: Callable[[Kind], bool] = lambda _kind: True,
    read_all: bool = True,
) -> Verdict:
    """Look at the image `iso`, and say what would go wrong with it. Parameters and errors are those of `examined`."""
    with examined(iso, progress=progress, release=release, wanted=wanted, read_all=read_all) as found:
        return found.verdict


@contextmanager
def examined(
    iso: Path,
    *,
    progress: Progress,
    release: Release | None = None,
    wanted: Callable[[Kind], bool] = lambda _kind: True,
    read_all: bool = True,
    with_needs: bool = False,
    kept: Kept | None = None,
) -> Iterator[Examination]:
    """Look at the image `iso`, say what would go wrong with it, and leave it open.

    Its kickstarts are judged by `release`; None goes by the version that the medium says. Findings of kinds that are
    not `wanted` are left out. Without `read_all` only checksums of the medium and of its files are not compared.
    `with_needs` finds out why packages are there, `kept` is as in `resolve`.

    Raises UsageError when there is no such file, HostError when it cannot be read or there is no room for its metadata.
    """
    with ExitStack() as stack:
        try:
            medium = stack.enter_context(open_medium(iso))
            assessed, findings = _examined(
                medium, release, progress, wanted, read_all=read_all, with_needs=with_needs, kept=kept
            )
        except MediumError as error:
            reason = error.message.removeprefix(f"{iso}: ")
            yield Examination(
                _verdict(iso, iso.stat().st_size, {}, [NOT_AN_IMAGE.at(iso.name, reason)], wanted), None, None
            )
            return
        verdict = _verdict(iso, medium.size, facts(medium, assessed), findings, wanted)
        yield Examination(verdict, medium, assessed)


def _verdict(
    iso: Path,
    size: int,
    said: dict[str, tuple[str, ...]],
    findings: Iterable[Finding],
    wanted: Callable[[Kind], bool],
) -> Verdict:
    kept, more = sorted_and_bounded(finding for finding in findings if wanted(finding.kind))
    return Verdict(iso, size, said, kept, more)


def _examined(
    medium: Medium,
    release: Release | None,
    progress: Progress,
    wanted: Callable[[Kind], bool],
    *,
    read_all: bool,
    with_needs: bool,
    kept: Kept | None,
) -> tuple[Assessed, list[Finding]]:
    findings = [
        *guarded("the file system", medium.damage()),
        *guarded("the file system", check_volume(medium)),
        *guarded("the file system", sums.check_layout(medium)),
    ]
    with scratch_errors(), tempfile.TemporaryDirectory(prefix="isobuilder-verify-") as scratch:
        assessed = assess(medium, Path(scratch), release, with_needs=with_needs, kept=kept)
    findings += assessed.findings
    manifest = tried("the manifest", lambda: check_manifest(medium), CarriedManifest(), findings)
    findings += manifest.findings
    if read_all and any(wanted(kind) for kind in (*sums.KINDS, *_SUMMED)):
        expected = (*assessed.description.expected, *assessed.repositories.expected, *manifest.expected)
        findings += guarded("the bytes", sums.check_sums(medium, expected, progress))
    return assessed, findings
