"""From a lock to the tree of a medium: what lies where, as values. No package is copied or read here."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from isobuilder import mediainfo
from isobuilder.definition import Definition
from isobuilder.errors import MediumError, TrustError
from isobuilder.fetch.cache import Cache
from isobuilder.iso.bootimage import fat_image
from isobuilder.kickstart import Kickstart
from isobuilder.lock import BootFile, File, Lock
from isobuilder.menus import SPLASH_PATH, menu_entries, render_grub, render_isolinux, splash
from isobuilder.releases import ArchFacts, Release
from isobuilder.repository.comps import merge_comps
from isobuilder.repository.repodata import write_repodata
from isobuilder.tree import BootRecords, Cached, Content, Inline, Tree
from isobuilder.trust.rpmpayload import read_member

# The master boot record's code is no file on the medium; the lock names it all the same.
MBR = "mbr"
EFI_IMAGE = "images/efiboot.img"
EFI_LABEL = "ANACONDA"
MEMBER_LIMIT = 1 << 20


def compose(
    lock: Lock, definition: Definition, release: Release, kickstarts: Sequence[Kickstart], cache: Cache
) -> Tree:
    """The medium that `lock` describes; every file of the lock must be in the cache.

    Raises MediumError when two things want one path, TrustError when a boot file is not what the lock says.
    """
    files = _Files()
    files.add_all(_boot_files(lock, cache))
    files.add_all(_menus(lock, definition, release, kickstarts))
    files.add_all({kickstart.path: Inline(kickstart.text.encode()) for kickstart in kickstarts})
    files.add_all(_keys(lock, cache))
    files.add_all(_packages(lock, cache))
    files.add_all(_repodata(lock, cache))
    efi = {path: _bytes(content) for path, content in files.items() if path.startswith("EFI/")}
    files.add_all(
        {EFI_IMAGE: Inline(fat_image(efi, label=EFI_LABEL, epoch=lock.epoch, identity=_identity(lock)))},
    )
    files.add_all(_mediainfo(lock, release, files))
    return Tree(
        volume_id=lock.volume_id,
        epoch=lock.epoch,
        identity=_identity(lock),
        files=files,
        links={},
        boot=BootRecords(
            bios="isolinux/isolinux.bin", efi=EFI_IMAGE, catalog="isolinux/boot.cat", mbr=_mbr(lock, cache)
        ),
    )


class _Files(dict[str, Content]):
    """The medium's files by path; two things at one path is an error, not a race."""

    def add_all(self, files: Mapping[str, Content]) -> None:
        if clashes := self.keys() & files.keys():
            raise MediumError("two files want the same place on the medium", details=sorted(clashes))
        self.update(files)


def _boot_files(lock: Lock, cache: Cache) -> dict[str, Content]:
    return {boot.path: _cached(boot.file, cache) for boot in lock.boot if boot.file}


def _mbr(lock: Lock, cache: Cache) -> bytes:
    boot = next(boot for boot in lock.boot if boot.path == MBR)
    return _member(boot, lock, cache)


def _member(boot: BootFile, lock: Lock, cache: Cache) -> bytes:
    package = next(package for package in lock.packages if package.nevra == boot.nevra)
    return read_member(cache.path(package.file.sha256), boot.member or "", limit=MEMBER_LIMIT)


def _menus(lock: Lock, definition: Definition, release: Release, kickstarts: Sequence[Kickstart]) -> dict[str, Content]:
    entries = menu_entries(kickstarts, definition, release, lock.volume_id)
    return {
        SPLASH_PATH: Inline(splash()),
        "isolinux/isolinux.cfg": Inline(render_isolinux(entries, definition, release).encode()),
        "EFI/BOOT/grub.cfg": Inline(render_grub(entries, definition, release, lock.volume_id).encode()),
    }


def _keys(lock: Lock, cache: Cache) -> dict[str, Content]:
    return {PurePosixPath(key.file.url).name: _cached(key.file, cache) for key in lock.keys}


def _packages(lock: Lock, cache: Cache) -> dict[str, Content]:
    files = _Files()
    for package in lock.packages:
        if package.roles:
            files.add_all({package.path: _cached(package.file, cache)})
    return files


def _repodata(lock: Lock, cache: Cache) -> dict[str, Content]:
    metadata = {
        repository.id: {kind: cache.path(file.sha256) for kind, file in repository.metadata.items()}
        for repository in lock.repositories
    }
    comps = [paths["group"].read_bytes() for paths in metadata.values() if "group" in paths]
    packages = [package for package in lock.packages if package.roles]
    merged = merge_comps(comps) if comps else None
    return {path: Inline(data) for path, data in write_repodata(packages, metadata, merged, epoch=lock.epoch).items()}


def _mediainfo(lock: Lock, release: Release, files: Mapping[str, Content]) -> dict[str, Content]:
    facts = _facts(release, lock)
    named = [facts.boot.kernel, facts.boot.initrd, facts.boot.stage2, EFI_IMAGE, "repodata/repomd.xml"]
    checksums = {path: _sha256(files[path]) for path in named}
    return {
        ".treeinfo": Inline(mediainfo.treeinfo(release, facts, lock.arch, epoch=lock.epoch, checksums=checksums)),
        ".discinfo": Inline(mediainfo.discinfo(release, lock.arch, epoch=lock.epoch)),
        "media.repo": Inline(mediainfo.media_repo(release, epoch=lock.epoch)),
    }


def _facts(release: Release, lock: Lock) -> ArchFacts:
    return next(facts for arch, facts in release.arch.items() if arch == lock.arch)


def _identity(lock: Lock) -> str:
    """What a medium's ids are derived from: the same lock gives the same ids."""
    return hashlib.sha256(lock.model_dump_json().encode()).hexdigest()


def _cached(file: File, cache: Cache) -> Cached:
    return Cached(cache.path(file.sha256), file.sha256, file.size)


def _sha256(content: Content) -> str:
    return content.sha256 if isinstance(content, Cached) else hashlib.sha256(content.data).hexdigest()


def _bytes(content: Content) -> bytes:
    if isinstance(content, Inline):
        return content.data
    data = content.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != content.sha256:
        raise TrustError(f"{content.path}: the cache entry is damaged", hint="Remove it and build again.")
    return data
