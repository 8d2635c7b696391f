"""What a medium carries of its making, unpacked into a folder of this machine: hostile until it is shown not to be."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import ValidationError

from isobuilder.definition import Definition, load_definition
from isobuilder.errors import DefinitionError, IsobuilderError, KickstartError, LockError, MediumError
from isobuilder.hosterrors import scratch_errors
from isobuilder.iso.listing import Node
from isobuilder.provenance.carried import FOLDER, INDEX, INPUTS, LOCK, Index
from isobuilder.provenance.secrets import MARK, put_back
from isobuilder.verify.medium import Medium, Unreadable

_MOST_FILES: Final = 1000
_LARGEST: Final = 4 << 20
_LARGEST_LOCK: Final = 256 << 20
_HINT: Final = "Only media that isobuilder built carry what went into them."
_GONE: Final = (
    "A secret of its files is in none of its kickstarts, and was taken out. If that is the reason: build it from the "
    "definition itself, with isobuilder/lock.json out of the medium as its lock, and compare the two."
)


@dataclass(frozen=True)
class Unpacked:
    """A definition with its lock beside it; `lacks_secrets`: some that were taken out of it no kickstart has."""

    definition: Definition
    lacks_secrets: bool


def unpack(medium: Medium, folder: Path) -> Unpacked:
    """Put the inputs of `medium` into `folder`, an empty one, and read the definition among them.

    Nothing is written outside of it, and no file outside of it is read for the definition. Raises MediumError for a
    medium without inputs and for one whose inputs cannot be, DefinitionError with the mistakes of the definition.
    """
    if medium.find(INDEX) is None:
        raise MediumError(f"{medium.path}: it does not carry its definition", hint=_HINT)
    index = _index(medium)
    inputs = _inputs(medium)
    if index.definition not in inputs:
        raise MediumError(f"{medium.path}: {INDEX} names a definition that is not there", hint=_HINT)
    kickstarts = {path: _text(medium, path) for path in {one.kickstart for one in index.redacted} & medium.files.keys()}
    lacks_secrets = False
    with scratch_errors():
        for path in inputs:
            text = put_back(path, _text(medium, path), index.redacted, kickstarts)
            lacks_secrets = lacks_secrets or MARK in text
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode())
    with told_of_medium(medium.path, folder, lacks_secrets=lacks_secrets):
        definition = load_definition(folder / index.definition, within=folder / INPUTS)
    with scratch_errors():
        (definition.folder / f"{definition.name}.lock").write_bytes(_read(medium, LOCK, _LARGEST_LOCK))
    return Unpacked(definition, lacks_secrets)


@contextmanager
def told_of_medium(iso: Path, folder: Path, *, lacks_secrets: bool) -> Iterator[None]:
    """Errors meanwhile name files of `folder`, which is soon gone, by their place on the medium.

    Mistakes in them are not for the reader to mend; where secrets lack, that may be why.
    """

    def told(text: str) -> str:
        return text.replace(f"{folder}/{FOLDER}/", f"{iso}:{FOLDER}/")

    try:
        yield
    except IsobuilderError as error:
        hint = told(error.hint)
        if isinstance(error, DefinitionError | KickstartError | LockError):
            hint = _GONE if lacks_secrets else "isobuilder verify says what was changed on it."
        raise type(error)(told(error.message), details=map(told, error.details), hint=hint) from error


def _index(medium: Medium) -> Index:
    try:
        return Index.model_validate_json(_read(medium, INDEX, _LARGEST), by_alias=True, by_name=False)
    except ValidationError as error:
        findings = [f"{'.'.join(map(str, finding['loc']))}: {finding['msg']}" for finding in error.errors()[:10]]
        raise MediumError(f"{medium.path}: {INDEX} is not as isobuilder writes it", details=findings) from error


def _inputs(medium: Medium) -> Mapping[str, Node]:
    """The files that are inputs, each with a place that is below the folder of them."""
    found = {path: node for path, node in medium.files.items() if path.startswith(f"{INPUTS}/")}
    climbing = [path for path in found if not _stays_below(path)]
    links = [path for path, node in found.items() if not node.is_plain]
    if climbing or links or len(found) > _MOST_FILES:
        raise MediumError(
            f"{medium.path}: what it carries cannot be what isobuilder put there",
            details=[
                *(f"{path!r}: this path leads out of the folder" for path in climbing),
                *(f"{path!r}: it is no plain file" for path in links),
                *([f"{len(found)} files; {_MOST_FILES} are the most"] if len(found) > _MOST_FILES else []),
            ],
            hint="Nothing was unpacked. Take the medium from who made it.",
        )
    return found


def _stays_below(path: str) -> bool:
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/")) and not PurePosixPath(path).is_absolute()


def _text(medium: Medium, path: str) -> str:
    try:
        return _read(medium, path, _LARGEST).decode("utf-8")
    except UnicodeDecodeError as error:
        raise MediumError(f"{medium.path}: {path} is not text in UTF-8") from error


def _read(medium: Medium, path: str, limit: int) -> bytes:
    try:
        return medium.read(path, limit=limit)
    except Unreadable as error:
        raise MediumError(f"{medium.path}: {path}: {error}", hint=_HINT) from error
