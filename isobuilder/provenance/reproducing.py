"""A medium made again from what it carries, and compared bit for bit."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isobuilder.build import build
from isobuilder.errors import LockError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.hosterrors import scratch_errors
from isobuilder.iso.writer import Written
from isobuilder.plan import plan_of
from isobuilder.progress import Progress, Timed
from isobuilder.provenance.firstdifference import first_difference
from isobuilder.provenance.unpacking import told_of_medium, unpack
from isobuilder.verify.medium import open_medium


@dataclass(frozen=True)
class Reproduced:
    """What was `built`, and where the medium is another, in words; None when every bit is the same."""

    built: Written
    difference: str | None


def reproduce(
    iso: Path, cache: Cache, fetcher: Callable[[], Fetcher], progress: Progress, *, output: Path | None
) -> Reproduced:
    """Build the medium `iso` again from the definition, templates and lock that it carries, and compare.

    What is built is kept in the folder `output`, or not at all. Raises MediumError for what carries nothing, LockError
    when what it carries does not belong together, and as `build`.
    """
    with scratch_errors():
        scratch = tempfile.TemporaryDirectory(prefix="isobuilder-reproduce-")
    with scratch as name, open_medium(iso) as medium:
        folder = Path(name).resolve()
        unpacked = unpack(medium, folder)
        with told_of_medium(iso, folder, lacks_secrets=unpacked.lacks_secrets):
            try:
                plan = plan_of(unpacked.definition)
                with fetcher() as fetching:
                    place = output or folder / "built"
                    built = build(plan, fetching, cache, place, Timed(progress), force=False, epoch=None)
            except LockError as error:
                why = f"what it carries does not belong together, or is of another isobuilder: {error.message}"
                raise LockError(f"{iso}: {why}", details=error.details) from error
        with open_medium(built.path) as again:
            return Reproduced(built, first_difference(medium, again, progress))
