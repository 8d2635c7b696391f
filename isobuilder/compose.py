"""From a lock to the tree of a medium: what lies where, as values. No package is copied here."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from isobuilder import mediainfo
from isobuilder.blueprint import key_names
from isobuilder.errors import MediumError
from isobuilder.fetch.cache import Cache
from isobuilder.iso.bootimage import fat_image
from isobuilder.lock import File, Lock, RepositoryFile
from isobuilder.plan import Plan
from isobuilder.releases import MBR
from isobuilder.repository.comps import merge_comps
from isobuilder.repository.repodata import write_repodata
from isobuilder.tree import BootRecords, Cached, Content, Inline, Tree
from isobuilder.trust.rpmpayload import read_member

BOOT_CATALOG = "isolinux/boot.cat"
EFI_IMAGE = "images/efiboot.img"
EFI_LABEL = "ANACONDA"
MEMBER_LIMIT = 1 << 20


def compose(plan: Plan, lock: Lock, cache: Cache) -> Tree:
    """The medium that `lock` describes; every file of the lock must be in the cache.

    Raises MediumError when two things want one path, TrustError when a cached file is not what it was.
    """
    # The same medium has the same identity, from whichever mirrors its files come.
    content = lock.model_dump_json(exclude={"repositories": {"__all__": {"baseurl"}}})
    identity = hashlib.sha256(content.encode()).hexdigest()
    files = _Files()
    files.add((boot.path, _cached(boot.file, cache)) for boot in lock.boot if boot.path != MBR)
    files.add((path, Inline(data)) for path, data in plan.menus.items())
    files.add((kickstart.path, Inline(kickstart.text.encode())) for kickstart in plan.kickstarts)
    files.add((name, _cached(key, cache)) for name, key in _keys(lock))
    files.add((package.path, _cached(package.file, cache)) for package in lock.packages if package.roles)
    files.add(_repodata(lock, cache))
    efi = {path: _bytes(content, cache) for path, content in files.items() if path.startswith("EFI/")}
    esp = fat_image(efi, label=EFI_LABEL, epoch=lock.epoch, identity=identity)
    files.add([(EFI_IMAGE, Inline(esp))])
    files.add(_mediainfo(plan, lock, files))
    bios = plan.facts.boot.bios
    if bios is None:
        raise MediumError("a medium without a BIOS loader cannot be made yet")
    boot = BootRecords(bios=bios.image, efi=EFI_IMAGE, catalog=BOOT_CATALOG, mbr=_mbr(lock, cache))
    return Tree(lock.volume_id, lock.epoch, identity, files, boot=boot)


class _Files(dict[str, Content]):
    """The medium's files by path; two things at one path is an error, not a race."""

    def add(self, files: Iterable[tuple[str, Content]]) -> None:
        for path, content in files:
            if path in self:
                raise MediumError(f"two files want the place {path!r} on the medium")
            self[path] = content


def _mbr(lock: Lock, cache: Cache) -> bytes:
    boot = next(boot for boot in lock.boot if boot.path == MBR)
    try:
        return read_member(cache.check(boot.file.sha256), boot.member or "", limit=MEMBER_LIMIT)
    except MediumError as error:
        package = next(package.nevra for package in lock.packages if package.file.sha256 == boot.file.sha256)
        raise MediumError(
            f"{package}: {error.message}", hint="The release file's key boot.bios.mbr names it."
        ) from error


def _keys(lock: Lock) -> Iterator[tuple[str, File]]:
    """The keys lie at the medium's root, like those of a stock medium."""
    files = {key.file.url: key.file for key in lock.keys}
    for url, name in key_names(files).items():
        yield name, files[url]


def _repodata(lock: Lock, cache: Cache) -> Iterator[tuple[str, Content]]:
    metadata = {
        repository.id: {kind: cache.check(file.sha256) for kind, file in repository.metadata.items()}
        for repository in lock.repositories
    }
    comps = [paths["group"].read_bytes() for paths in metadata.values() if "group" in paths]
    packages = [package for package in lock.packages if package.roles]
    merged = merge_comps(comps) if comps else None
    for path, data in write_repodata(packages, metadata, merged, epoch=lock.epoch).items():
        yield path, Inline(data)


def _mediainfo(plan: Plan, lock: Lock, files: Mapping[str, Content]) -> list[tuple[str, Content]]:
    boot = plan.facts.boot
    named = [boot.kernel, boot.initrd, boot.stage2, EFI_IMAGE, "repodata/repomd.xml"]
    checksums = {path: _sha256(files[path]) for path in named}
    treeinfo = mediainfo.treeinfo(plan.release, boot, lock.arch, epoch=lock.epoch, checksums=checksums)
    return [
        (".treeinfo", Inline(treeinfo)),
        (".discinfo", Inline(mediainfo.discinfo(plan.release, lock.arch, epoch=lock.epoch))),
        ("media.repo", Inline(mediainfo.media_repo(plan.release, epoch=lock.epoch))),
    ]


def _cached(file: File | RepositoryFile, cache: Cache) -> Cached:
    return Cached(cache.path(file.sha256), file.sha256, file.size)


def _sha256(content: Content) -> str:
    return content.sha256 if isinstance(content, Cached) else hashlib.sha256(content.data).hexdigest()


def _bytes(content: Content, cache: Cache) -> bytes:
    return content.data if isinstance(content, Inline) else cache.check(content.sha256).read_bytes()
