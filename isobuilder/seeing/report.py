"""All that the report of one medium says, gathered: its facts, findings, origins, pictures, differences and timings.

How it looks is `page`'s business. No secret is in it: what comes from kickstarts and kernel lines comes through
`facts`, which redacts them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from isobuilder.errors import IsobuilderError, MediumError
from isobuilder.iso.writer import manifest_path
from isobuilder.manifest import Manifest, read_manifest
from isobuilder.progress import Progress, Timing
from isobuilder.releases import Release
from isobuilder.seeing.comparison import compare_opened, unchanged
from isobuilder.seeing.difference import Difference
from isobuilder.seeing.facts import MediumFacts, facts_of
from isobuilder.seeing.picture import Firmware, Pictures
from isobuilder.verify.examine import Examination
from isobuilder.verify.medium import Medium
from isobuilder.verify.verdict import Verdict


@dataclass(frozen=True)
class Compared:
    """What differs from an earlier medium `with_name`; `difference` is in words why nothing was compared."""

    with_name: str
    difference: Difference | str


@dataclass(frozen=True)
class Report:
    """Everything. `sha256` is that of the image, "" where it is not known.

    `compared` is None where there is no earlier medium, `timings` are empty for a medium that was not built just now.
    `checksums` says what was done about them, `notes` what else a reader should know.
    """

    found: MediumFacts
    verdict: Verdict
    manifest: Manifest | None
    sha256: str
    pictures: Pictures
    compared: Compared | None
    timings: tuple[Timing, ...] = ()
    seconds: float = 0.0
    checksums: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Looked:
    """An image that was looked at: what was found in it, and its pictures; it stays open as `examination` does."""

    medium: Medium
    found: MediumFacts
    verdict: Verdict
    pictures: Pictures


def look(
    image: Path,
    examination: Examination,
    progress: Progress,
    take: Callable[[Path, Iterable[Firmware], Progress], Pictures] | None,
) -> Looked:
    """What is in `image`, whose `examination` was with its needs. `take` takes pictures of menus; else there are none.

    Raises MediumError for what is no image.
    """
    medium, assessed = examination.medium, examination.assessed
    if medium is None or assessed is None:
        raise MediumError(f"{image}: {examination.verdict.findings[0].message}", hint="isobuilder verify says more.")
    found = facts_of(image, medium, assessed)
    firmwares = tuple(dict.fromkeys(menu.firmware for menu in found.menus))
    pictures = take(image, firmwares, progress) if take else dict.fromkeys(firmwares, "none was asked for")
    return Looked(medium, found, examination.verdict, pictures)


def gather(
    looked: Looked,
    *,
    name: str,
    release: Release | None,
    manifest: Manifest | None,
    sha256: str,
    previous: Path | None,
    checksums: str,
    notes: tuple[str, ...] = (),
) -> Report:
    """All about an image that was looked at, which is or will be called `name`, and at what `previous` differs from it.

    `release` is as in `opened_facts`. Of an earlier medium that cannot be read the report tells.
    """
    compared = None
    if previous:
        try:
            compared = Compared(previous.name, _difference(previous, sha256, looked, release))
        except IsobuilderError as error:
            compared = Compared(previous.name, error.message.removeprefix(f"{previous}: "))
    return Report(
        found=replace(looked.found, path=Path(name)),
        verdict=replace(looked.verdict, iso=Path(name)),
        manifest=manifest,
        sha256=sha256,
        pictures=looked.pictures,
        compared=compared,
        checksums=checksums,
        notes=notes,
    )


def _difference(previous: Path, sha256: str, looked: Looked, release: Release | None) -> Difference:
    """What differs; an earlier image whose manifest says that it is the same one is not read for it."""
    before = read_manifest(manifest_path(previous)) if previous.suffix == ".iso" else None
    if before and (before.iso.sha256, before.iso.size) == (sha256, looked.medium.size) == (
        sha256,
        previous.stat().st_size,
    ):
        return unchanged(looked.found)
    return compare_opened(previous, looked.medium, looked.found, release)
