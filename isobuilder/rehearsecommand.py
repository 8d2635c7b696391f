"""`isobuilder rehearse`: a medium's whole way, and the verdict printed. Heavy libraries are imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from isobuilder.errors import BootError
from isobuilder.options import Quiet
from isobuilder.wholefile import write_whole


def rehearse(
    topology: Annotated[Path, typer.Argument(metavar="TOPOLOGY", help="The machines, in TOML.", readable=False)],
    iso: Annotated[Path, typer.Argument(metavar="ISO", help="The medium to rehearse.", readable=False)],
    *,
    machine: Annotated[
        list[str] | None,
        typer.Option(
            "--machine",
            metavar="NAME",
            help="This machine and those that it waits for; may be given again.",
            show_default=False,
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the verdict as JSON.", show_default=False)
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the verdict as JUnit.", show_default=False)
    ] = None,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Where consoles, pictures and disks go.")
    ] = Path("rehearsal"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave the disks there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Let machines in QEMU go the whole way: menu, installation, restart, login, the wizard's work and its checks.

    Exit 8 when one of them did not come where it should.
    """
    from isobuilder.console import Console
    from isobuilder.rehearsal.run import rehearse as run
    from isobuilder.rehearsal.topology import chosen, load_topology

    wanted = chosen(load_topology(topology), tuple(machine or ()))
    console = Console(quiet=quiet)
    # That they can be written is known before machines run for half an hour, and no verdict of an earlier run stays.
    for wished in (json_file, junit_file):
        if wished:
            write_whole(wished, "")
            wished.unlink()
    done = run(iso, wanted, output=output_dir, keep=keep, progress=console)
    for line in done.lines():
        console.result(line)
    for path, text in ((json_file, done.json()), (junit_file, done.junit())):
        if path:
            write_whole(path, text)
    if done.failures:
        details = []
        for way in done.failures:
            details.append(f"{way.name}: {way.failed}: {way.cause}")
            details += [f"  | {line}" for line in way.last_lines]
            details.append(f"  console {way.console_log}, screen {way.screen or 'none: the machine was off'}")
        count = f"{len(done.failures)} of {len(done.ways)} machines"
        raise BootError(f"{iso}: {count} did not come where they should", details=details)
