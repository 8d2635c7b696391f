"""From a finished image to the page about it: what a build knows besides, and what lies beside an image."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from isobuilder.build import Told
from isobuilder.errors import MediumError
from isobuilder.iso.writer import manifest_path
from isobuilder.manifest import ManifestBeside, read_manifest
from isobuilder.plan import Plan
from isobuilder.progress import Progress, Timed
from isobuilder.releases import Release
from isobuilder.seeing.page import render
from isobuilder.seeing.picture import Firmware, Pictures
from isobuilder.seeing.report import gather, look
from isobuilder.verify.examine import Examination, examined
from isobuilder.verify.sums import sha256_beside

_WRITTEN = "Checksums were made as the image was written."
_COMPARED = "All of the image was read, and its checksums were compared."
_NOT_COMPARED = "Checksums were not compared."


def report_of_build(
    image: Path,
    examination: Examination,
    told: Callable[[], Told],
    plan: Plan,
    output: Path,
    progress: Timed,
    *,
    pictures: bool,
) -> str:
    """The page about the `image` that will lie in the folder `output`: with the build's timings, and what is new in it.

    What is said beside the image is waited for when all else is done. Where the image of before is not there any more,
    its manifest may be.
    """
    iso = output / plan.iso_name
    before = (path for path in (iso, manifest_path(iso)) if path.exists())

    with progress.stretch("Report"):
        looked = look(image, examination, progress, _taking() if pictures else None)
    manifest = ManifestBeside.parse(told().beside[manifest_path(iso)], where=manifest_path(iso))
    gathered = gather(
        looked,
        name=iso.name,
        release=plan.release,
        manifest=manifest,
        sha256=manifest.iso.sha256,
        previous=next(before, None),
        checksums=_WRITTEN,
    )
    return render(replace(gathered, timings=progress.timings, seconds=progress.seconds))


def report_of(
    iso: Path, release: Release | None, progress: Progress, *, previous: Path | None, pictures: bool, read_all: bool
) -> str:
    """The page about any image, with what its manifest says where one is beside it; `previous` is as in `compare`.

    Raises UsageError when there is no such file, HostError when it cannot be read, MediumError when it is no image.
    """
    with examined(iso, progress=progress, release=release, read_all=read_all, with_needs=True) as examination:
        sha256, _ = sha256_beside(iso)
        manifest, notes = _manifest(iso, examination.verdict.size, sha256)
        looked = look(iso, examination, progress, _taking() if pictures else None)
        return render(
            gather(
                looked,
                name=iso.name,
                release=release,
                manifest=manifest,
                sha256=sha256 or "",
                previous=previous,
                checksums=_COMPARED if read_all else _NOT_COMPARED,
                notes=notes,
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
