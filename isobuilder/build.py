"""The way through, on one screen: plan, lock, inputs, tree, ISO."""

from pathlib import Path

from isobuilder.compose import compose
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
        )


def _lock(plan: Plan, fetcher: Fetcher, cache: Cache, progress: Progress, *, epoch: int | None) -> Lock:
    """The lock that is there, or a new one; what may make the bits differ is said."""
    lock = matching_lock(plan)
    if lock is None:
        lock = make_lock(plan, fetcher, cache, progress, epoch=epoch)
        write_lock(plan, lock)
    for version in other_versions(lock):
        progress.warning(f"{version}; the bits may differ")
    return lock
