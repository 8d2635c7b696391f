"""`isobuilder cache`: what lies in the cache, what may go, and whether it is still what it was."""

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isobuilder.errors import TrustError, UsageError
from isobuilder.options import CacheFolder

if TYPE_CHECKING:
    from isobuilder.fetch.cache import Cache

cache_app = typer.Typer(help="Look after the cache of downloads.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True)
class _Use:
    """What a lock needs, of which `here` is in the cache: numbers of files, and bytes."""

    lock: str
    files: int
    size: int
    files_here: int
    size_here: int


@cache_app.command(short_help="Say what lies in the cache.")
def info(
    definition: Annotated[
        Path | None,
        typer.Argument(
            metavar="DEFINITION",
            help="Say how much of its lock is in the cache; without it of ./media.toml, if that is there.",
            readable=False,
            show_default=False,
        ),
    ] = None,
    *,
    cache_dir: CacheFolder = None,
    as_json: Json = False,
) -> None:
    """Say where the cache is, what lies in it, and how much of it the lock beside the definition uses."""
    from rich import filesize

    from isobuilder.definition import USUAL_PLACE, find_definition
    from isobuilder.fetch.cache import Cache, default_cache_root
    from isobuilder.fetch.upkeep import contents

    cache = Cache(cache_dir or default_cache_root(os.environ))
    found = contents(cache)
    use = None
    if definition or USUAL_PLACE.exists():
        read = find_definition(definition)
        use = _use(read.folder / f"{read.name}.lock", cache)
    sizes = {"files": found.files, "partial": found.partial, "made": found.made}
    if as_json:
        table: dict[str, object] = {"place": str(cache.root), "answers": len(found.answers)}
        table |= {name: {"count": len(some), "size": sum(one.size for one in some)} for name, some in sizes.items()}
        table["lock"] = _kebab(use) if use else None
        typer.echo(json.dumps(table, indent=1))
        return
    typer.echo(f"place: {cache.root}")
    typer.echo(f"files: {len(found.files)}, {filesize.decimal(sum(one.size for one in found.files))}")
    typer.echo(f"partial downloads: {len(found.partial)}, {filesize.decimal(sum(one.size for one in found.partial))}")
    typer.echo(
        f"made of files, to save work: {len(found.made)}, {filesize.decimal(sum(one.size for one in found.made))}"
    )
    typer.echo(f"answers of servers, for --offline: {len(found.answers)}")
    if use:
        typer.echo(
            f"{use.lock}: {use.files_here} of its {use.files} files are here, {filesize.decimal(use.size_here)}; "
            f"{filesize.decimal(use.size - use.size_here)} are to be fetched"
        )


@cache_app.command(short_help="Remove what is not needed.")
def prune(
    *,
    keep: Annotated[
        list[Path] | None,
        typer.Option("--keep", metavar="LOCK", help="Keep what this lock names; may be given again.", readable=False),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Remove only what was not needed for 12h, 30d, 8w."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove all that no --keep names, however new.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    cache_dir: CacheFolder = None,
    as_json: Json = False,
) -> None:
    """Remove files that none of the named locks needs, and partial downloads; never while a build runs."""
    from rich import filesize

    from isobuilder.fetch import upkeep
    from isobuilder.fetch.cache import Cache, default_cache_root
    from isobuilder.inputs import asked_addresses, locked_files
    from isobuilder.lock import required_lock

    if not (keep or older_than or everything):
        raise UsageError(
            "this would empty the cache", hint="Give --keep LOCK for what is to stay, --older-than 30d, or --all."
        )
    before = None if older_than is None else time.time() - _age(older_than)
    locks = [required_lock(path) for path in keep or ()]
    addresses = {address for lock in locks for address in asked_addresses(lock)}
    pruned = upkeep.prune(
        Cache(cache_dir or default_cache_root(os.environ)),
        keep={file.sha256 for lock in locks for file in locked_files(lock)},
        keep_answers=addresses.__contains__,
        before=before,
        dry_run=dry_run,
    )
    if as_json:
        typer.echo(json.dumps(_kebab(pruned) | {"dry-run": dry_run}))
        return
    typer.echo(
        f"{'would remove' if dry_run else 'removed'} {pruned.files} files and {pruned.partial} partial downloads, "
        f"{pruned.made} that were made of files, {filesize.decimal(pruned.size)}"
    )


@cache_app.command(short_help="Read every file, and remove what is damaged.")
def verify(
    *,
    cache_dir: CacheFolder = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")] = False,
) -> None:
    """Read every file in the cache; one that is not what it was when it came is removed, and said (exit 5)."""
    from isobuilder.console import Console
    from isobuilder.fetch import upkeep
    from isobuilder.fetch.cache import Cache, default_cache_root

    cache = Cache(cache_dir or default_cache_root(os.environ))
    count, wrong = upkeep.verify(cache, Console(quiet=quiet))
    if as_json:
        typer.echo(json.dumps({"files": count, "removed": [str(one.path) for one in wrong]}))
    elif not wrong:
        typer.echo(f"{cache.root}: {count} files are what they were when they came")
    if wrong:
        raise TrustError(
            f"{cache.root}: {len(wrong)} of {count} files were not what their name says, and are removed",
            details=[str(one.path) for one in wrong],
            hint="The next build fetches them again. The disk may be failing.",
        )


def _use(path: Path, cache: "Cache") -> _Use | None:
    from isobuilder.inputs import locked_files
    from isobuilder.lock import read_lock

    lock = read_lock(path)
    if lock is None:
        return None
    files = locked_files(lock)
    here = [file for file in files if cache.has(file.sha256, file.size)]
    return _Use(str(path), len(files), sum(f.size for f in files), len(here), sum(f.size for f in here))


def _kebab(value: object) -> dict[str, object]:
    return {name.replace("_", "-"): field for name, field in vars(value).items()}


def _age(text: str) -> float:
    """An age such as 30d, in seconds."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text, re.ASCII)
    if not found:
        raise UsageError(f"--older-than: {text!r} is not an age such as 12h, 30d or 8w")
    return float(int(found[1]) * _SECONDS[found[2]])
