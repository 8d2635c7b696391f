"""The manifest beside an ISO: what is on the medium, where it came from, and who really vouched for it.

The lock says who must have signed; this says who did. It has no time and no path of the machine that made it: the same
lock and the same versions give the same manifest.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

from isobuilder.iso.writer import Written
from isobuilder.lock import BootFile, Lock, LockedRepository, Package, dump_lock
from isobuilder.releases import MBR
from isobuilder.tree import Cached, Content, Tree, UefiOnly
from isobuilder.trust.signatures import Signer

VERSION = 1


def dump_manifest(
    lock: Lock, signers: Mapping[str, Signer], tree: Tree, written: Written, made_with: Mapping[str, str]
) -> str:
    """The manifest of `written` as JSON text; `signers` are those of packages, by the packages' sha256."""
    names = {boot.path for boot in lock.boot} | {package.path for package in lock.packages}
    table = {
        "version": VERSION,
        "name": lock.name,
        "release": lock.release,
        "arch": lock.arch,
        "volume-id": lock.volume_id,
        "epoch": lock.epoch,
        "iso": {
            "file": written.path.name,
            "size": written.size,
            "sha256": written.sha256,
            "media-checksum-md5": written.md5,
        },
        "lock": {"sha256": hashlib.sha256(dump_lock(lock).encode()).hexdigest()},
        "made-with": dict(made_with),
        "repositories": [_repository(repository) for repository in lock.repositories],
        "packages": [_package(package, signers.get(package.file.sha256)) for package in lock.packages],
        "boot": [_boot(boot, lock, tree) for boot in lock.boot],
        "other-files": {
            path: _sha256(content)
            for path, content in sorted(tree.files.items())
            if path not in names and not any(path.startswith(name) for name in names if name.endswith("/"))
        },
    }
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def _repository(repository: LockedRepository) -> dict[str, object]:
    """A repository; one that is built in has no repomd.xml."""
    repomd = repository.metadata.get("repomd")
    return {
        "id": repository.id,
        "trust": repository.trust,
        "repomd-sha256": repomd.sha256 if repomd else None,
        "repomd-signer": repository.repomd_signer,
    }


def _package(package: Package, signer: Signer | None) -> dict[str, object]:
    """A package; `path` is null for one that only boot code was taken out of, `signature` for one taken unsigned."""
    return {
        "nevra": package.nevra,
        "path": package.path if package.roles else None,
        "sha256": package.file.sha256,
        "size": package.file.size,
        "repository": package.repository,
        "signature": asdict(signer) if signer else None,
    }


def _boot(boot: BootFile, lock: Lock, tree: Tree) -> dict[str, object]:
    """A boot file, or a folder of them: its files as they are given to the writer, and whose word that is.

    A loader that is told its own place on the medium (isolinux.bin, eltorito.img) differs there in those bytes.
    """
    if boot.path == MBR:
        files = {} if isinstance(tree.boot, UefiOnly) else {MBR: hashlib.sha256(tree.boot.mbr).hexdigest()}
    else:
        found = {path: content for path, content in tree.files.items() if _is_of(path, boot.path)}
        files = {path: _sha256(content) for path, content in sorted(found.items())}
    package = next((p.nevra for p in lock.packages if p.file.sha256 == boot.file.sha256), None)
    return {
        "path": boot.path,
        "files": files,
        "vouched-by": boot.vouched_by,
        "package": package,
        "member": boot.member,
        "source-sha256": boot.file.sha256,
    }


def _is_of(path: str, place: str) -> bool:
    return path.startswith(place) if place.endswith("/") else path == place


def _sha256(content: Content) -> str:
    return content.sha256 if isinstance(content, Cached) else hashlib.sha256(content.data).hexdigest()
