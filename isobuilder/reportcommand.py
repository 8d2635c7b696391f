"""`isobuilder report`: a page about a finished medium. Heavy libraries are imported when it runs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from isobuilder.errors import UsageError
from isobuilder.options import Quiet, ReleaseName

WithPictures = Annotated[
    bool,
    typer.Option(
        "--pictures/--no-pictures",
        envvar="ISOBUILDER_PICTURES",
        help="In the report, take pictures of the boot menus in QEMU where it is there; else they are drawn.",
    ),
]


def report(
    iso: Annotated[Path, typer.Argument(metavar="ISO", help="The image to report on.", readable=False)],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The page; without it NAME.report.html.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace a page that is there.")] = False,
    previous: Annotated[
        Path | None,
        typer.Option(
            "--previous",
            metavar="OLD",
            help="Say what differs from this ISO, lock (NAME.lock) or manifest (NAME.manifest.json).",
            readable=False,
            show_default=False,
        ),
    ] = None,
    pictures: WithPictures = True,
    release: ReleaseName = None,
    quick: Annotated[bool, typer.Option("--quick", help="Compare no checksums: do not read all of the image.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write one HTML file about an installer ISO of the CentOS family, made by isobuilder or not, that needs no other.

    Roles, packages, signers, licences, menus, findings of verify. No secret is in it. Exit 0 whatever is wrong with the
    medium.
    """
    from isobuilder.console import Console
    from isobuilder.iso.writer import report_path
    from isobuilder.releases import named_release
    from isobuilder.reporting import report_of
    from isobuilder.wholefile import write_whole

    page = output or report_path(iso)
    if os.path.lexists(page) and not force:
        raise UsageError(f"{page} is there already", hint="Give --force to replace it.")
    console = Console(quiet=quiet)
    text = report_of(
        iso,
        named_release(release, Path()) if release else None,
        console,
        previous=previous,
        pictures=pictures,
        read_all=not quick,
    )
    write_whole(page, text)
    console.result(f"{page}: {len(text.encode())} bytes")
