"""The folder in which a medium of isobuilder says what went into it: whether the medium is what its manifest says."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from isobuilder.errors import MediumError
from isobuilder.iso.listing import Node
from isobuilder.manifest import SIZE_LIMIT, Manifest
from isobuilder.provenance.carried import MANIFEST
from isobuilder.verify.finding import Finding, Kind
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.sums import Expected

_MOST_SAID: Final = 3
# The writer of the image makes it.
_CATALOG: Final = "boot.cat"
# What mkisofs and its like write into a loader (-boot-info-table): 16, and the loader's own place.
_BOOT_INFO: Final = 8

UNREADABLE = Kind(
    "manifest-unreadable",
    "error",
    "the manifest on the medium cannot be read",
    "Take the medium again from who made it, or build it anew.",
)
DIFFERS = Kind(
    "manifest-differs",
    "error",
    "a file is not the one that the manifest on the medium says",
    "Find out who changed it; isobuilder reproduce says where the medium is not what its lock makes.",
)
UNLISTED = Kind(
    "manifest-unlisted",
    "warning",
    "a file is on the medium that the manifest there does not name",
    "Find out who put it there; isobuilder reproduce says where the medium is not what its lock makes.",
)
KINDS = (UNREADABLE, DIFFERS, UNLISTED)


@dataclass(frozen=True)
class CarriedManifest:
    """What the manifest says of files: their checksums, to be compared as all others, and what shows without."""

    expected: tuple[Expected, ...] = ()
    findings: tuple[Finding, ...] = ()


def check_manifest(medium: Medium) -> CarriedManifest:
    """What the manifest of the medium says; nothing for one without."""
    if medium.find(MANIFEST) is None:
        return CarriedManifest()
    try:
        manifest = Manifest.parse(medium.read(MANIFEST, limit=SIZE_LIMIT), where=MANIFEST)
    except Unreadable as error:
        return CarriedManifest(findings=(UNREADABLE.at(MANIFEST, str(error)),))
    except MediumError as error:
        said = "; ".join(("it is not as isobuilder writes it", *error.details[:_MOST_SAID]))
        return CarriedManifest(findings=(UNREADABLE.at(MANIFEST, said),))
    named = manifest.digests
    return CarriedManifest(tuple(_expected(medium, named)), tuple(_at_first_sight(medium, named)))


def _expected(medium: Medium, named: dict[str, str]) -> Iterator[Expected]:
    for path, sha256 in named.items():
        node = medium.files.get(path)
        if node and node.is_plain and not _is_told_its_place(medium, node):
            yield Expected(path, node, "sha256", sha256, DIFFERS, MANIFEST)


def _at_first_sight(medium: Medium, named: dict[str, str]) -> Iterator[Finding]:
    for path in sorted(named.keys() - medium.files.keys()):
        yield DIFFERS.at(path, "it is not on the medium")
    for path in sorted(medium.files.keys() - named.keys() - {MANIFEST}):
        if PurePosixPath(path).name != _CATALOG:
            yield UNLISTED.at(path, f"{MANIFEST} does not have it")


def _is_told_its_place(medium: Medium, node: Node) -> bool:
    """Whether mastering wrote into this loader; its boot info table is compared elsewhere."""
    if not node.extents or node.size < _BOOT_INFO + 8:
        return False
    head = medium.head(node, _BOOT_INFO + 8)
    return len(head) == _BOOT_INFO + 8 and struct.unpack_from("<II", head, _BOOT_INFO) == (16, node.extents[0][0])
