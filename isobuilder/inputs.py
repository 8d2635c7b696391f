"""What a lock names, brought into the cache and found to be good: once all has come, a medium needs no network."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from isobuilder.budget import make_budget
from isobuilder.errors import DamagedError
from isobuilder.fetch.arrivals import Arrivals
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.lock import File, Lock, LockedRepository, RepositoryFile
from isobuilder.progress import Expected, Progress
from isobuilder.repository.mirrors import REPOMD
from isobuilder.signed import PackageChecks
from isobuilder.tree import Cached
from isobuilder.trust.signatures import Signer


class Inputs:
    """The files of a lock while they come, and the packages among them while they are looked at. For one thread."""

    def __init__(self, arrivals: Arrivals, checks: PackageChecks, progress: Progress) -> None:
        self._arrivals = arrivals
        self._checks = checks
        self._progress = progress

    def need(self, files: Iterable[str]) -> None:
        """Return once these (sha256) are in the cache, and good where they are packages. Raises as `signers`."""
        wanted = set(files)
        for sha256 in wanted:
            self._wait(sha256)
        self._checks.look_at(wanted)
        self._stop_if_refused()

    def arrived(self, content: Cached) -> None:
        """Return once the file is in the cache. Raises as `signers`."""
        self._wait(content.sha256)

    @property
    def known_signers(self) -> Mapping[str, Signer] | None:
        """As `signers`, where that is known already; else None."""
        return self._checks.known_signers

    def signers(self) -> Mapping[str, Signer]:
        """Who signed each package, once all have come, by its sha256; not those that are taken unsigned.

        Raises all failures to fetch as one, as `Arrivals.finish`, and then as `PackageChecks.finish`.
        """
        self._arrivals.finish()
        return self._checks.finish(self._progress)

    def _wait(self, sha256: str) -> None:
        self._arrivals.wait(sha256)
        self._stop_if_refused()

    def _stop_if_refused(self) -> None:
        if self._checks.has_refused:
            self.signers()


@contextmanager
def arriving(
    lock: Lock, first: Collection[str], fetcher: Fetcher, cache: Cache, output: Path, progress: Progress
) -> Iterator[Inputs]:
    """What the lock names and the cache lacks is on its way while the context lasts, `first` (sha256) before all else.

    How much it is was said before, and whether there is room. Raises HostError when what is missing does not fit into
    the cache, or the medium into the folder `output`, which is made, and DamagedError with the metadata that is not
    what it was.
    """
    files = sorted(locked_files(lock), key=_order(lock, first))
    budget = make_budget(lock, files, cache, output)
    for line in budget.lines():
        progress.note(line)
    budget.check()
    progress.expect([Expected("Packages", budget.missing_size)])
    fetcher.fetch_all([_at_its_address(key.file) for key in lock.keys], title="Keys")
    for file in files:
        cache.mark_used(file.sha256)
    _check_metadata(lock, cache)
    checks = PackageChecks(lock, cache)
    with fetcher.arriving(files, title="Packages", landed=checks.landed) as arrivals:
        yield Inputs(arrivals, checks, progress)


def _order(lock: Lock, first: Collection[str]) -> Callable[[Wanted], tuple[bool, str]]:
    """About that of the medium, so that it can be written while files come."""
    places = {package.file.sha256: package.path for package in lock.packages}
    places |= {boot.file.sha256: boot.path for boot in lock.boot}
    return lambda file: (file.sha256 not in first, places.get(file.sha256, "").upper())


def _check_metadata(lock: Lock, cache: Cache) -> None:
    """Find damage also where what was made of the metadata is kept, and nobody reads it in this build."""
    damaged = []
    for file in (file for repository in lock.repositories for file in repository.metadata.values()):
        if not cache.has(file.sha256, file.size):
            continue
        try:
            cache.check(file.sha256)
        except DamagedError as error:
            damaged.append(error)
    if damaged:
        raise DamagedError.together("metadata in the cache is not what it was when it was fetched", damaged)


def locked_files(lock: Lock) -> list[Wanted]:
    """Every file that the lock names, once, and where it lies; not those that isobuilder makes itself."""
    repositories = {repository.id: repository for repository in lock.repositories}
    files = [
        *(_at_its_address(key.file) for key in lock.keys),
        *(file for repository in lock.repositories if repository.baseurl for file in wanted_metadata(repository)),
        # The others are out of packages.
        *(_at_its_address(boot.file) for boot in lock.boot if isinstance(boot.file, File)),
        *(
            _on_mirrors(repositories[package.repository], package.file)
            for package in lock.packages
            if repositories[package.repository].baseurl
        ),
    ]
    return list({file.sha256: file for file in files}.values())


def asked_addresses(lock: Lock) -> set[str]:
    """Where making this lock looked before it knew what it would find: keys, listings, repomd.xml, and the tree."""
    addresses = {key.file.url for key in lock.keys}
    for repository in lock.repositories:
        addresses.update([repository.listing] if repository.listing else [])
        addresses.update(f"{mirror}{REPOMD}{end}" for mirror in repository.baseurl for end in ("", ".asc"))
    for boot in lock.boot:
        if isinstance(boot.file, File):
            addresses.add(boot.file.url)
            addresses.add(f"{boot.file.url.removesuffix(boot.path)}.treeinfo")
    return addresses


def wanted_metadata(repository: LockedRepository) -> list[Wanted]:
    """The metadata of a repository, and where it lies."""
    return [_on_mirrors(repository, file) for file in repository.metadata.values()]


def _at_its_address(file: File) -> Wanted:
    return Wanted(Place((file.url,)), file.sha256, file.size)


def _on_mirrors(repository: LockedRepository, file: RepositoryFile) -> Wanted:
    return Wanted(Place(repository.baseurl, file.path), file.sha256, file.size)
