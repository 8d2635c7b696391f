"""Commands to calls to exit codes. The only room that exits the process.

Heavy libraries are imported inside the commands, so that `isobuilder --help` answers at once.
"""

import os
import re
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from isobuilder import __version__
from isobuilder.answerscommands import answers_app
from isobuilder.cachecommands import cache_app
from isobuilder.errors import BootError, HostError, IsobuilderError, UsageError
from isobuilder.verifycommand import verify

OURS_IS_USED = "there is no {path}; this is the definition that ships with isobuilder"

EXIT_BUG = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="One definition file in, one installer ISO for the machines of a private cloud out.",
    epilog="Exit codes: 0 done, 1 a bug of ours, 2 usage, 3 definition, kickstart, answers or lock, 4 fetch, 5 trust, "
    "6 packages, 7 this machine, 8 the medium or its boot, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,  # its help costs 0.15 s at every start
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Whether it can be read is for our own error to say.
DefinitionPath = Annotated[
    Path | None,
    typer.Argument(
        metavar="DEFINITION",
        help="The definition file; without it ./media.toml, or else ours: Eucalyptus 5 on CentOS 7.",
        readable=False,
        show_default=False,
    ),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option("--cache-dir", help="Where downloads are kept; without it the user's cache.", show_default=False),
]


def _offline(wanted: bool) -> bool:  # noqa: FBT001 - typer's callback
    # Before any command imports a library that tries out a socket.
    if wanted:
        from isobuilder.fetch.offline import refuse_sockets

        refuse_sockets()
    return wanted


Offline = Annotated[
    bool,
    typer.Option(
        "--offline", callback=_offline, help="Touch no network: all that is needed is in the cache, or lies here."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results, warnings and errors.")]


@app.command(short_help="Build the ISO.")
def build(
    definition: DefinitionPath = None,
    *,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Where the ISO goes.")] = Path(),
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an ISO that is there.")] = False,
    offline: Offline = False,
    cache_dir: CacheFolder = None,
    quiet: Quiet = False,
) -> None:
    """Build NAME-RELEASE-ARCH.iso and its .sha256, with the lock beside the definition or making one."""
    from isobuilder.build import build as run

    session = _Session(definition, cache_dir, offline=offline, quiet=quiet)
    with session.fetcher as fetcher:
        written = run(
            session.plan, fetcher, session.cache, output_dir, session.console, force=force, epoch=session.epoch
        )
    session.console.result(f"{written.path}: {written.size} bytes, sha256 {written.sha256}")


@app.command(short_help="Make the lock, check it, or compare it.")
def lock(
    definition: DefinitionPath = None,
    new: Annotated[Path | None, typer.Argument(metavar="NEW", help="With --diff.", show_default=False)] = None,
    *,
    update: Annotated[bool, typer.Option("--update", help="Make the lock anew from what there is now.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing, and say what differs: exit 1 if anything.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what differs as JSON.")] = False,
    offline: Offline = False,
    cache_dir: CacheFolder = None,
    quiet: Quiet = False,
) -> None:
    """Choose every package and file, and write NAME.lock beside the definition; or check the one that is there.

    --diff compares the lock that is there, or one that is named (OLD.lock), with what would be made now, or with a
    second lock (OLD.lock NEW.lock).
    """
    from isobuilder.lockdiff import compare
    from isobuilder.locking import make_lock, matching_lock, read_old_lock, write_lock

    if diff:
        _diff(definition, new, cache_dir, offline=offline, as_json=as_json, quiet=quiet)
    if new or as_json:
        raise UsageError(f"{new or '--json'}: only with --diff")
    session = _Session(definition, cache_dir, offline=offline, quiet=quiet)
    plan = session.plan
    if not update and matching_lock(plan):
        session.console.result(f"{plan.lock_path}: matches the definition")
        return
    before = read_old_lock(plan)
    with session.cache.in_use(), session.fetcher as fetcher:
        after = make_lock(plan, fetcher, session.cache, session.console, epoch=session.epoch)
    write_lock(plan, after)
    for line in compare(before, after).lines() if before else []:
        session.console.result(line)
    count = sum(bool(package.roles) for package in after.packages)
    session.console.result(f"{plan.lock_path}: written, {count} packages on the medium")


def _diff(
    first: Path | None, second: Path | None, cache_dir: Path | None, *, offline: bool, as_json: bool, quiet: bool
) -> NoReturn:
    """Say what differs between two locks, or a lock and what would be made now."""
    from isobuilder.lock import required_lock
    from isobuilder.lockdiff import compare
    from isobuilder.locking import make_lock

    if second:
        old, new = required_lock(first or second), required_lock(second)
    else:
        is_lock = first is not None and first.suffix == ".lock"
        session = _Session(None if is_lock else first, cache_dir, offline=offline, quiet=quiet)
        old = required_lock(first if first and is_lock else session.plan.lock_path)
        with session.cache.in_use(), session.fetcher as fetcher:
            new = make_lock(session.plan, fetcher, session.cache, session.console, epoch=session.epoch)
    difference = compare(old, new)
    typer.echo(difference.json() if as_json else "\n".join(difference.lines()))
    raise typer.Exit(1 if difference.changes else 0)


@app.command(short_help="Show a role's kickstart as it will lie on the medium.")
def kickstart(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="A role of the definition, or one of ours.")],
    definition: DefinitionPath = None,
) -> None:
    """Print a role's rendered kickstart, whether the installer would take it or not."""
    from isobuilder.blueprint import read_blueprint
    from isobuilder.kickstart.roles import roles
    from isobuilder.kickstart.templates import rendered_text
    from isobuilder.schema import did_you_mean

    blueprint = read_blueprint(definition)
    known = {one.id: one for one in roles(blueprint)}
    if role not in known:
        raise UsageError(f"{blueprint.definition.path}: there is no role {role!r}{did_you_mean(role, known)}")
    text = rendered_text(known[role], blueprint)
    typer.echo(text, nl=False)


