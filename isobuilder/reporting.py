"""From a finished image to the page about it: what a build knows besides, and what lies beside an image."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from isobuilder.build import Reporter
from isobuilder.errors import MediumError
from isobuilder.iso.writer import Written, manifest_path
from isobuilder.manifest import ManifestBeside, read_manifest
from isobuilder.progress import Progress, Timed
from isobuilder.releases import Release
from isobuilder.seeing.page import render
from isobuilder.seeing.picture import Firmware, Pictures
from isobuilder.seeing.report import gather
from isobuilder.verify.examine import Examination, examined
from isobuilder.verify.sums import sha256_beside

_WRITTEN = "Checksums were made as the image was written."
_COMPARED = "All of the image was read, and its checksums were compared."
_NOT_COMPARED = "Checksums were not compared."


def build_reporter(iso: Path, release: Release, progress: Timed, *, pictures: bool) -> Reporter:
    """What makes the report of a build whose image will be `iso`: with its timings, and what differs from `iso` before.

    Where that is not there any more, its manifest may be.
    """

    def report(image: Path, written: Written, examination: Examination, manifest: str) -> str:
        before = (path for path in (iso, manifest_path(iso)) if path.exists())
        with progress.stretch("Report"):
            gathered = gather(
                image,
                examination,
                name=iso.name,
                release=release,
                manifest=ManifestBeside.parse(manifest, where=manifest_path(iso)),
                sha256=written.sha256,
                previous=next(before, None),
                progress=progress,
                checksums=_WRITTEN,
                take=_taking() if pictures else None,
            )
        return render(replace(gathered, timings=progress.timings, seconds=progress.seconds))

    return report


def report_of(
    iso: Path, release: Release | None, progress: Progress, *, previous: Path | None, pictures: bool, read_all: bool
) -> str:
    """The page about any image, with what its manifest says where one is beside it; `previous` is as in `compare`.

    Raises UsageError when there is no such file, HostError when it cannot be read, MediumError when it is no image.
    """
    with examined(iso, progress=progress, release=release, read_all=read_all, with_needs=True) as examination:
        sha256, _ = sha256_beside(iso)
        manifest, notes = _manifest(iso, examination.verdict.size, sha256)
        return render(
            gather(
                iso,
                examination,
                name=iso.name,
                release=release,
                manifest=manifest,
                sha256=sha256 or "",
                previous=previous,
                progress=progress,
                checksums=_COMPARED if read_all else _NOT_COMPARED,
                notes=notes,
                take=_taking() if pictures else None,
            )
        )


def _taking() -> Callable[[Path, Iterable[Firmware], Progress], Pictures]:
    # Machines are a good part of the program, and most builds in CI take no pictures.
    from isobuilder.seeing.pictures import take_pictures

    return take_pictures


def _manifest(iso: Path, size: int, sha256: str | None) -> tuple[ManifestBeside | None, tuple[str, ...]]:
    """The manifest beside an image, and why it is not believed."""
    path = manifest_path(iso)
    try:
        manifest = read_manifest(path)
    except MediumError as error:
        return None, (f"{error.message.removeprefix(f'{path}: ')}: {path.name}",)
    if manifest and (manifest.iso.size != size or (sha256 and manifest.iso.sha256 != sha256)):
        return None, (f"{path.name} is of another image, and was not used",)
    return manifest, ()
