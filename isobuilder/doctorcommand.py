"""`isobuilder doctor`: what this machine has and lacks. Heavy libraries are imported when it runs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from isobuilder.errors import HostError
from isobuilder.options import Quiet


def doctor(
    *,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Where an ISO would go.", readable=False)
    ] = Path(),
    cache_dir: Annotated[
        Path | None,
        typer.Option("--cache-dir", help="Where downloads are kept; without it the user's cache.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Say what this machine has and lacks of what isobuilder uses, for which commands, and how to get it.

    Exit 7 when it cannot build media. What only boots them (QEMU, firmware, KVM) does not count for that. No network
    is touched. Signatures, packages and ISO images take no program besides isobuilder.
    """
    from isobuilder.doctor.building import BuildingHost, building, libraries
    from isobuilder.doctor.check import builds, dump, lines

    host = BuildingHost()
    checks = libraries(host)
    if builds(checks):
        from isobuilder.console import Console
        from isobuilder.doctor.booting import BootingHost, booting
        from isobuilder.fetch.cache import default_cache_root

        cache = cache_dir or default_cache_root(os.environ)
        checks += [*building(host, output_dir, cache), *booting(BootingHost(), Console(quiet=quiet))]
    typer.echo(dump(checks) if as_json else "\n".join(lines(checks)))
    if not builds(checks):
        lacking = [
            f"{check.title}: {check.found}" for check in checks if check.state == "lacks" and check.group == "building"
        ]
        raise HostError("this machine cannot build media", details=lacking, hint="The list above says how to get it.")
