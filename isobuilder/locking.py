"""From a plan to a lock: every choice is made here, and none after it."""

from collections.abc import Iterator

from isobuilder import upstream
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.inputs import wanted_metadata
from isobuilder.lock import BootFile, Lock, LockedRepository
from isobuilder.lockbeside import tool_versions
from isobuilder.package import INPUT, make_own, package_digest
from isobuilder.plan import Plan
from isobuilder.progress import Progress
from isobuilder.resolve.pool import Source
from isobuilder.resolve.selection import RoleRequest
from isobuilder.resolve.solve import resolve


def make_lock(plan: Plan, fetcher: Fetcher, cache: Cache, progress: Progress, *, epoch: int | None) -> Lock:
    """Make every choice: look at what there is upstream, resolve each role, name every file.

    `epoch` is the time on the medium, in seconds since 1970; None takes the newest time that upstream carries.
    """
    definition, facts = plan.definition, plan.facts
    if plan.blueprint.left_out:
        progress.note(f"note: not on the DVD, and left out: {', '.join(plan.blueprint.left_out)}")
    wanted = plan.blueprint.repositories
    found = upstream.look(wanted, facts.boot, plan.blueprint.tree, definition.arch, fetcher, cache)
    fetcher.fetch_all([file for r in found.repositories for file in wanted_metadata(r)], title="Metadata")
    own = make_own(plan.release, cache).repository
    # In the order in which dnf loads them, which the medium's comps are put together in, too.
    by_priority = sorted(zip(found.repositories, wanted, strict=True), key=lambda pair: pair[1].priority)
    sources = [
        # Nobody else's package takes the place of ours.
        _source(own, cache, 1, hotfixes=True),
        *(
            _source(r, cache, w.priority, excludes=w.excludes, includes=w.includes, hotfixes=w.module_hotfixes)
            for r, w in by_priority
        ),
    ]
    resolution = resolve(
        sources,
        [RoleRequest(kickstart.role, kickstart.request, kickstart.path) for kickstart in plan.kickstarts],
        arch=definition.arch,
        always=facts.always,
        may=facts.may,
        extra=[packaged.package for packaged in facts.boot.packaged.values()],
        platform=plan.release.platform,
        kept=cache.kept,
    )
    kickstart_notes = (note for kickstart in plan.kickstarts for note in kickstart.notes)
    for note in (*found.notes, *kickstart_notes, *resolution.notes):
        progress.note(f"note: {note}")
    uses_own = any(package.repository == own.id for package in resolution.packages)
    lock = Lock(
        name=definition.name,
        release=plan.release.id,
        arch=definition.arch,
        volume_id=plan.blueprint.volume_id,
        epoch=found.newest if epoch is None else epoch,
        made_from={**plan.made_from, **({INPUT: package_digest(plan.release)} if uses_own else {})},
        made_with=tool_versions(),
        keys=found.keys,
        repositories=(*(r for r, _ in by_priority), *([own] if uses_own else [])),
        boot=(
            *found.boot,
            *(
                BootFile(
                    path=path,
                    file=resolution.extra[packaged.package].file,
                    vouched_by="package",
                    member=packaged.file,
                )
                for path, packaged in facts.boot.packaged.items()
            ),
        ),
        packages=resolution.packages,
        modules=resolution.modules,
    )
    for line in taken_on_trust(lock):
        progress.warning(line)
    return lock


def _source(
    repository: LockedRepository,
    cache: Cache,
    priority: int,
    *,
    excludes: tuple[str, ...] = (),
    includes: tuple[str, ...] = (),
    hotfixes: bool = False,
) -> Source:
    """A repository whose metadata is in the cache; whoever reads it looks whether it is what it was."""
    sha256 = {kind: file.sha256 for kind, file in repository.metadata.items()}
    files = {kind: cache.path(digest) for kind, digest in sha256.items()}
    return Source(repository.id, priority, files, excludes, includes, hotfixes, sha256)


def taken_on_trust(lock: Lock) -> Iterator[str]:
    """What is in the lock on nobody's signature, a line each."""
    for repository in lock.repositories:
        if repository.trust == "unsigned":
            yield f"repository {repository.id}: its packages are unsigned, as the definition says"
        elif repository.trust == "signed" and repository.repomd_signer is None:
            yield f"repository {repository.id}: its metadata is unsigned; its packages are checked one by one"
        if repository.sha1:
            yield f"repository {repository.id}: signatures over SHA-1 are accepted, which prove little"
    listed = sum(boot.vouched_by == "treeinfo" for boot in lock.boot)
    unlisted = sum(boot.vouched_by == "nobody" for boot in lock.boot)
    yield (
        f"the installer's tree is unsigned: {listed} boot files are as its .treeinfo says, {unlisted} as they came; "
        "the lock keeps them so"
    )