@app.command(short_help="Boot a medium in QEMU, and check it.")
def boot(
    iso: Annotated[Path, typer.Argument(metavar="ISO", help="The medium to boot.", readable=False)],
    *,
    entry: Annotated[str, typer.Option("--entry", help="The menu entry to choose: a role, check, rescue or local.")],
    firmware: Annotated[Literal["bios", "uefi"], typer.Option("--firmware", help="How the machine starts.")] = "uefi",
    secure_boot: Annotated[
        bool, typer.Option("--secure-boot", help="With UEFI: accept only loaders signed by Microsoft's keys.")
    ] = False,
    medium: Annotated[Literal["cdrom", "usb"], typer.Option("--as", help="How the machine sees the medium.")] = "cdrom",
    marker: Annotated[
        str | None,
        typer.Option("--marker", help="What the console must show, a regular expression.", show_default=False),
    ] = None,
    timeout: Annotated[int, typer.Option("--timeout", min=1, help="Seconds until it counts as failed.")] = 300,
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Where pictures and the log go.")] = Path(),
    quiet: Quiet = False,
) -> None:
    """Boot a medium in QEMU, take a picture of its menu, choose an entry, and follow the serial console.

    The medium must have been built with install.console: there is nothing to follow otherwise.
    """
    from isobuilder.boot.check import boot_check
    from isobuilder.console import Console

    if secure_boot and firmware == "bios":
        raise UsageError("--secure-boot: a BIOS has no Secure Boot", hint="Leave out --firmware bios.")
    console = Console(quiet=quiet)
    verdict = boot_check(
        iso,
        entry=entry,
        firmware="uefi-secure" if secure_boot else firmware,
        medium=medium,
        marker=marker,
        timeout=timeout,
        output=output_dir,
        progress=console,
    )
    if not verdict.passed:
        raise BootError(
            f"{iso}: entry {entry} did not get where it should ({verdict.firmware}, as {medium})",
            details=verdict.missing,
            hint=f"Look at {', '.join(str(path) for path in verdict.files)}.",
        )
    console.result(
        f"{entry}: passed in {verdict.seconds:.0f} s ({verdict.firmware}, as {medium}, {verdict.accelerator}); "
        f"the menu is in {verdict.menu_picture}, the console in {verdict.console_log}"
    )


@app.command(short_help="Print the JSON Schema of a definition.")
def schema() -> None:
    """Print the JSON Schema of a definition, for editors."""
    import json

    from isobuilder.definition import Definition

    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "isobuilder definition"}
    typer.echo(json.dumps(dialect | Definition.model_json_schema(), indent=2))


app.add_typer(answers_app, name="answers", short_help="Look after answers for the wizard.")
app.command("verify", short_help="Examine a finished medium without booting it.")(verify)
app.add_typer(cache_app, name="cache", short_help="Look after the cache of downloads.")


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


class _Session:
    """What commands that look upstream share: the plan, a console, a cache, a fetcher."""

    def __init__(self, definition: Path | None, cache_dir: Path | None, *, offline: bool, quiet: bool) -> None:
        import datetime as dt

        from isobuilder.console import Console
        from isobuilder.fetch.cache import Cache, default_cache_root
        from isobuilder.fetch.fetcher import Fetcher
        from isobuilder.plan import make_plan
        from isobuilder.releases import end_of_life_warning

        self.epoch = source_date_epoch(os.environ)
        self.console = Console(quiet=quiet)
        self.plan = make_plan(definition)
        if not self.plan.definition.path.exists():
            self.console.note(OURS_IS_USED.format(path=self.plan.definition.path))
        if warning := end_of_life_warning(self.plan.release, dt.datetime.now(tz=dt.UTC).date()):
            self.console.warning(warning)
        self.cache = Cache(cache_dir or default_cache_root(os.environ))
        self.fetcher = Fetcher(self.cache, progress=self.console, folder=self.plan.definition.folder, offline=offline)


def source_date_epoch(environ: Mapping[str, str]) -> int | None:
    """SOURCE_DATE_EPOCH, the convention of reproducible-builds.org, or None where it is not set."""
    text = environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    # .treeinfo cannot say 0, and dates on the medium end with 32 bits.
    if not re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) or not 0 < int(text) < 1 << 32:
        raise UsageError(f"SOURCE_DATE_EPOCH: {text[:20]!r} is not a number of seconds from 1 to 2^32 - 1")
    return int(text)


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
            typer.echo("interrupted; run it again to go on", err=True)
    except OSError as error:
        # Results that cannot be written; what the rooms meet on the disk they translate themselves.
        typer.echo(f"error: {error}", err=True)
        code = HostError.exit_code
    except Exception:  # noqa: BLE001 - the last resort: whatever came here is a bug of ours
        traceback.print_exc()
        typer.echo(f"isobuilder {__version__}: a bug. Please report the lines above, and the definition.", err=True)
        code = EXIT_BUG
    sys.exit(code)


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
