"""What a lock names, brought into the cache and found to be good: after this, a medium needs no network."""

from collections.abc import Mapping
from pathlib import Path

from isobuilder.budget import make_budget
from isobuilder.errors import TrustError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.lock import File, Lock, LockedRepository, Package, RepositoryFile
from isobuilder.progress import Progress
from isobuilder.repository.mirrors import REPOMD
from isobuilder.trust.packages import verify_digests, verify_package
from isobuilder.trust.signatures import Keyring, Signer


def fetch_inputs(lock: Lock, fetcher: Fetcher, cache: Cache, output: Path, progress: Progress) -> None:
    """Bring what the lock names and the cache lacks, having said how much it is and looked whether there is room.

    Raises HostError when what is missing does not fit into the cache, or the medium into the folder `output`, which is
    made.
    """
    files = locked_files(lock)
    budget = make_budget(lock, files, cache, output)
    for line in budget.lines():
        progress.note(line)
    budget.check()
    fetcher.fetch_all(files, title="Packages")
    for file in files:
        cache.mark_used(file.sha256)


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


def check_packages(lock: Lock, cache: Cache, progress: Progress) -> dict[str, Signer]:
    """Every package is what the lock says and signed by a key that its repository pins: by which, by package's sha256.

    Packages that the definition takes unsigned are not in the result. Raises TrustError with all that are not.
    """
    keyrings = _keyrings(lock, cache)
    signers: dict[str, Signer] = {}
    findings: list[str] = []
    hints: dict[str, None] = {}
    with progress.task("Signatures", sum(package.file.size for package in lock.packages)) as advance:
        for package in lock.packages:
            try:
                if signer := _check(package, keyrings, cache):
                    signers[package.file.sha256] = signer
            except TrustError as error:
                findings.append(f"{package.nevra} of repository {package.repository}: {error.message}")
                hints[error.hint] = None
            advance(package.file.size)
    if findings:
        raise TrustError(f"{len(findings)} packages are not to be trusted", details=findings, hint=" ".join(hints))
    return signers


def _check(package: Package, keyrings: Mapping[str, Keyring], cache: Cache) -> Signer | None:
    path = cache.check(package.file.sha256)
    if keyring := keyrings.get(package.repository):
        return verify_package(path, keyring, nevra=package.nevra)
    verify_digests(path, nevra=package.nevra)
    return None


def _keyrings(lock: Lock, cache: Cache) -> dict[str, Keyring]:
    """The pinned keys of each repository that has to be signed."""
    files = {key.file.sha256: cache.check(key.file.sha256).read_bytes() for key in lock.keys}
    return {
        repository.id: Keyring.from_files(
            [files[key.file.sha256] for key in lock.keys if repository.id in key.repositories],
            repository.fingerprints,
            sha1=repository.sha1,
        )
        for repository in lock.repositories
        if repository.trust == "signed"
    }
