"""Names on the medium: which paths can be, and what each is called in plain ISO 9660.

Rock Ridge carries the real name; the plain one exists for boot loaders that read nothing else, so a name that is short
and simple keeps its look. Names are checked here since pycdlib takes a doubled name for one more piece of the first.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from isobuilder.errors import MediumError

_MAX_RR_NAME = 255
_MAX_IDENTIFIER = 30
_MAX_EXTENSION = 3
_DIGEST = 8
# Eight levels are all that ISO 9660 has, the root among them; deeper folders would have to be moved elsewhere.
_MAX_DEPTH = 7
_EXACT = re.compile(r"[A-Z0-9_]{1,8}(?:\.[A-Z0-9_]{1,3})?")


@dataclass(frozen=True)
class IsoPaths:
    """The ISO 9660 path of each folder and each file, by path on the medium, in the order of the identifiers.

    pycdlib becomes quadratic when a folder's names come in another order than that; parents come before their children.
    """

    folders: Mapping[str, str]
    files: Mapping[str, str]


def iso_paths(paths: Iterable[str]) -> IsoPaths:
    """Names for all of `paths` (of files; relative, parted by "/") and the folders that they imply.

    The result depends on the set of paths alone. Raises MediumError, with all findings, when a path climbs, is absolute
    or too deep, when a name is longer than 255 bytes or has control characters, when a path comes twice, or when one
    path is a file and another lies below it.
    """
    listed = sorted(paths)
    findings = [f"{path!r}: {reason}" for path in listed for reason in _findings(path)]
    findings += [f"{path!r}: is there twice" for path, following in itertools.pairwise(listed) if path == following]
    folders = {parent for path in listed for parent in _parents(path)}
    findings += [f"{path!r}: is a file and a folder" for path in sorted(folders.intersection(listed))]
    if findings:
        raise MediumError("the medium cannot hold these paths", details=findings)
    return _named(folders, set(listed))


def _findings(path: str) -> Iterator[str]:
    names = path.split("/")
    if path.startswith("/") or not path:
        yield "must be a path below the top of the medium"
    elif any(name in {"", ".", ".."} for name in names):
        yield "has an empty part, or one that is . or .."
    if len(names) - 1 > _MAX_DEPTH:
        yield f"lies more than {_MAX_DEPTH} folders deep"
    for name in names:
        if not name.isprintable():
            yield "has a character that cannot be printed"
        elif len(name.encode()) > _MAX_RR_NAME:
            yield f"has a name of more than {_MAX_RR_NAME} bytes"


def _parents(path: str) -> Iterator[str]:
    for match in re.finditer("/", path):
        yield path[: match.start()]


def _named(folders: set[str], files: set[str]) -> IsoPaths:
    children: dict[str, list[str]] = {"": []}
    for path in folders | files:
        children.setdefault(path.rpartition("/")[0], []).append(path)
    named = {"": ""}
    folder_paths: dict[str, str] = {}
    file_paths: dict[str, str] = {}
    waiting = [""]
    while waiting:
        here = waiting.pop(0)
        identifiers = _identifiers(children[here], folders)
        for path in sorted(children[here], key=identifiers.__getitem__):
            named[path] = f"{named[here]}/{identifiers[path]}"
            if path in folders:
                folder_paths[path] = named[path]
                waiting.append(path)
            else:
                file_paths[path] = named[path]
    return IsoPaths(folder_paths, file_paths)


def _identifiers(paths: list[str], folders: set[str]) -> dict[str, str]:
    """The identifiers of one folder's children: those that need no change first, so that no other takes theirs."""
    taken: set[str] = set()
    identifiers = {}
    for path in sorted(paths, key=lambda path: (not _EXACT.fullmatch(_last(path).upper()), path)):
        is_folder = path in folders
        stem = next(stem for stem in _candidates(_last(path), is_folder=is_folder) if stem not in taken)
        taken.add(stem)
        identifiers[path] = stem if is_folder else f"{stem if '.' in stem else stem + '.'};1"
    return identifiers


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _candidates(name: str, *, is_folder: bool) -> Iterator[str]:
    """Identifiers for one name, best first, without version: the plain one, then ones with a digest of the name.

    A digest rather than a number, so that a name's identifier seldom changes when another file comes or goes.
    """
    stem, dot, extension = name.rpartition(".")
    if is_folder or not stem or not re.fullmatch(rf"[A-Za-z0-9_]{{1,{_MAX_EXTENSION}}}", extension):
        stem, dot, extension = name, "", ""
    stem, suffix = _plain(stem), dot + extension.upper()
    room = _MAX_IDENTIFIER - len(suffix)
    yield stem[:room] + suffix
    for attempt in itertools.count():
        digest = hashlib.sha256(f"{attempt}/{name}".encode()).hexdigest()[:_DIGEST].upper()
        yield f"{stem[: room - _DIGEST - 1]}_{digest}{suffix}"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Z0-9_]", "_", text.upper())
