"""`isobuilder why` and `isobuilder cost`: why packages are on a medium, and what would go with them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isobuilder.errors import UsageError
from isobuilder.options import ReleaseName

if TYPE_CHECKING:
    from isobuilder.seeing.cost import Reasons

_ESTIMATE = "an estimate, and at most that: a lock has one reason for each package; the ISO has all of them"

Source = Annotated[Path, typer.Argument(metavar="ISO|LOCK", help="An ISO, or a lock (NAME.lock).", readable=False)]


def why(
    source: Source,
    package: Annotated[str, typer.Argument(metavar="PACKAGE", help="A name, or a whole NEVRA.")],
    *,
    release: ReleaseName = None,
) -> None:
    """Say for each role why a package is there, by the shortest way from what is asked for, and what it costs."""
    from rich import filesize

    from isobuilder.schema import did_you_mean
    from isobuilder.seeing.cost import chain, costs

    reasons = _reasons(source, release)
    names = {nevra.rsplit("-", 2)[0] for nevra in reasons.sizes}
    found = sorted(n for n in reasons.sizes if package in (n, n.rsplit("-", 2)[0], n.replace("-0:", "-")))
    if not found:
        raise UsageError(f"{source}: there is no package {package!r}{did_you_mean(package, names)}")
    by_name = {cost.name: cost for cost in costs(reasons)}
    for nevra in found:
        typer.echo(nevra)
        ways = {role: way for role, needs in reasons.needs.items() if (way := chain(needs, nevra))}
        for role, way in sorted(ways.items()):
            typer.echo(f"  {role}: {' > '.join(way)}")
        if nevra not in by_name:
            typer.echo(f"  no role needs it: {filesize.decimal(reasons.sizes[nevra])}")
            continue
        cost = by_name[nevra]
        typer.echo(
            f"  itself {filesize.decimal(cost.own)}; with all that is there because of it alone "
            f"{filesize.decimal(cost.goes)}, {cost.packages} package{'' if cost.packages == 1 else 's'}"
        )
    if not reasons.is_graph:
        typer.echo(_ESTIMATE)


def cost(
    source: Source,
    *,
    role: Annotated[
        str | None, typer.Option("--role", help="Of this role alone; without it of the medium.", show_default=False)
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="How many lines.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    release: ReleaseName = None,
) -> None:
    """Rank packages, and what kickstarts ask for (groups, names), by the bytes that would go if one of them went.

    What goes with one is what is there because of it alone. Nothing is resolved again.
    """
    import json
    from dataclasses import asdict

    from isobuilder.schema import did_you_mean
    from isobuilder.seeing.cost import costs

    reasons = _reasons(source, release)
    if role is not None and role not in reasons.needs:
        raise UsageError(f"{source}: no role {role!r} whose packages are known{did_you_mean(role, reasons.needs)}")
    ranking = costs(reasons, role)
    if as_json:
        table = {"estimate": not reasons.is_graph, "costs": [asdict(each) for each in ranking]}
        typer.echo(json.dumps(table, indent=1))
        return
    for each in ranking[:most]:
        typer.echo(each.line())
    if not reasons.is_graph:
        typer.echo(_ESTIMATE)


def _reasons(source: Path, release: str | None) -> "Reasons":
    from isobuilder.lock import required_lock
    from isobuilder.releases import named_release
    from isobuilder.seeing.cost import reasons_of_lock, reasons_of_medium
    from isobuilder.seeing.facts import opened_facts

    if source.suffix == ".lock":
        return reasons_of_lock(required_lock(source))
    with opened_facts(source, named_release(release, Path()) if release else None) as (_, found):
        return reasons_of_medium(found)
