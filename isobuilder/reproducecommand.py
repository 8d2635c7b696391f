"""`isobuilder reproduce`: a medium made again from what it carries. Heavy libraries are imported when it runs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from isobuilder.options import CacheFolder, Offline, Quiet

EXIT_DIFFERS = 1


def reproduce(
    iso: Annotated[Path, typer.Argument(metavar="ISO", help="A medium that isobuilder built.", readable=False)],
    *,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir", "-o", help="Keep what is built, in this folder.", show_default=False, readable=False
        ),
    ] = None,
    sources: Annotated[
        Path,
        typer.Option(
            "--sources", help="The folder from which the definition's own paths to sources go.", readable=False
        ),
    ] = Path(),
    offline: Offline = False,
    cache_dir: CacheFolder = None,
    quiet: Quiet = False,
) -> None:
    """Build a medium again from the definition, templates and lock that it carries, and compare every bit.

    Exit 0 when all are the same; 1 when not, and then it says which file differs first, and where. What it carries is
    unpacked into a temporary folder, and believed as little as a download.
    """
    from isobuilder.console import Console
    from isobuilder.fetch.cache import Cache, default_cache_root
    from isobuilder.fetch.fetcher import Fetcher
    from isobuilder.fetch.transfer import patience
    from isobuilder.provenance.reproducing import reproduce as run

    console = Console(quiet=quiet)
    cache = Cache(cache_dir or default_cache_root(os.environ))

    def fetcher() -> Fetcher:
        return Fetcher(cache, progress=console, folder=sources, offline=offline, patience=patience(os.environ))

    found = run(iso, cache, fetcher, console, output=output_dir)
    if found.difference is None:
        console.result(f"{iso}: every bit is as what it carries makes it, sha256 {found.built.sha256}")
        return
    console.result(f"{iso}: it is not what it carries makes: {found.difference}")
    if output_dir:
        console.note(f"{found.built.path} is what it should be; isobuilder diff says more")
    raise typer.Exit(EXIT_DIFFERS)
