"""`isobuilder init`, `releases` and `schema`: what somebody begins with. Heavy libraries are imported when they run."""

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from isobuilder.completion import release_ids


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where it goes; made when it is not there.", readable=False)
    ] = Path(),
    *,
    release: Annotated[
        str | None,
        typer.Option(
            "--release",
            autocompletion=release_ids,
            help="The id of a release (isobuilder releases); without it the newest that has updates.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a commented definition that builds as it is, media.toml, and its schema for editors, media.schema.json.

    Nothing is asked, and nothing is overwritten. The medium is named after the folder.
    """
    import shlex

    from isobuilder.errors import UsageError
    from isobuilder.releases import named_release
    from isobuilder.releases.listing import current
    from isobuilder.starter import name_of, starter_files, write_new

    if release and release.endswith(".toml"):
        raise UsageError(f"--release {release}: only for releases that ship with isobuilder")
    chosen = named_release(release, Path()) if release else current(_today())
    for path in write_new(folder, starter_files(name_of(folder), chosen)):
        typer.echo(f"{path}: written")
    place = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    typer.echo(f"to build an ISO of {chosen.title}: {place}isobuilder build")


def releases(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """List the releases that a definition can name, until when they have updates, and what to be warned about.

    A release of your own is a file: docs/roles.md tells how to write one.
    """
    import json

    from isobuilder.releases.listing import lines, table

    today = _today()
    typer.echo(json.dumps(table(today), indent=1) if as_json else "\n".join(lines(today)))


def schema() -> None:
    """Print the JSON Schema of a definition, for editors.

    Taplo and Even Better TOML take it from the file that a definition's first line names: #:schema ./media.schema.json
    """
    from isobuilder.starter import schema_text

    typer.echo(schema_text(), nl=False)


def _today() -> dt.date:
    return dt.datetime.now(tz=dt.UTC).date()
