"""`isobuilder verify`: an image examined, and the verdict printed. Heavy libraries are imported when it runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from isobuilder.completion import release_ids
from isobuilder.errors import MediumError, UsageError


def verify(
    iso: Annotated[Path, typer.Argument(metavar="ISO", help="The image to examine.", readable=False)],
    *,
    form: Annotated[
        Literal["text", "json", "sarif"], typer.Option("--format", help="How the findings are printed.")
    ] = "text",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ID", help="Findings of this id alone; may be given again.", show_default=False),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="ID", help="No findings of this id; may be given again.", show_default=False),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(
            "--release",
            autocompletion=release_ids,
            help="Judge kickstarts by this release, or by a release file (a path that ends in .toml); without it by "
            "the version that the medium says.",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Compare no checksums: do not read all of the image.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Examine an installer ISO of the CentOS family, made by isobuilder or not, and say what would go wrong with it.

    Nothing is mounted, no root is needed, and nothing is changed. Exit 8 when something would fail.
    """
    from isobuilder.console import Console
    from isobuilder.releases import named_release
    from isobuilder.verify.catalogue import CATALOGUE
    from isobuilder.verify.examine import examine

    _known([*(only or ()), *(skip or ())], CATALOGUE)
    verdict = examine(
        iso,
        progress=Console(quiet=quiet or form != "text"),
        release=named_release(release, Path()) if release else None,
        wanted=lambda kind: (not only or kind.id in only) and kind.id not in (skip or ()),
        read_all=not quick,
    )
    match form:
        case "text":
            typer.echo("\n".join(verdict.lines()))
        case "json":
            typer.echo(verdict.json())
        case "sarif":
            typer.echo(verdict.sarif(tuple(CATALOGUE.values())))
    if not verdict.passed:
        raise typer.Exit(MediumError.exit_code)


def _known(ids: Sequence[str], catalogue: Mapping[str, object]) -> None:
    from isobuilder.schema import did_you_mean

    unknown = [f"{each!r} is no finding{did_you_mean(each, catalogue)}" for each in ids if each not in catalogue]
    if unknown:
        raise UsageError("--only and --skip take ids of findings", details=unknown)
