"""Commands to calls to exit codes. The only room that exits the process.

Heavy libraries are imported inside the commands, so that `isobuilder --help` answers at once.
"""

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from isobuilder import __version__
from isobuilder.errors import BootError, IsobuilderError

EXIT_BUG = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="One definition file in, one installer ISO for the machines of a private cloud out.",
    no_args_is_help=True,
    rich_markup_mode=None,  # its help costs 0.15 s at every start
    pretty_exceptions_enable=False,
    add_completion=False,
)

DefinitionPath = Annotated[Path, typer.Argument(metavar="[DEFINITION]", help="The definition file.")]
CacheFolder = Annotated[Path | None, typer.Option("--cache-dir", help="Where downloads are kept.", show_default=False)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")]
DEFAULT_DEFINITION = Path("media.toml")


@app.command()
def build(
    definition: DefinitionPath = DEFAULT_DEFINITION,
    *,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Where the ISO goes.")] = Path(),
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an ISO that is there.")] = False,
    cache_dir: CacheFolder = None,
    quiet: Quiet = False,
) -> None:
    """Build NAME-RELEASE-ARCH.iso and its .sha256 from a definition, using the lock beside it or making one."""
    from isobuilder.build import build as run
    from isobuilder.plan import make_plan

    room = _Room(cache_dir, quiet=quiet)
    written = run(make_plan(definition), room.fetcher, room.cache, output_dir, room.console, force=force)
    room.console.result(f"{written.path}: {written.size} bytes, sha256 {written.sha256}")


@app.command()
def lock(
    definition: DefinitionPath = DEFAULT_DEFINITION,
    *,
    update: Annotated[bool, typer.Option("--update", help="Make the lock anew from what there is now.")] = False,
    cache_dir: CacheFolder = None,
    quiet: Quiet = False,
) -> None:
    """Choose every package and file, and write NAME.lock beside the definition; or check the one that is there."""
    from isobuilder.locking import make_lock, matching_lock, write_lock
    from isobuilder.plan import make_plan

    room = _Room(cache_dir, quiet=quiet)
    plan = make_plan(definition)
    if not update and matching_lock(plan):
        room.console.result(f"{plan.lock_path}: matches the definition")
        return
    write_lock(plan, make_lock(plan, room.fetcher, room.cache, room.console))
    room.console.result(f"{plan.lock_path}: written")


@app.command()
def boot(
    iso: Annotated[Path, typer.Argument(metavar="ISO", help="The medium to boot.")],
    *,
    entry: Annotated[str, typer.Option("--entry", help="The menu entry to choose: a role, check, rescue or local.")],
    firmware: Annotated[Literal["bios", "uefi"], typer.Option("--firmware", help="How the machine starts.")] = "uefi",
    medium: Annotated[Literal["cdrom", "usb"], typer.Option("--as", help="How the machine sees the medium.")] = "cdrom",
    marker: Annotated[
        str | None,
        typer.Option("--marker", help="What the console must show, a regular expression.", show_default=False),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds until it counts as failed.")] = 300,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Where pictures and the log go.")] = Path(),
    quiet: Quiet = False,
) -> None:
    """Boot a medium in QEMU, choose a menu entry, and say what the console showed."""
    from isobuilder.boot.check import boot_check
    from isobuilder.console import Console

    console = Console(quiet=quiet)
    verdict = boot_check(
        iso,
        entry=entry,
        firmware=firmware,
        medium=medium,
        marker=marker,
        timeout=timeout,
        output=output_dir,
        progress=console,
    )
    if not verdict.passed:
        raise BootError(
            f"{iso}: entry {entry} did not get where it should ({firmware}, as {medium})",
            details=verdict.missing,
            hint=f"The menu is in {verdict.menu_picture}, the console in {verdict.console_log}.",
        )
    console.result(
        f"{entry}: passed in {verdict.seconds:.0f} s ({firmware}, as {medium}, {verdict.accelerator}); "
        f"the menu is in {verdict.menu_picture}, the console in {verdict.console_log}"
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of a definition, for editors."""
    import json

    from isobuilder.definition import Definition

    typer.echo(json.dumps(Definition.model_json_schema(), indent=2))


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        typer.echo(f"isobuilder {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


class _Room:
    """What commands that fetch share: a console, a cache, a fetcher."""

    def __init__(self, cache_dir: Path | None, *, quiet: bool) -> None:
        from isobuilder.console import Console
        from isobuilder.fetch.cache import Cache, default_cache_root
        from isobuilder.fetch.fetcher import Fetcher

        self.console = Console(quiet=quiet)
        self.cache = Cache(cache_dir or default_cache_root(os.environ))
        self.fetcher = Fetcher(self.cache, progress=self.console)


def main() -> NoReturn:
    """Run the command line and exit: the one place where an error becomes an exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except IsobuilderError as error:
        from isobuilder.console import Console

        Console().error(error)
        code: str | int | None = error.exit_code
    except SystemExit as stop:
        code = stop.code
        if code == EXIT_INTERRUPTED:
            print("interrupted; run it again to go on", file=sys.stderr)  # noqa: T201
    except Exception:  # noqa: BLE001 - the last resort: whatever came here is a bug of ours
        traceback.print_exc()
        print(f"isobuilder {__version__}: a bug. Please report the lines above, and the definition.", file=sys.stderr)  # noqa: T201
        code = EXIT_BUG
    sys.exit(code)


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
