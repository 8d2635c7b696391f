"""Whether every package of a lock is what it says, and signed by a key that its repository pins: asked once, kept.

A verdict is about bytes, and is kept by their sha256: who writes the medium compares that again as the bytes pass.
"""

import os
import threading
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import BinaryIO

from isobuilder import __version__
from isobuilder.errors import DamagedError, TrustError
from isobuilder.fetch.cache import Cache
from isobuilder.kept import key_of
from isobuilder.lock import Lock, LockedRepository, Package
from isobuilder.progress import Progress
from isobuilder.trust.packages import verify_digests, verify_package
from isobuilder.trust.signatures import Keyring, Signer

# Counted up when a verdict is kept in another form; the version of isobuilder tells of what is asked.
_FORMAT = 1


class PackageChecks:
    """The checks of the packages of `lock`, whose keys are in `cache`. Any thread may call `landed`."""

    def __init__(self, lock: Lock, cache: Cache) -> None:
        self._cache = cache
        self._packages = {package.file.sha256: package for package in lock.packages}
        self._keyrings = _keyrings(lock, cache)
        self._keys = {repository.id: _key(repository, lock) for repository in lock.repositories}
        self._lock = threading.Lock()
        self._refused: dict[str, TrustError] = {}
        self._new: set[str] = set()
        kept = {name: cache.kept.facts(key) for name, key in self._keys.items()}
        self._signers: dict[str, Signer | None] = {}
        for sha256, package in self._packages.items():
            said = kept[package.repository].get(sha256)
            if said and said[0] == package.nevra:
                self._signers[sha256] = Signer(*said[1]) if said[1] else None

    def landed(self, sha256: str, file: BinaryIO) -> None:
        """Look at a file that has just come, open, if it is a package: its bytes are those of `sha256`."""
        package = self._packages.get(sha256)
        if package and sha256 not in self._signers:
            self._look(package, self._cache.path(sha256), file)

    def look_at(self, files: Collection[str]) -> None:
        """Look at those packages among `files` (sha256) that nobody has looked at; they are in the cache."""
        for package in self._left():
            if package.file.sha256 in files:
                self._read_and_look(package)

    @property
    def has_refused(self) -> bool:
        return bool(self._refused)

    @property
    def known_signers(self) -> Mapping[str, Signer] | None:
        """As `finish`, where nobody needs to look at anything; else None."""
        return None if self._left() or self._refused else self._signed()

    def finish(self, progress: Progress) -> dict[str, Signer]:
        """Look at what is left, and say who signed what: by package's sha256.

        Packages that the definition takes unsigned are not in the result. Raises TrustError with all that are not as
        they should be, or DamagedError with all that were and are not what they were.
        """
        if left := self._left():
            total = sum(package.file.size for package in left)
            with progress.task("Signatures", total) as advance, ThreadPoolExecutor(os.cpu_count(), "check") as workers:
                for package, _ in zip(left, workers.map(self._read_and_look, left), strict=True):
                    advance(package.file.size)
        damaged = [error for error in self._refused.values() if isinstance(error, DamagedError)]
        if damaged:
            raise DamagedError.together("packages in the cache are not what they were when they were fetched", damaged)
        if self._refused:
            findings = [
                f"{package.nevra} of repository {package.repository}: {self._refused[sha256].message}"
                for sha256, package in self._packages.items()
                if sha256 in self._refused
            ]
            hints = dict.fromkeys(error.hint for error in self._refused.values())
            raise TrustError(f"{len(findings)} packages are not to be trusted", details=findings, hint=" ".join(hints))
        self._keep()
        return self._signed()

    def _left(self) -> list[Package]:
        with self._lock:
            return [
                package
                for sha256, package in self._packages.items()
                if sha256 not in self._signers and sha256 not in self._refused
            ]

    def _signed(self) -> dict[str, Signer]:
        return {sha256: signer for sha256, signer in self._signers.items() if signer}

    def _read_and_look(self, package: Package) -> None:
        try:
            path = self._cache.check(package.file.sha256)
        except TrustError as error:
            self._refuse(package, error)
        else:
            self._look(package, path, None)

    def _look(self, package: Package, path: Path, file: BinaryIO | None) -> None:
        try:
            signer = None
            if keyring := self._keyrings.get(package.repository):
                signer = verify_package(path, keyring, nevra=package.nevra, file=file)
            else:
                verify_digests(path, nevra=package.nevra, file=file)
        except TrustError as error:
            self._refuse(package, error)
        else:
            with self._lock:
                self._signers[package.file.sha256] = signer
                self._new.add(package.file.sha256)

    def _refuse(self, package: Package, error: TrustError) -> None:
        with self._lock:
            self._refused[package.file.sha256] = error

    def _keep(self) -> None:
        """Keep the verdicts of this lock's packages beside those that were kept."""
        for name, key in self._keys.items():
            mine = {sha256: p for sha256, p in self._packages.items() if p.repository == name}
            if self._new & mine.keys():
                said = {sha256: [p.nevra, _said(self._signers[sha256])] for sha256, p in mine.items()}
                self._cache.kept.keep_facts(key, {**self._cache.kept.facts(key), **said})


def _said(signer: Signer | None) -> tuple[str, ...] | None:
    return astuple(signer) if signer else None


def _keyrings(lock: Lock, cache: Cache) -> dict[str, Keyring]:
    """The pinned keys of each repository that has to be signed."""
    files = {key.file.sha256: cache.check(key.file.sha256).read_bytes() for key in lock.keys}
    return {
        repository.id: Keyring.from_files(
            [files[sha256] for sha256 in _key_files(repository, lock)],
            repository.fingerprints,
            sha1=repository.sha1,
        )
        for repository in lock.repositories
        if repository.trust == "signed"
    }


def _key_files(repository: LockedRepository, lock: Lock) -> Iterable[str]:
    return [key.file.sha256 for key in lock.keys if repository.id in key.repositories]


def _key(repository: LockedRepository, lock: Lock) -> str:
    """What verdicts about the packages of a repository depend on besides the packages."""
    rules: Mapping[str, object] = {
        "trust": repository.trust,
        "keys": list(_key_files(repository, lock)),
        "fingerprints": list(repository.fingerprints),
        "sha1": repository.sha1,
    }
    return key_of("signatures", _FORMAT, __version__, rules)
