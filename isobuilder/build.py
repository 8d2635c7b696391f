"""The way through, on one screen: definition, kickstarts, lock, cache, tree, ISO."""

from pathlib import Path

from rich import filesize

from isobuilder.compose import compose
from isobuilder.errors import HostError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.iso.writer import Written, check_output, free_space, write_iso
from isobuilder.lock import File, Lock
from isobuilder.locking import make_lock, matching_lock, other_versions, write_lock
from isobuilder.plan import Plan
from isobuilder.progress import Progress
from isobuilder.trust.signatures import Keyring, verify_digests, verify_package


def build(plan: Plan, fetcher: Fetcher, cache: Cache, output: Path, progress: Progress, *, force: bool) -> Written:
    """Make the medium that the plan describes, in the folder `output`. The lock is made when there is none."""
    iso = output / plan.iso_name
    check_output(iso, force=force)
    lock = matching_lock(plan)
    if lock is None:
        lock = make_lock(plan, fetcher, cache, progress)
        write_lock(plan, lock)
    for version in other_versions(lock):
        progress.note(f"warning: {version}; the bits may differ")
    fetch(lock, fetcher, cache, output, progress)
    check_signatures(lock, cache, progress)
    tree = compose(plan, lock, cache)
    return write_iso(tree, iso, progress=progress, force=force)


def fetch(lock: Lock, fetcher: Fetcher, cache: Cache, output: Path, progress: Progress) -> None:
    """Bring what the lock names and the cache lacks, having said how much it is and that there is room for it."""
    files = locked_files(lock)
    missing = [file for file in files if not cache.has(file.sha256, file.size)]
    total, to_fetch = (filesize.decimal(sum(file.size for file in some)) for some in (files, missing))
    packages = sum(bool(package.roles) for package in lock.packages)
    free = _free_space(output)
    progress.note(
        f"{packages} packages on the medium; {total} of input, {to_fetch} to fetch; {filesize.decimal(free)} free"
    )
    if sum(file.size for file in files) > free:
        raise HostError(f"{output}: {total} needed for the ISO, {filesize.decimal(free)} free")
    fetcher.fetch_all(files, title="Packages")


def locked_files(lock: Lock) -> list[File]:
    """Every file that the lock names, once."""
    files = [
        *(key.file for key in lock.keys),
        *(file for repository in lock.repositories for file in repository.metadata.values()),
        *(boot.file for boot in lock.boot if boot.file),
        *(package.file for package in lock.packages),
    ]
    return list({file.sha256: file for file in files}.values())


def check_signatures(lock: Lock, cache: Cache, progress: Progress) -> None:
    """Every package is signed by a key that its repository pins. Raises TrustError at the first that is not."""
    pins = {repository.id: repository.fingerprints for repository in lock.repositories}
    files = [(cache.path(key.file.sha256).read_bytes(), key.fingerprints) for key in lock.keys]
    keyrings = {
        name: Keyring.from_files(
            [(data, allowed) for data, pinned in files if (allowed := [f for f in pinned if f in fingerprints])]
        )
        for name, fingerprints in pins.items()
    }
    with progress.task("Signatures", sum(package.file.size for package in lock.packages)) as advance:
        for package in lock.packages:
            path = cache.path(package.file.sha256)
            if pins[package.repository]:
                verify_package(path, keyrings[package.repository], nevra=package.nevra)
            else:
                verify_digests(path, nevra=package.nevra)
            advance(package.file.size)
    for name in sorted(name for name, fingerprints in pins.items() if not fingerprints):
        progress.note(f"warning: packages of repository {name} are unsigned, as the definition says")


def _free_space(output: Path) -> int:
    try:
        output.mkdir(parents=True, exist_ok=True)
        return free_space(output)
    except OSError as error:
        raise HostError(f"{output}: {error.strerror}", hint="Choose another place with --output-dir.") from error
