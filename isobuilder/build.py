"""The way through, on one screen: plan, lock, inputs, tree, ISO, and the proof of it."""

from pathlib import Path

from isobuilder.compose import compose
from isobuilder.errors import MediumError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.inputs import check_packages, fetch_inputs
from isobuilder.iso.writer import Written, check_output, write_iso
from isobuilder.lock import Lock
from isobuilder.locking import make_lock, matching_lock, other_versions, tool_versions, write_lock
from isobuilder.manifest import dump_manifest
from isobuilder.package import provide_own
from isobuilder.plan import Plan
from isobuilder.progress import Progress
from isobuilder.verify.examine import examine
from isobuilder.verify.finding import SEVERITIES, Severity


def build(
    plan: Plan, fetcher: Fetcher, cache: Cache, output: Path, progress: Progress, *, force: bool, epoch: int | None
) -> Written:
    """Make the medium that the plan describes, in the folder `output`.

    The lock is made when there is none, with `epoch` as in `make_lock`.
    """
    iso = output / plan.iso_name
    check_output(iso, force=force)
    with cache.in_use():
        lock = _lock(plan, fetcher, cache, progress, epoch=epoch)
        provide_own(lock, plan.release, cache)
        fetch_inputs(lock, fetcher, cache, output, progress)
        signers = check_packages(lock, cache, progress)
        tree = compose(plan, lock, cache)
        return write_iso(
            tree,
            iso,
            progress=progress,
            force=force,
            manifest=lambda written: dump_manifest(lock, signers, tree, written, tool_versions()),
            prove=lambda image: _prove(image, plan, progress),
        )


def _prove(image: Path, plan: Plan, progress: Progress) -> None:
    """Refuse an image that would fail: what `isobuilder verify` says, but for sums, which were made as bytes passed."""
    verdict = examine(image, progress=progress, release=plan.release, read_all=False)
    said: dict[Severity, list[str]] = {severity: [] for severity in SEVERITIES}
    for finding in verdict.findings:
        said[finding.kind.severity].append(f"{finding.place}: {finding.message} [{finding.kind.id}]")
    if said["error"]:
        raise MediumError(
            "the medium would fail, and was not kept",
            details=said["error"],
            hint="The README lists what each of these findings means, under its id in brackets.",
        )
    for line in said["warning"]:
        progress.warning(line)


def _lock(plan: Plan, fetcher: Fetcher, cache: Cache, progress: Progress, *, epoch: int | None) -> Lock:
    """The lock that is there, or a new one; what may make the bits differ is said."""
    lock = matching_lock(plan)
    if lock is None:
        lock = make_lock(plan, fetcher, cache, progress, epoch=epoch)
        write_lock(plan, lock)
    for version in other_versions(lock):
        progress.warning(f"{version}; the bits may differ")
    return lock
