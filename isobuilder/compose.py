"""From a lock to the tree of a medium: what lies where, as values. No package is copied or read here."""

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from isobuilder import mediainfo
from isobuilder.errors import MediumError
from isobuilder.fetch.cache import Cache
from isobuilder.iso.bootimage import fat_image
from isobuilder.lock import File, Lock
from isobuilder.menus import GRUB_MENU, ISOLINUX_MENU, SPLASH_PATH, render_grub, render_isolinux, splash
from isobuilder.plan import Plan
from isobuilder.repository.comps import merge_comps
from isobuilder.repository.repodata import write_repodata
from isobuilder.tree import BootRecords, Cached, Content, Inline, Tree
from isobuilder.trust.rpmpayload import read_member

# The master boot record's code is no file on the medium; the lock names it all the same.
MBR = "mbr"
BIOS_IMAGE = "isolinux/isolinux.bin"
BOOT_CATALOG = "isolinux/boot.cat"
EFI_IMAGE = "images/efiboot.img"
EFI_LABEL = "ANACONDA"
MEMBER_LIMIT = 1 << 20


def compose(plan: Plan, lock: Lock, cache: Cache) -> Tree:
    """The medium that `lock` describes; every file of the lock must be in the cache.

    Raises MediumError when two things want one path, TrustError when a boot file is not what the lock says.
    """
    identity = hashlib.sha256(lock.model_dump_json().encode()).hexdigest()
    files = _Files()
    files.add_all({boot.path: _cached(boot.file, cache) for boot in lock.boot if boot.file})
    files.add_all(_menus(plan))
    files.add_all({kickstart.path: Inline(kickstart.text.encode()) for kickstart in plan.kickstarts})
    files.add_all(_keys(lock, cache))
    files.add_all({package.path: _cached(package.file, cache) for package in lock.packages if package.roles})
    files.add_all(_repodata(lock, cache))
    efi = {path: _bytes(content, cache) for path, content in files.items() if path.startswith("EFI/")}
    esp = fat_image(efi, label=EFI_LABEL, epoch=lock.epoch, identity=identity)
    files.add_all({EFI_IMAGE: Inline(esp)})
    files.add_all(_mediainfo(plan, lock, files))
    boot = BootRecords(bios=BIOS_IMAGE, efi=EFI_IMAGE, catalog=BOOT_CATALOG, mbr=_mbr(lock, cache))
    return Tree(lock.volume_id, lock.epoch, identity, files, links={}, boot=boot)


class _Files(dict[str, Content]):
    """The medium's files by path; two things at one path is an error, not a race."""

    def add_all(self, files: Mapping[str, Content]) -> None:
        if clashes := self.keys() & files.keys():
            raise MediumError("two files want the same place on the medium", details=sorted(clashes))
        self.update(files)


def _mbr(lock: Lock, cache: Cache) -> bytes:
    boot = next(boot for boot in lock.boot if boot.path == MBR)
    package = next(package for package in lock.packages if package.nevra == boot.nevra)
    return read_member(cache.path(package.file.sha256), boot.member or "", limit=MEMBER_LIMIT)


def _menus(plan: Plan) -> dict[str, Content]:
    return {
        SPLASH_PATH: Inline(splash()),
        ISOLINUX_MENU: Inline(render_isolinux(plan.menu, plan.definition, plan.release).encode()),
        GRUB_MENU: Inline(render_grub(plan.menu, plan.definition, plan.release, plan.volume_id).encode()),
    }


def _keys(lock: Lock, cache: Cache) -> dict[str, Content]:
    return {PurePosixPath(key.file.url).name: _cached(key.file, cache) for key in lock.keys}


def _repodata(lock: Lock, cache: Cache) -> dict[str, Content]:
    metadata = {
        repository.id: {kind: cache.check(file.sha256) for kind, file in repository.metadata.items()}
        for repository in lock.repositories
    }
    comps = [paths["group"].read_bytes() for paths in metadata.values() if "group" in paths]
    packages = [package for package in lock.packages if package.roles]
    merged = merge_comps(comps) if comps else None
    return {path: Inline(data) for path, data in write_repodata(packages, metadata, merged, epoch=lock.epoch).items()}


def _mediainfo(plan: Plan, lock: Lock, files: Mapping[str, Content]) -> dict[str, Content]:
    boot = plan.facts.boot
    named = [boot.kernel, boot.initrd, boot.stage2, EFI_IMAGE, "repodata/repomd.xml"]
    checksums = {path: _sha256(files[path]) for path in named}
    treeinfo = mediainfo.treeinfo(plan.release, boot, lock.arch, epoch=lock.epoch, checksums=checksums)
    return {
        ".treeinfo": Inline(treeinfo),
        ".discinfo": Inline(mediainfo.discinfo(plan.release, lock.arch, epoch=lock.epoch)),
        "media.repo": Inline(mediainfo.media_repo(plan.release, epoch=lock.epoch)),
    }


def _cached(file: File, cache: Cache) -> Cached:
    return Cached(cache.path(file.sha256), file.sha256, file.size)


def _sha256(content: Content) -> str:
    return content.sha256 if isinstance(content, Cached) else hashlib.sha256(content.data).hexdigest()


def _bytes(content: Content, cache: Cache) -> bytes:
    return content.data if isinstance(content, Inline) else cache.check(content.sha256).read_bytes()
