"""Commands to calls to exit codes. The only room that exits the process.

Heavy libraries are imported inside the commands, so that `isobuilder --help` answers at once.
"""

import gc
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from isobuilder import __version__
from isobuilder.answerscommands import answers_app
from isobuilder.cachecommands import cache_app
from isobuilder.completion import VARIABLE, get_ready
from isobuilder.costcommands import cost, why
from isobuilder.diffcommand import diff as diff_media
from isobuilder.doctorcommand import doctor
from isobuilder.errors import BootError, HostError, IsobuilderError, UsageError
from isobuilder.inspectcommand import inspect
from isobuilder.labcommands import lab_app
from isobuilder.options import CacheFolder, Offline, Quiet
from isobuilder.rehearsecommand import rehearse
from isobuilder.reportcommand import WithPictures, report
from isobuilder.reproducecommand import reproduce
from isobuilder.shellcommands import completion, manual
from isobuilder.startcommands import init, releases, schema
from isobuilder.verifycommand import verify

if TYPE_CHECKING:
    from isobuilder.build import Told
    from isobuilder.fetch.fetcher import Fetcher
    from isobuilder.lock import Lock
    from isobuilder.progress import Progress
    from isobuilder.verify.examine import Examination

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


app.command("init", short_help="Write a definition to begin with.")(init)


