"""The way through, on one screen: plan, lock, inputs, tree, ISO, the proof of it, and the report."""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from isobuilder.compose import compose, read_first, read_pieces
from isobuilder.errors import MediumError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.inputs import arriving
from isobuilder.iso.writer import Written, check_output, report_path, signature_path, write_iso
from isobuilder.lock import Lock
from isobuilder.lockbeside import matching_lock, other_versions, tool_versions, write_lock
from isobuilder.package import provide_own
from isobuilder.plan import Plan
from isobuilder.progress import Expected, Progress, Timed
from isobuilder.provenance.folder import Described
from isobuilder.sizelimit import check_size

# What makes a lock and what looks at an image are a good part of the program. Most builds have a lock, and the image is
# looked at while it is summed up: there is time then.
if TYPE_CHECKING:
    from isobuilder.verify.examine import Examination
    from isobuilder.verify.verdict import Verdict

_STAGES = ("Lock, checked or made", "Packages", "Tree, laid out", "Writing", "Checksum", "Proof of the image", "Report")


@dataclass(frozen=True)
class Told:
    """An image that is complete, and what is said of it `beside` it: path to bytes, its manifest among them."""

    written: Written
    beside: Mapping[Path, bytes]


# What makes a report of an image: it is shown the image and what was found in it, while the image is summed up; its
# third argument waits for that.
Reporter = Callable[[Path, "Examination", Callable[[], Told]], str]


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
                @functools.cache
                def told() -> Told:
                    written = finished()
                    return Told(written, medium.beside(written))

                with _proved(image, plan, cache, progress, with_needs=report is not None) as examination:
                    page = {report_path(iso): report(image, examination, told).encode()} if report else {}
                said = {**told().beside, **page}
                if sign:
                    said[signature_path(iso)] = sign(told().written.checksum_line)
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
def _proved(image: Path, plan: Plan, cache: Cache, progress: Timed, *, with_needs: bool) -> Iterator["Examination"]:
    """Refuse an image that would fail: what `isobuilder verify` says, but for sums, which were made as bytes passed."""
    from isobuilder.verify.examine import examined

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


def _refuse(verdict: "Verdict", progress: Progress) -> None:
    said: defaultdict[str, list[str]] = defaultdict(list)
    for finding in verdict.findings:
        said[finding.kind.severity].append(f"{finding.place}: {finding.message} [{finding.kind.id}]")
    if errors := said["error"]:
        raise MediumError(
            "the medium would fail, and was not kept",
            details=errors,
            hint="isobuilder's docs/findings.md lists what each of these findings means, under its id in brackets.",
        )
    for line in said["warning"]:
        progress.warning(line)


def _lock(plan: Plan, fetcher: Fetcher, cache: Cache, progress: Progress, *, epoch: int | None) -> Lock:
    """The lock that is there, or a new one; what may make the bits differ is said."""
    lock = matching_lock(plan)
    if lock is None:
        from isobuilder.locking import make_lock

        lock = make_lock(plan, fetcher, cache, progress, epoch=epoch)
        write_lock(plan, lock)
    for version in other_versions(lock):
        progress.warning(f"{version}; the bits may differ")
    return lock
