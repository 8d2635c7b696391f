"""What a lock names, brought into the cache and found to be good: after this, a medium needs no network."""

from pathlib import Path

from isobuilder.budget import make_budget
from isobuilder.errors import DamagedError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.lock import File, Lock, LockedRepository, RepositoryFile
from isobuilder.progress import Expected, Progress
from isobuilder.repository.mirrors import REPOMD
from isobuilder.signed import PackageChecks
from isobuilder.trust.signatures import Signer


def fetch_inputs(lock: Lock, fetcher: Fetcher, cache: Cache, output: Path, progress: Progress) -> dict[str, Signer]:
    """Bring what the lock names and the cache lacks, having said how much it is and looked whether there is room.

    Who signed each package, as `PackageChecks.finish`: they are looked at while others are still under way. Raises
    HostError when what is missing does not fit into the cache, or the medium into the folder `output`, which is made,
    DamagedError with the metadata that is not what it was, and TrustError with all packages that are not to be trusted.
    """
    files = locked_files(lock)
    budget = make_budget(lock, files, cache, output)
    for line in budget.lines():
        progress.note(line)
    budget.check()
    progress.expect([Expected("Packages", budget.missing_size)])
    fetcher.fetch_all([_at_its_address(key.file) for key in lock.keys], title="Keys")
    checks = PackageChecks(lock, cache)
    if budget.missing:
        fetcher.fetch_all(files, title="Packages", landed=checks.landed)
    else:
        with progress.task("Packages", 0):
            pass
    for file in files:
        cache.mark_used(file.sha256)
    _check_metadata(lock, cache)
    return checks.finish(progress)


def _check_metadata(lock: Lock, cache: Cache) -> None:
    """Find damage also where what was made of the metadata is kept, and nobody reads it in this build."""
    damaged = []
    for file in (file for repository in lock.repositories for file in repository.metadata.values()):
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
