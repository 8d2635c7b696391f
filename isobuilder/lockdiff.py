"""What differs between two locks, for people and for scripts. Whether that is wanted, others say."""

import datetime as dt

from isobuilder.lock import BootFile, File, Lock
from isobuilder.seeing.difference import Difference, Held, changed, changed_packages, changed_roles


def compare(old: Lock, new: Lock) -> Difference:
    """What is different in `new`."""
    changes = [
        *changed("setting", _settings(old), _settings(new)),
        *changed("input", old.made_from, new.made_from, show=lambda _digest: ""),
        *changed("tool", old.made_with, new.made_with),
        *changed("repository", _repositories(old), _repositories(new)),
        *changed("key", _keys(old), _keys(new)),
        *changed("boot", {boot.path: _boot(boot) for boot in old.boot}, {boot.path: _boot(boot) for boot in new.boot}),
        *changed("module", _modules(old), _modules(new)),
        *changed_roles(held(old), held(new)),
        *changed_packages(held(old), held(new)),
    ]
    return Difference(tuple(changes), _size(old), _size(new))


def held(lock: Lock) -> tuple[Held, ...]:
    """The packages of a lock, to be compared."""
    return tuple(
        Held(
            name=package.name,
            evr=package.evr,
            arch=package.arch,
            digest=f"sha256 {package.file.sha256}",
            size=package.file.size,
            roles=package.roles,
            repository=package.repository,
        )
        for package in lock.packages
    )


def _settings(lock: Lock) -> dict[str, str]:
    return {
        "name": lock.name,
        "release": lock.release,
        "arch": lock.arch,
        "volume-id": lock.volume_id,
        "epoch": f"{lock.epoch} ({dt.datetime.fromtimestamp(lock.epoch, dt.UTC):%Y-%m-%d %H:%M:%S} UTC)",
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


def _size(lock: Lock) -> int:
    files = {package.file.sha256: package.file.size for package in lock.packages if package.roles}
    files |= {b.file.sha256: b.file.size for b in lock.boot if b.member is None and isinstance(b.file, File)}
    return sum(files.values())
