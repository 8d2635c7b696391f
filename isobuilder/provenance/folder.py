"""The folder on a medium that says what went into it: inputs, lock, bill of materials and manifest."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from isobuilder.errors import MediumError
from isobuilder.iso.writer import Written, bill_path, manifest_path
from isobuilder.lock import Lock, dump_lock
from isobuilder.manifest import Manifest, manifest_beside, manifest_of
from isobuilder.plan import Plan
from isobuilder.provenance.bill import Told, bill_of_materials
from isobuilder.provenance.carried import BILL, INDEX, LOCK, MANIFEST
from isobuilder.repository.pieces import Piece
from isobuilder.tree import Content, Inline, Late, Tree
from isobuilder.trust.signatures import Signer

# The longest names that a signer's algorithm and digest can have.
_ALGORITHM: Final = "ed25519"
_DIGEST: Final = "sha512"


class Signers(Protocol):
    """Who signed each package, by its sha256; not those that are taken unsigned."""

    @property
    def known_signers(self) -> Mapping[str, Signer] | None:
        """None while that is not known of all packages."""
        ...

    def signers(self) -> Mapping[str, Signer]:
        """Of all packages, which are waited for."""
        ...


@dataclass(frozen=True)
class _Said:
    """What depends on who signed: bill and manifest, and the manifest as it lies on the medium."""

    bill: bytes
    manifest: Manifest
    manifest_file: bytes


class Described:
    """`tree` with the folder in it, and what is said beside its image; `pieces` are those of packages, by their sha256.

    Each file there is named by the manifest, which comes last, and names all but itself. Who signed a package is known
    once it has come, and its place on the medium before: so bill and manifest are as long as they would be with the
    longest signers, and what is shorter has blanks behind it.

    Raises MediumError where the definition's files want a place that is taken.
    """

    def __init__(
        self,
        tree: Tree,
        plan: Plan,
        lock: Lock,
        pieces: Mapping[str, Piece],
        signers: Signers,
        made_with: Mapping[str, str],
    ) -> None:
        carried = plan.carried
        index = json.dumps(carried.index.model_dump(by_alias=True, mode="json"), indent=1) + "\n"
        texts = {**carried.files, INDEX: index, LOCK: dump_lock(lock)}
        self._without = _with(tree, {path: Inline(text.encode()) for path, text in texts.items()})
        self._plan = plan
        self._lock = lock
        self._told = {sha256: Told.of(piece) for sha256, piece in pieces.items()}
        self._signers = signers
        self._made_with = made_with
        self._longest = _longest(lock)
        self._known = signers.known_signers
        self._first = self._said_with(self._longest if self._known is None else self._known)

    @property
    def tree(self) -> Tree:
        """With files that are made when all packages have come."""
        bill = Late(len(self._first.bill), lambda: self._said.bill)
        manifest = Late(len(self._first.manifest_file), lambda: self._said.manifest_file)
        return _with(self._without, {BILL: bill, MANIFEST: manifest})

    def beside(self, written: Written) -> dict[Path, bytes]:
        """Files beside the image `written`, by their paths."""
        return {
            manifest_path(written.path): manifest_beside(self._said.manifest, written).dump(),
            bill_path(written.path): self._said.bill,
        }

    @cached_property
    def _said(self) -> _Said:
        # Asked also where it is known: what was found out of packages is kept then.
        signers = self._signers.signers()
        return self._first if signers == self._known else self._said_with(signers)

    def _said_with(self, signers: Mapping[str, Signer]) -> _Said:
        name = self._plan.iso_name.removesuffix(".iso")
        bill = bill_of_materials(self._lock, self._plan.release, signers, self._told, name=name)
        bill = _filled_up(bill, self._shorter(signers, lambda signer: (signer.fingerprint,), on_medium=True))
        tree = _with(self._without, {BILL: Inline(bill)})
        manifest = manifest_of(self._lock, signers, tree, self._made_with)
        return _Said(bill, manifest, _filled_up(manifest.dump(), self._shorter(signers, _everything, on_medium=False)))

    def _shorter(
        self, signers: Mapping[str, Signer], said: Callable[[Signer], Iterable[str]], *, on_medium: bool
    ) -> int:
        """How much shorter what is `said` of `signers` is than of the longest; all packages, or those `on_medium`."""
        digests = [
            p.file.sha256 for p in self._lock.packages if p.file.sha256 in signers and (p.roles or not on_medium)
        ]
        return sum(
            len(longest) - len(actual)
            for sha256 in digests
            for longest, actual in zip(said(self._longest[sha256]), said(signers[sha256]), strict=True)
        )


def _everything(signer: Signer) -> tuple[str, ...]:
    return signer.fingerprint, signer.key, signer.algorithm, signer.digest


def _longest(lock: Lock) -> dict[str, Signer]:
    """For each package that has to be signed, a signer that takes as many characters as any that may have signed it."""
    keys = {
        repository.id: "F" * max(map(len, repository.fingerprints))
        for repository in lock.repositories
        if repository.trust == "signed"
    }
    # As `PackageChecks` does, for a file that two repositories have.
    packages = {package.file.sha256: package for package in lock.packages}
    return {
        sha256: Signer(keys[package.repository], keys[package.repository], _ALGORITHM, _DIGEST)
        for sha256, package in packages.items()
        if package.repository in keys
    }


def _filled_up(text: bytes, count: int) -> bytes:
    """A JSON text with so many blanks before its last line ends: they are no part of what it says."""
    return text.removesuffix(b"\n") + b" " * count + b"\n"


def _with(tree: Tree, files: Mapping[str, Content]) -> Tree:
    if taken := sorted(tree.files.keys() & files.keys()):
        raise MediumError(f"two files want the place {taken[0]!r} on the medium")
    return replace(tree, files={**tree.files, **files})
