"""What differs between two locks, for people and for scripts. Whether that is wanted, others say."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Literal

import solv
from rich import filesize

from isobuilder.lock import BootFile, File, Lock, Package

What = Literal["added", "removed", "upgraded", "downgraded", "changed"]


@dataclass(frozen=True)
class Change:
    """One difference. `kind` is what changed: package, boot, key, module, repository, input, tool, setting.

    `old` and `new` are the values in words, empty where there is none; `roles` are those that have the package, before
    or after.
    """

    kind: str
    name: str
    what: What
    old: str = ""
    new: str = ""
    roles: tuple[str, ...] = ()

    def __str__(self) -> str:
        values = f"{self.old or 'none'} -> {self.new or 'none'}" if self.what == "changed" else self._moved()
        return f"{self.kind} {self.name}: {values}" + (f" ({', '.join(self.roles)})" if self.roles else "")

    def _moved(self) -> str:
        if self.old and self.new:
            return f"{self.old} -> {self.new}, {self.what}"
        return f"{self.old or self.new}, {self.what}" if self.old or self.new else self.what


@dataclass(frozen=True)
class Difference:
    """All changes, and the bytes that packages and boot files of the medium have before and after."""

    changes: tuple[Change, ...]
    old_size: int
    new_size: int

    def lines(self) -> Iterator[str]:
        """For people: a line for each change, and one for what they come to."""
        if not self.changes:
            yield "the locks are the same"
            return
        yield from map(str, self.changes)
        of_packages = [change.what for change in self.changes if change.kind == "package"]
        counts = [f"{of_packages.count(what)} {what}" for what in dict.fromkeys(of_packages)]
        yield f"packages: {', '.join(counts) or 'the same'}"
        yield f"packages and boot files: {filesize.decimal(self.old_size)} -> {filesize.decimal(self.new_size)}"

    def json(self) -> str:
        """For scripts."""
        return json.dumps(
            {
                "same": not self.changes,
                "old-size": self.old_size,
                "new-size": self.new_size,
                "changes": [asdict(change) for change in self.changes],
            },
            indent=1,
        )


def compare(old: Lock, new: Lock) -> Difference:
    """What is different in `new`."""
    changes = [
        *_changed("setting", _settings(old), _settings(new)),
        *_changed("input", old.made_from, new.made_from, show=lambda _digest: ""),
        *_changed("tool", old.made_with, new.made_with),
        *_changed("repository", _repositories(old), _repositories(new)),
        *_changed("key", _keys(old), _keys(new)),
        *_changed("boot", {boot.path: _boot(boot) for boot in old.boot}, {boot.path: _boot(boot) for boot in new.boot}),
        *_changed("module", _modules(old), _modules(new)),
        *_packages(old.packages, new.packages),
    ]
    return Difference(tuple(changes), _size(old), _size(new))


def _changed(
    kind: str, old: Mapping[str, str], new: Mapping[str, str], show: Callable[[str], str] = str
) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None or after is None:
            what: What = "added" if before is None else "removed"
            yield Change(kind, name, what, show(before or ""), show(after or ""))
        elif show(before) or show(after):
            yield Change(kind, name, "changed", show(before), show(after))
        else:
            yield Change(kind, name, "changed", "one", "another")


def _settings(lock: Lock) -> dict[str, str]:
    return {
        "name": lock.name,
        "release": lock.release,
        "arch": lock.arch,
        "volume-id": lock.volume_id,
        "epoch": str(lock.epoch),
    }


def _repositories(lock: Lock) -> dict[str, str]:
    """What a repository is and says, each under a name of its own."""
    found: dict[str, str] = {}
    for one in lock.repositories:
        found[one.id] = one.listing or " ".join(one.baseurl)
        if one.listing:
            found[f"{one.id} mirrors"] = " ".join(one.baseurl)
        found[f"{one.id} trust"] = one.trust + (", SHA-1 accepted" if one.sha1 else "")
        found[f"{one.id} keys"] = " ".join(one.fingerprints)
        found[f"{one.id} signer of repomd.xml"] = one.repomd_signer or "nobody"
        if repomd := one.metadata.get("repomd"):
            found[f"{one.id} repomd.xml"] = f"sha256 {repomd.sha256}"
    return found


def _keys(lock: Lock) -> dict[str, str]:
    return {
        key.file.url: f"{' '.join(key.fingerprints)} for {', '.join(key.repositories)} (sha256 {key.file.sha256})"
        for key in lock.keys
    }


def _boot(boot: BootFile) -> str:
    source = f"{boot.member} of " if boot.member else ""
    return f"{source}sha256 {boot.file.sha256}, vouched for by {boot.vouched_by}"


def _modules(lock: Lock) -> dict[str, str]:
    return {active.stream: f"for {', '.join(active.roles)}" for active in lock.modules}


def _packages(old: Sequence[Package], new: Sequence[Package]) -> Iterator[Change]:
    before, after = _by_name(old), _by_name(new)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, {}), after.get(name, {})
        gone = [evr for evr in was if evr not in now]
        come = [evr for evr in now if evr not in was]
        if len(gone) == len(come) == 1:
            what: What = "upgraded" if _is_older(gone[0], come[0]) else "downgraded"
            yield Change("package", name, what, gone[0], come[0], _roles(was[gone[0]], now[come[0]]))
        else:
            yield from (Change("package", name, "removed", old=evr, roles=was[evr].roles) for evr in gone)
            yield from (Change("package", name, "added", new=evr, roles=now[evr].roles) for evr in come)
        for evr in was.keys() & now.keys():
            yield from _changed("package", _details(name, was[evr]), _details(name, now[evr]))


def _is_older(one: str, other: str) -> bool:
    """Whether rpm holds a version (0:5.1-1) for older than another."""
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    repository = pool.add_repo("versions")
    solvables = [repository.add_solvable(), repository.add_solvable()]
    for solvable, evr in zip(solvables, (one, other), strict=True):
        solvable.evr = evr
    return bool(solvables[0].evrcmp(solvables[1]) < 0)


def _by_name(packages: Sequence[Package]) -> dict[str, dict[str, Package]]:
    """The packages by name and architecture (bash.x86_64), then by epoch, version and release (0:5.1-2)."""
    named = sorted(packages, key=_name_and_arch)
    return {name: {_evr(package): package for package in group} for name, group in groupby(named, key=_name_and_arch)}


def _name_and_arch(package: Package) -> str:
    return f"{package.name}.{package.nevra.rpartition('.')[2]}"


def _evr(package: Package) -> str:
    return package.nevra.removeprefix(f"{package.name}-").rpartition(".")[0]


def _details(name: str, package: Package) -> dict[str, str]:
    """What else may change of a package of the same version."""
    return {
        f"{name} roles": ", ".join(package.roles),
        f"{name} repository": package.repository,
        f"{name} bytes": f"sha256 {package.file.sha256}",
    }


def _roles(*packages: Package) -> tuple[str, ...]:
    return tuple(dict.fromkeys(role for package in packages for role in package.roles))


def _size(lock: Lock) -> int:
    files = {package.file.sha256: package.file.size for package in lock.packages if package.roles}
    files |= {b.file.sha256: b.file.size for b in lock.boot if b.member is None and isinstance(b.file, File)}
    return sum(files.values())
