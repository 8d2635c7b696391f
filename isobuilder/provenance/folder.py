"""The folder on a medium that says what went into it: inputs, lock, bill of materials and manifest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from isobuilder.errors import MediumError
from isobuilder.iso.writer import Written, bill_path, manifest_path
from isobuilder.lock import Lock, dump_lock
from isobuilder.manifest import Manifest, manifest_beside, manifest_of
from isobuilder.plan import Plan
from isobuilder.provenance.bill import Told, bill_of_materials
from isobuilder.provenance.carried import BILL, INDEX, LOCK, MANIFEST
from isobuilder.repository.pieces import Piece
from isobuilder.tree import Inline, Tree
from isobuilder.trust.signatures import Signer


@dataclass(frozen=True)
class Described:
    """A tree with the folder in it, and what is said beside its image."""

    tree: Tree
    manifest: Manifest
    bill: bytes

    def beside(self, written: Written) -> dict[Path, bytes]:
        """Files beside the image `written`, by their paths."""
        return {
            manifest_path(written.path): manifest_beside(self.manifest, written).dump(),
            bill_path(written.path): self.bill,
        }


def described(
    tree: Tree,
    plan: Plan,
    lock: Lock,
    pieces: Mapping[str, Piece],
    signers: Mapping[str, Signer],
    made_with: Mapping[str, str],
) -> Described:
    """`tree` with what went into it; `signers` and `pieces` are those of packages, by their sha256.

    Each file there is named by the manifest, which comes last, and names all but itself. Raises MediumError where the
    definition's files want a place that is taken.
    """
    told = {sha256: Told.of(piece) for sha256, piece in pieces.items()}
    bill = bill_of_materials(lock, plan.release, signers, told, name=plan.iso_name.removesuffix(".iso"))
    carried = plan.carried
    index = json.dumps(carried.index.model_dump(by_alias=True, mode="json"), indent=1) + "\n"
    texts = {**carried.files, INDEX: index, LOCK: dump_lock(lock)}
    tree = _with(tree, {**{path: text.encode() for path, text in texts.items()}, BILL: bill})
    manifest = manifest_of(lock, signers, tree, made_with)
    return Described(_with(tree, {MANIFEST: manifest.dump()}), manifest, bill)


def _with(tree: Tree, files: Mapping[str, bytes]) -> Tree:
    if taken := sorted(tree.files.keys() & files.keys()):
        raise MediumError(f"two files want the place {taken[0]!r} on the medium")
    return replace(tree, files={**tree.files, **{path: Inline(data) for path, data in files.items()}})
