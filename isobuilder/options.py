"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from isobuilder.completion import release_ids

CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir", help="Where downloads are kept; without it the user's cache.", show_default=False, readable=False
    ),
]


def _offline(wanted: bool) -> bool:  # noqa: FBT001 - typer's callback
    # Before any command imports a library that tries out a socket.
    if wanted:
        from isobuilder.fetch.offline import refuse_network

        refuse_network()
    return wanted


Offline = Annotated[
    bool,
    typer.Option(
        "--offline", callback=_offline, help="Touch no network: all that is needed is in the cache, or lies here."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results, warnings and errors.")]
# For commands that look at one medium.
ReleaseName = Annotated[
    str | None,
    typer.Option(
        "--release",
        autocompletion=release_ids,
        help="Read kickstarts as this release does, or a release file (a path that ends in .toml); without it by the "
        "version that the medium says.",
        show_default=False,
    ),
]
