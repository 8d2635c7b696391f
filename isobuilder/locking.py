"""From a plan to a lock: every choice is made here, and none after it."""

import os
import zlib
from collections.abc import Mapping
from importlib import metadata

from isobuilder import __version__, compose, upstream
from isobuilder.errors import HostError, LockError, UsageError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.lock import BootFile, Lock, differences, dump_lock, read_lock
from isobuilder.plan import Plan
from isobuilder.progress import Progress
from isobuilder.releases import expand, repositories
from isobuilder.resolve.solve import RoleRequest, Source, resolve

# What comes from these ends up in the bits of the medium.
LIBRARIES = ("createrepo_c", "jinja2", "productmd", "pycdlib", "solv")


def tool_versions() -> dict[str, str]:
    """The version of everything that the bits of a medium depend on besides its lock; zlib packs the repodata."""
    libraries = {name: metadata.version(name) for name in LIBRARIES}
    return {"isobuilder": __version__, **libraries, "zlib": zlib.ZLIB_RUNTIME_VERSION}


def make_lock(plan: Plan, fetcher: Fetcher, cache: Cache, progress: Progress) -> Lock:
    """Make every choice: look at what there is upstream, resolve each role, name every file."""
    definition, release, facts = plan.definition, plan.release, plan.facts
    wanted = repositories(definition, release)
    found = upstream.look(wanted, facts, expand(facts.tree, definition.arch), fetcher, cache)

    fetcher.fetch_all([file for r in found.repositories for file in r.metadata.values()], title="Metadata")
    sources = [
        Source(r.id, w.priority, r.baseurl, {kind: cache.check(file.sha256) for kind, file in r.metadata.items()})
        for r, w in zip(found.repositories, wanted, strict=True)
    ]
    resolution = resolve(
        sources,
        [RoleRequest(kickstart.role, kickstart.request, kickstart.path) for kickstart in plan.kickstarts],
        arch=definition.arch,
        always=facts.always,
        may=facts.may,
        extra=[facts.boot.mbr.package],
    )
    for note in (*(note for kickstart in plan.kickstarts for note in kickstart.notes), *resolution.notes):
        progress.note(f"note: {note}")
    mbr = next(package for package in resolution.packages if package.name == facts.boot.mbr.package)
    return Lock(
        name=definition.name,
        release=release.id,
        arch=definition.arch,
        volume_id=plan.volume_id,
        epoch=source_date_epoch(os.environ) or found.newest,
        made_from=dict(plan.made_from),
        made_with=tool_versions(),
        keys=found.keys,
        repositories=found.repositories,
        boot=(*found.boot, BootFile(path=compose.MBR, nevra=mbr.nevra, member=facts.boot.mbr.file)),
        packages=resolution.packages,
    )


def other_versions(lock: Lock) -> list[str]:
    """The tools that are not of the version that the lock was made with, a line each: the bits may differ."""
    now = tool_versions()
    return [
        f"{name} is {now.get(name, 'missing')}, the lock was made with {version}"
        for name, version in lock.made_with.items()
        if now.get(name) != version
    ]


def matching_lock(plan: Plan) -> Lock | None:
    """The lock beside the definition, or None when there is none. Raises LockError when other input made it."""
    lock = read_lock(plan.lock_path)
    if lock and (changed := differences(lock, plan.made_from)):
        raise LockError(
            f"{plan.lock_path}: the lock was made from something else",
            details=changed,
            hint="If the change is meant, make the lock anew: isobuilder lock --update",
        )
    return lock


def write_lock(plan: Plan, lock: Lock) -> None:
    """Put the lock beside the definition, whole or not at all."""
    part = plan.lock_path.with_name(f".{plan.lock_path.name}.part")
    try:
        part.write_text(dump_lock(lock), encoding="utf-8")
        part.replace(plan.lock_path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise HostError(f"{plan.lock_path}: the lock cannot be written: {error.strerror}") from error


def source_date_epoch(environ: Mapping[str, str]) -> int | None:
    """SOURCE_DATE_EPOCH, the convention of reproducible-builds.org, or None where it is not set."""
    text = environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not text.isdecimal():
        raise UsageError(f"SOURCE_DATE_EPOCH: {text!r} is not a number of seconds")
    return int(text)
