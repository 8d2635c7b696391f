"""Secrets in the files of a definition: where they stand, how they are taken out, and how they come back.

A definition and its templates lie on the medium for everybody to read. A secret that a kickstart of the medium has is
there already, and its place is noted, so that the files can be made whole again; any other is gone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

from pydantic import Field

from isobuilder.lock import MediumPath
from isobuilder.schema import Matching, Table
from isobuilder.seeing.redaction import secret_spans

# What a template says to jinja2 is no secret; a hash or a key that stands there in plain is one all the same.
_TEMPLATE: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
# Nobody takes anything so short for a secret, and it may stand anywhere in a kickstart.
_SHORTEST: Final = 4
MARK: Final = "REDACTED"

InputPath = Annotated[
    str, Matching(r"(?!/)(?!(?:.*/)?\.{0,2}(?:/|$))[^\x00-\x1f\x7f]{1,1000}", "a path of a file on the medium")
]
Mark = Annotated[str, Matching(rf"{MARK}-[0-9]{{1,6}}", "a mark for a secret")]


class Redacted(Table):
    """A secret that was taken out of `file`: `mark` stands for it, and `kickstart` has it.

    Both files are paths on the medium; `start` and `size` count characters of the kickstart's text.
    """

    file: InputPath
    mark: Mark
    kickstart: MediumPath
    start: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=1, le=1 << 16)]


def take_out(file: str, text: str, kickstarts: Mapping[str, str]) -> tuple[str, list[Redacted]]:
    """The text of `file` without its secrets, and where kickstarts (texts by path) have them."""
    redacted: list[Redacted] = []
    parts: list[str] = []
    done = 0
    marks = _marks(text)
    known: dict[str, str] = {}
    for start, end in _spans(text):
        secret = text[start:end]
        if secret not in known:
            place = next(((path, at) for path, whole in kickstarts.items() if (at := whole.find(secret)) >= 0), None)
            known[secret] = next(marks) if place else MARK
            if place:
                redacted.append(
                    Redacted(file=file, mark=known[secret], kickstart=place[0], start=place[1], size=len(secret))
                )
        parts += [text[done:start], known[secret]]
        done = end
    return "".join([*parts, text[done:]]), redacted


def put_back(file: str, text: str, redacted: Sequence[Redacted], kickstarts: Mapping[str, str]) -> str:
    """The text of `file` as it was before `take_out`, but for secrets that no kickstart has."""
    secrets = {
        one.mark: kickstarts[one.kickstart][one.start : one.start + one.size]
        for one in redacted
        if one.file == file and one.kickstart in kickstarts
    }
    return re.sub(rf"{MARK}-[0-9]{{1,6}}", lambda found: secrets.get(found[0], found[0]), text)


def _marks(text: str) -> Iterator[str]:
    """Marks that the text does not have."""
    number = 0
    while True:
        number += 1
        if (mark := f"{MARK}-{number}") not in text:
            yield mark


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where secrets begin and end, in order, none over another."""
    told_to_jinja = [found.span() for found in _TEMPLATE.finditer(text)]
    done = 0
    for start, end, is_certain in sorted(secret_spans(text), key=lambda span: (span[0], -span[1])):
        is_template = any(start < stop and begin < end for begin, stop in told_to_jinja)
        if start >= done and end - start >= _SHORTEST and (is_certain or not is_template):
            yield start, end
            done = end
