"""`isobuilder diff`: what differs between two media. Heavy libraries are imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from isobuilder.completion import release_ids


def diff(
    old: Annotated[
        Path,
        typer.Argument(
            metavar="OLD", help="An ISO, a lock (NAME.lock) or a manifest (NAME.manifest.json).", readable=False
        ),
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Another.", readable=False)],
    *,
    release: Annotated[
        str | None,
        typer.Option(
            "--release",
            autocompletion=release_ids,
            help="Read kickstarts as this release does, or a release file (a path that ends in .toml); without it by "
            "the version that each medium says.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what differs as JSON.")] = False,
) -> None:
    """Say what differs between two ISOs, two locks, or both: packages by role, menus, kickstarts, boot files.

    Exit 0 when nothing does, 1 when anything does. Secrets of kickstarts are never shown.
    """
    from isobuilder.releases import named_release
    from isobuilder.seeing.comparison import compare

    difference = compare(old, new, named_release(release, Path()) if release else None)
    typer.echo(difference.json() if as_json else "\n".join(difference.lines()))
    raise typer.Exit(1 if difference.changes else 0)
