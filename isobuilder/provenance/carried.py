"""The files of the user's side, as a medium carries them: the definition and all that was read for it but ours.

They lie as they lay about the definition, so that the names by which one names another hold. Secrets are out of them.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from isobuilder.blueprint import Blueprint
from isobuilder.hosterrors import host_errors
from isobuilder.kickstart.rendering import Kickstart
from isobuilder.lock import MediumPath
from isobuilder.products import PRODUCT_FILE
from isobuilder.provenance.secrets import Redacted, take_out
from isobuilder.resources import data_folder
from isobuilder.schema import Many, Table

# The folder on the medium, and what lies in it beside the inputs.
FOLDER: Final = "isobuilder"
INPUTS: Final = f"{FOLDER}/inputs"
INDEX: Final = f"{FOLDER}/inputs.json"
LOCK: Final = f"{FOLDER}/lock.json"
MANIFEST: Final = f"{FOLDER}/manifest.json"
BILL: Final = f"{FOLDER}/sbom.spdx.json"
# The definition has one name there, whatever it is called: a name changes no bit.
DEFINITION: Final = "media.toml"
# Stands for a folder of the definition's path that its files climb out of; what it is called nobody has to know.
_ABOVE: Final = "here"


class Index(Table):
    """What lies in INPUTS: where the `definition` is, and which secrets were taken out of the files there."""

    version: Literal[1] = 1
    definition: MediumPath
    redacted: Many[Redacted] = ()


@dataclass(frozen=True)
class Carried:
    """`files` are texts by their path on the medium; `left_out` are files that have no place there."""

    files: Mapping[str, str]
    index: Index
    left_out: tuple[str, ...] = ()


def carry(blueprint: Blueprint, kickstarts: Sequence[Kickstart]) -> Carried:
    """What a medium carries of a definition, its release file, its product and its templates; none of ours.

    Left out is what an absolute path names: such a place is the machine's. Raises HostError for what cannot be read.
    """
    definition = blueprint.definition
    ours = data_folder("kickstarts").resolve()
    wanted: dict[str, Path] = {}
    left_out = []
    for path in sorted(set(_read(blueprint, kickstarts))):
        if path.resolve().is_relative_to(ours):
            continue
        if path.is_relative_to(definition.folder):
            # As it is written, and not as the machine's folders are called.
            wanted[os.path.normpath(path.relative_to(definition.folder))] = path
        else:
            left_out.append(str(path))
    up = max([PurePosixPath(relative).parts.count("..") for relative in wanted], default=0)
    here = "/".join([INPUTS, *[_ABOVE] * up])
    texts = {f"{here}/{DEFINITION}": _text(definition.read_from)}
    texts |= {os.path.normpath(f"{here}/{relative}"): _text(path) for relative, path in wanted.items()}
    rendered = {kickstart.path: kickstart.text for kickstart in kickstarts}
    files: dict[str, str] = {}
    redacted: list[Redacted] = []
    for place, text in texts.items():
        files[place], found = take_out(place, text, rendered)
        redacted += found
    return Carried(files, Index(definition=f"{here}/{DEFINITION}", redacted=tuple(redacted)), tuple(left_out))


def _read(blueprint: Blueprint, kickstarts: Sequence[Kickstart]) -> Iterator[Path]:
    """All files beside the definition itself."""
    definition, product = blueprint.definition, blueprint.product
    if definition.release.endswith(".toml"):
        yield definition.folder / definition.release
    for folder in product.folders if product else ():
        yield folder / PRODUCT_FILE
    for kickstart in kickstarts:
        yield from kickstart.files


def _text(path: Path) -> str:
    with host_errors(path):
        return path.read_bytes().decode("utf-8")
