"""The way through, on one screen: plan, lock, inputs, tree, ISO, the proof of it, and the report."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from isobuilder.compose import compose, read_first, read_pieces
from isobuilder.errors import MediumError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.inputs import arriving
from isobuilder.iso.writer import Written, check_output, manifest_path, report_path, signature_path, write_iso
from isobuilder.lock import Lock
from isobuilder.locking import make_lock, matching_lock, other_versions, tool_versions, write_lock
from isobuilder.package import provide_own
from isobuilder.plan import Plan
from isobuilder.progress import Expected, Progress, Timed
from isobuilder.provenance.folder import Described
from isobuilder.sizelimit import check_size
from isobuilder.verify.examine import Examination, examined
from isobuilder.verify.finding import SEVERITIES, Severity
from isobuilder.verify.verdict import Verdict

_STAGES = ("Lock, checked or made", "Packages", "Tree, laid out", "Writing", "Checksum", "Proof of the image", "Report")
# What makes a report of the finished image: it is shown the image, what was written, what was found in it, and the
# manifest.
Reporter = Callable[[Path, Written, Examination, str], str]


def build(
    plan: Plan,
    fetcher: Fetcher,
    cache: Cache,
    output: Path,
    progress: Timed,
    *,
    force: bool,
    epoch: int | None,
    sign: Callable[[bytes], bytes] | None = None,
    report: Reporter | None = None,
) -> Written:
    """Make the medium that the plan describes, in the folder `output`, with its checksum, manifest and bill beside it.

    The lock is made when there is none, with `epoch` as in `make_lock`. What `sign` makes of the checksum file, and
    `report` of all of it, goes beside that.
    """
    iso = output / plan.iso_name
    check_output(iso, force=force)
    for path in plan.carried.left_out:
        progress.note(f"note: {path} is not carried on the medium: only what is named from the definition's folder is")
    progress.expect([Expected(title) for title in _STAGES if report or title != "Report"])

    def work() -> Written:
        with progress.stretch("Lock, checked or made"):
            lock = _lock(plan, fetcher, cache, progress, epoch=epoch)
        check_size(plan, lock)
        provide_own(lock, plan.release, cache)
        with arriving(lock, read_first(lock), fetcher, cache, output, progress) as inputs:
            with progress.stretch("Tree, laid out"):
                inputs.need(read_first(lock))
                pieces = read_pieces(lock, cache)
                medium = Described(compose(plan, lock, cache, pieces), plan, lock, pieces, inputs, tool_versions())
                tree = medium.tree
                size = sum(content.size for content in tree.files.values())
                progress.expect([Expected(title, size) for title in ("Writing", "Checksum")])

            def describe(image: Path, finished: Callable[[], Written]) -> Mapping[Path, bytes]:
                with _proved(image, plan, cache, progress, with_needs=report is not None) as examination:
                    written = finished()
                    said = medium.beside(written)
                    if sign:
                        said[signature_path(iso)] = sign(written.checksum_line)
                    if report:
                        page = report(image, written, examination, said[manifest_path(iso)].decode())
                        said[report_path(iso)] = page.encode()
                return said

            return write_iso(
                tree,
                iso,
                progress=progress,
                force=force,
                fits=lambda size: check_size(plan, lock, size),
                arrived=inputs.arrived,
                describe=describe,
            )

    with cache.in_use():
        return cache.whole(work, progress.warning)


@contextmanager
def _proved(image: Path, plan: Plan, cache: Cache, progress: Timed, *, with_needs: bool) -> Iterator[Examination]:
    """Refuse an image that would fail: what `isobuilder verify` says, but for sums, which were made as bytes passed."""
    with ExitStack() as stack:
        with progress.stretch("Proof of the image"):
            examination = stack.enter_context(
                examined(
                    image,
                    progress=progress,
                    release=plan.release,
                    read_all=False,
                    with_needs=with_needs,
                    kept=cache.kept,
                )
            )
        _refuse(examination.verdict, progress)
        yield examination


def _refuse(verdict: Verdict, progress: Progress) -> None:
    said: dict[Severity, list[str]] = {severity: [] for severity in SEVERITIES}
    for finding in verdict.findings:
        said[finding.kind.severity].append(f"{finding.place}: {finding.message} [{finding.kind.id}]")
    if said["error"]:
        raise MediumError(
            "the medium would fail, and was not kept",
            details=said["error"],
            hint="isobuilder's docs/findings.md lists what each of these findings means, under its id in brackets.",
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