@app.command(short_help="Build the ISO.")
def build(
    definition: DefinitionPath = None,
    *,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Where the ISO goes.", readable=False)
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an ISO that is there.")] = False,
    sign: Annotated[
        str | None,
        typer.Option("--sign", metavar="KEY", help="Sign the .sha256 with this key of your gpg.", show_default=False),
    ] = None,
    with_report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write NAME.report.html beside the ISO.")
    ] = True,
    pictures: WithPictures = True,
    timings: Annotated[bool, typer.Option("--timings", help="Say at the end where the time went.")] = False,
    offline: Offline = False,
    cache_dir: CacheFolder = None,
    quiet: Quiet = False,
) -> None:
    """Build NAME-RELEASE-ARCH.iso, its .sha256, manifest and report, by the lock beside the definition or a new one."""
    from isobuilder.build import build as run
    from isobuilder.progress import Timed, since_start, timing_lines
    from isobuilder.provenance.signing import signing_with

    signing = signing_with(sign) if sign else None
    session = _Session(definition, cache_dir, offline=offline, quiet=quiet)
    start = since_start()
    progress = Timed(session.console)

    def reporter(image: Path, examination: "Examination", told: "Callable[[], Told]") -> str:
        from isobuilder.reporting import report_of_build

        return report_of_build(image, examination, told, session.plan, output_dir, progress, pictures=pictures)

    with session.console.display(), session.fetcher_for(progress) as fetcher:
        written = run(
            session.plan,
            fetcher,
            session.cache,
            output_dir,
            progress,
            force=force,
            epoch=session.epoch,
            sign=signing,
            report=reporter if with_report else None,
        )
    session.console.result(f"{written.path}: {written.size} bytes, sha256 {written.sha256}")
    if timings:
        for line in timing_lines(progress, start):
            typer.echo(line, err=True)


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

    Exit 8 when the medium would be larger than max-size; the lock is written all the same.

    --diff compares the lock that is there, or one that is named (OLD.lock), with what would be made now, or with a
    second lock (OLD.lock NEW.lock).
    """
    from isobuilder.lockbeside import matching_lock, read_old_lock, write_lock
    from isobuilder.lockdiff import compare
    from isobuilder.sizelimit import check_size

    if diff:
        _diff(definition, new, cache_dir, offline=offline, as_json=as_json, quiet=quiet)
    if new or as_json:
        raise UsageError(f"{new or '--json'}: only with --diff")
    session = _Session(definition, cache_dir, offline=offline, quiet=quiet)
    plan = session.plan
    if not update and (there := matching_lock(plan)):
        session.console.result(f"{plan.lock_path}: matches the definition")
        check_size(plan, there)
        return
    before = read_old_lock(plan)
    after = session.new_lock()
    write_lock(plan, after)
    for line in compare(before, after).lines() if before else []:
        session.console.result(line)
    count = sum(bool(package.roles) for package in after.packages)
    session.console.result(f"{plan.lock_path}: written, {count} packages on the medium")
    check_size(plan, after)


def _diff(
    first: Path | None, second: Path | None, cache_dir: Path | None, *, offline: bool, as_json: bool, quiet: bool
) -> NoReturn:
    """Say what differs between two locks, or a lock and what would be made now."""
    from isobuilder.lock import required_lock
    from isobuilder.lockdiff import compare

    if second:
        old, new = required_lock(first or second), required_lock(second)
    else:
        is_lock = first is not None and first.suffix == ".lock"
        session = _Session(None if is_lock else first, cache_dir, offline=offline, quiet=quiet)
        old = required_lock(first if first and is_lock else session.plan.lock_path)
        new = session.new_lock()
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


app.command("doctor", short_help="Say what this machine has and lacks.")(doctor)
app.command("releases", short_help="List releases, and until when they have updates.")(releases)
app.command("schema", short_help="Print the JSON Schema of a definition.")(schema)
app.add_typer(answers_app, name="answers", short_help="Look after answers for the wizard.")
app.command("verify", short_help="Examine a finished medium without booting it.")(verify)
app.command("rehearse", short_help="Let machines go the whole way, from the menu to a cloud.")(rehearse)
app.command("inspect", short_help="Say what is on a finished medium.")(inspect)
app.command("report", short_help="Write a page about a finished medium.")(report)
app.command("diff", short_help="Say what differs between two media.")(diff_media)
app.command("reproduce", short_help="Build a medium again from what it carries, and compare.")(reproduce)
app.command("why", short_help="Say why a package is on a medium.")(why)
app.command("cost", short_help="Rank packages by what would go with them.")(cost)
app.add_typer(cache_app, name="cache", short_help="Look after the cache of downloads.")
app.add_typer(lab_app, name="lab", short_help="A cloud of virtual machines on one computer.")
app.command("completion", short_help="Print what a shell needs to complete command lines.")(completion)
app.command("manual", short_help="Print the man page.")(manual)


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
        from isobuilder.fetch.transfer import patience
        from isobuilder.plan import make_plan
        from isobuilder.releases import end_of_life_warning

        self.epoch = source_date_epoch(os.environ)
        self.console = Console(quiet=quiet)
        self.cache = Cache(cache_dir or default_cache_root(os.environ))
        self.plan = make_plan(definition, self.cache.kept)
        if not self.plan.definition.path.exists():
            self.console.note(OURS_IS_USED.format(path=self.plan.definition.path))
        if warning := end_of_life_warning(self.plan.release, dt.datetime.now(tz=dt.UTC).date()):
            self.console.warning(warning)
        self._offline = offline
        self._patience = patience(os.environ)

    @property
    def fetcher(self) -> "Fetcher":
        return self.fetcher_for(self.console)

    def fetcher_for(self, progress: "Progress") -> "Fetcher":
        """A fetcher that tells `progress`."""
        from isobuilder.fetch.fetcher import Fetcher

        folder = self.plan.definition.folder
        return Fetcher(self.cache, progress=progress, folder=folder, offline=self._offline, patience=self._patience)

    def new_lock(self) -> "Lock":
        """Make every choice anew."""
        from isobuilder.locking import make_lock

        with self.cache.in_use(), self.fetcher as fetcher:
            return self.cache.whole(
                lambda: make_lock(self.plan, fetcher, self.cache, self.console, epoch=self.epoch), self.console.warning
            )


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
    # A run makes values, uses them, and ends: there is little that a look through all of them could free.
    gc.set_threshold(1_000_000, 20, 20)
    if VARIABLE in os.environ:
        get_ready()
    try:
        app()
    except IsobuilderError as error:
        _tell(partial(_error, error))
        code: str | int | None = error.exit_code
    except SystemExit as stop:
        code = stop.code
        if code == EXIT_INTERRUPTED:
            _tell(partial(typer.echo, "interrupted; run it again to go on", err=True))
    except OSError as error:
        # Results that cannot be written; what the rooms meet on the disk they translate themselves.
        _tell(partial(typer.echo, f"error: {error}", err=True))
        code = HostError.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort: whatever came here is the machine's fault or ours
        code = _unexpected(error)
    # Python looks through all that is left once more before it ends, for 0.2 s.
    gc.freeze()
    sys.exit(code)


def _error(error: IsobuilderError) -> None:
    from isobuilder.console import Console

    Console().error(error)


def _tell(say: Callable[[], object]) -> None:
    """Say it, if anybody can be told: where a log is on a disk that is full, the exit code has to do."""
    try:
        say()
        sys.stdout.flush()
    except OSError:
        # Python would try it once more when it ends, and then exit with a code of its own.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)


def _unexpected(error: Exception) -> int:
    """The exit code for what no room expected, once it is told: want of memory, or a bug of ours."""
    # Python has no error of its own for a thread that cannot be started.
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "start new thread" in str(error)):
        words = "error: there is too little memory for it, or a limit (ulimit -v, -u) leaves too little"
        _tell(partial(typer.echo, words, err=True))
        return HostError.exit_code
    traceback.print_exc()
    typer.echo(f"isobuilder {__version__}: a bug. Please report the lines above, and the definition.", err=True)
    return EXIT_BUG


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
