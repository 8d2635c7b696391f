"""`isobuilder inspect`: what is on a medium. Heavy libraries are imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from isobuilder.errors import UsageError
from isobuilder.options import ReleaseName


def inspect(
    iso: Annotated[Path, typer.Argument(metavar="ISO", help="The image to look into.", readable=False)],
    *,
    kickstart: Annotated[
        str | None,
        typer.Option(
            "--kickstart",
            metavar="NAME",
            help="Print one kickstart, without its secrets: by its role or its path.",
            show_default=False,
        ),
    ] = None,
    release: ReleaseName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Say what is on an installer ISO of the CentOS family, made by isobuilder or not: roles, packages, kernel lines.

    Passwords, hashes, keys and credentials are never shown. What is wrong with the medium, verify says.
    """
    from isobuilder.releases import named_release
    from isobuilder.schema import did_you_mean
    from isobuilder.seeing.facts import opened_facts
    from isobuilder.seeing.inspection import dump, lines

    if kickstart and as_json:
        raise UsageError("--kickstart: the JSON has all kickstarts", hint="Leave out one of them.")
    with opened_facts(iso, named_release(release, Path()) if release else None) as (_, found):
        pass
    if not kickstart:
        typer.echo(dump(found) if as_json else "\n".join(lines(found)))
        return
    by_name = {role.id: role.kickstart for role in found.roles} | {each.path: each.path for each in found.kickstarts}
    path = by_name.get(kickstart.lstrip("/"))
    if path is None:
        raise UsageError(f"{iso}: there is no kickstart {kickstart!r}{did_you_mean(kickstart, by_name)}")
    text = next(each.text for each in found.kickstarts if each.path == path)
    if text is None:
        raise UsageError(f"{iso}: {path} cannot be read", hint="isobuilder verify says why.")
    from isobuilder.verify.verdict import harmless_text

    typer.echo(harmless_text(text), nl=False)
