"""What a build is going to fetch and to write, and the space there is for it, before the first download."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import filesize

from isobuilder.errors import HostError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.iso.writer import free_space
from isobuilder.lock import Lock


@dataclass(frozen=True)
class Place:
    """A folder that bytes are going to: `need` at least, `free` now; `device` tells file systems apart."""

    path: Path
    need: int
    free: int
    device: int


@dataclass(frozen=True)
class Budget:
    """Numbers of files, and bytes. `partial` have come already of what is to be fetched."""

    packages: int
    packages_size: int
    here: int
    here_size: int
    missing: int
    missing_size: int
    partial: int
    cache: Place
    output: Place

    def lines(self) -> Iterator[str]:
        """For people."""
        size = filesize.decimal
        yield f"{self.packages} packages for the medium, {size(self.packages_size)}"
        begun = f" ({size(self.partial)} of them came before)" if self.partial else ""
        yield (
            f"to fetch: {self.missing} files, {size(self.missing_size)}{begun}; "
            f"in the cache: {self.here} files, {size(self.here_size)}"
        )
        for places in self._by_file_system():
            what = " and ".join(f"{size(place.need)} in {place.path}" for place in places)
            yield f"space: at least {what}; {size(places[0].free)} free"

    def check(self) -> None:
        """Raises HostError where what is needed does not fit."""
        short = [places for places in self._by_file_system() if sum(p.need for p in places) > places[0].free]
        if short:
            raise HostError(
                "there is not enough space",
                details=[
                    f"{' and '.join(str(place.path) for place in places)}: "
                    f"{filesize.decimal(sum(place.need for place in places))} needed at least, "
                    f"{filesize.decimal(places[0].free)} free"
                    for places in short
                ],
                hint="Make room, or choose other places with --output-dir and --cache-dir (ISOBUILDER_CACHE).",
            )

    def _by_file_system(self) -> list[tuple[Place, ...]]:
        if self.cache.device == self.output.device:
            return [(self.cache, self.output)]
        return [(self.cache,), (self.output,)]


def make_budget(
    lock: Lock, files: Sequence[Wanted], cache: Cache, output: Path, free: Callable[[Path], int] = free_space
) -> Budget:
    """What `lock`, which names `files`, needs of `cache` and of the folder `output`, which is made.

    Raises HostError when that cannot be.
    """
    missing = [file for file in files if not cache.has(file.sha256, file.size)]
    packages = {p.file.sha256: p.file.size for p in lock.packages if p.roles}
    boot = {b.file.sha256: b.file.size for b in lock.boot if b.member is None}
    missing_size = sum(file.size for file in missing)
    partial = sum(min(cache.part_size(file.sha256), file.size) for file in missing)
    try:
        output.mkdir(parents=True, exist_ok=True)
        return Budget(
            packages=sum(bool(package.roles) for package in lock.packages),
            packages_size=sum(packages.values()),
            here=len(files) - len(missing),
            here_size=sum(file.size for file in files) - missing_size,
            missing=len(missing),
            missing_size=missing_size,
            partial=partial,
            cache=_place(cache.root, missing_size - partial, free),
            output=_place(output, sum((packages | boot).values()), free),
        )
    except OSError as error:
        raise HostError(
            f"{error.filename or output}: {error.strerror}", hint="Choose another place with --output-dir."
        ) from error


def _place(path: Path, need: int, free: Callable[[Path], int]) -> Place:
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    return Place(path, need, free(there), there.stat().st_dev)
