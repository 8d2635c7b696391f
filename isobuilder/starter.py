"""What somebody begins with: a commented definition, and the schema by which an editor knows its keys."""

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import jinja2

from isobuilder.definition import USUAL_PLACE, Definition
from isobuilder.errors import HostError, UsageError
from isobuilder.releases import Release
from isobuilder.resources import data_folder

TEMPLATE: Final = "starter.toml.j2"
# The template's first line names it.
SCHEMA_FILE: Final = "media.schema.json"


def starter_files(name: str, release: Release) -> dict[str, str]:
    """A definition `name` of `release` and its schema, as text by file name."""
    environment = jinja2.Environment(  # noqa: S701 - TOML is no HTML
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    template = environment.from_string((data_folder("kickstarts") / TEMPLATE).read_text(encoding="ascii"))
    return {SCHEMA_FILE: schema_text(), USUAL_PLACE.name: template.render(name=name, release=release)}


def schema_text() -> str:
    """The JSON Schema of a definition."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema = dialect | Definition.model_json_schema() | {"title": "isobuilder definition"}
    return json.dumps(schema, indent=2) + "\n"


def name_of(folder: Path) -> str:
    """A definition's name, made of that of the `folder` that it lies in."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", os.path.basename(os.path.abspath(folder)))[:61]  # noqa: PTH100, PTH119 - '..' too
    return words.strip("._-") or "medium"


def write_new(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write `files` into `folder`, which is made: all of them under names that nobody has, or none.

    Raises UsageError where one is there, HostError where it cannot be written.
    """
    paths = [folder / name for name in files]
    if there := [path for path in paths if os.path.lexists(path)]:
        raise UsageError(
            f"{' and '.join(map(str, there))}: there already, and nothing is overwritten",
            hint="Name another folder, or take the schema alone: isobuilder schema >media.schema.json",
        )
    made: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".isobuilder-init-") as parts:
            for path, text in zip(paths, files.values(), strict=True):
                part = Path(parts) / path.name
                with part.open("x", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                # Unlike a rename, this takes no name that somebody else has taken meanwhile.
                path.hardlink_to(part)
                made.append(path)
    except BaseException as error:
        for path in made:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            place = error.filename2 or error.filename or folder
            raise HostError(f"{place}: cannot be written: {error.strerror}") from error
        raise
    return made
