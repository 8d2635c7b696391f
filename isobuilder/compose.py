"""From a lock to the tree of a medium: what lies where, as values. No package is copied here."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from isobuilder import mediainfo
from isobuilder.blueprint import key_names
from isobuilder.errors import MediumError
from isobuilder.fetch.cache import Cache
from isobuilder.iso.bootimage import fat_image
from isobuilder.iso.reader import read_files
from isobuilder.lock import BootFile, File, Lock, RepositoryFile
from isobuilder.plan import Plan
from isobuilder.releases import MBR, Bios
from isobuilder.repository.comps import merge_comps
from isobuilder.repository.pieces import Metadata, Piece, pieces_of
from isobuilder.repository.repodata import write_repodata
from isobuilder.tree import BootRecords, Cached, Content, GrubBios, Inline, Isolinux, Tree, UefiOnly
from isobuilder.trust.rpmpayload import read_member

EFI_IMAGE = "images/efiboot.img"
# What lies there is in that image too.
EFI_FOLDER = "EFI/"
EFI_LABEL = "ANACONDA"
MEMBER_LIMIT = 1 << 20
# What is taken out of an ISO of the tree is a loader: GRUB's modules are some 3 MB.
INSIDE_LIMIT = 64 << 20


def read_first(lock: Lock) -> set[str]:
    """What `read_pieces` and `compose` read, by sha256: the other files of the lock only get their places."""
    boot = {boot.file.sha256 for boot in lock.boot if boot.member is not None or boot.path.startswith(EFI_FOLDER)}
    return boot.union(file.sha256 for repository in lock.repositories for file in repository.metadata.values())


def read_pieces(lock: Lock, cache: Cache) -> dict[str, Piece]:
    """What metadata says of the packages on the medium, by their sha256. Raises as `pieces_of`."""
    packages = [package for package in lock.packages if package.roles]
    return pieces_of(packages, _metadata(lock, cache), epoch=lock.epoch, kept=cache.kept)


def compose(plan: Plan, lock: Lock, cache: Cache, pieces: Mapping[str, Piece]) -> Tree:
    """The medium that `lock` describes; of its files those of `read_first` must be in the cache. `pieces` are
    `read_pieces`'.

    Raises MediumError when two things want one path, TrustError when a cached file is not what it was.
    """
    # The same medium has the same identity, from whichever mirrors its files come.
    content = lock.model_dump_json(exclude={"repositories": {"__all__": {"baseurl"}}})
    identity = hashlib.sha256(content.encode()).hexdigest()
    files = _Files()
    files.add((boot.path, _cached(boot.file, cache)) for boot in lock.boot if boot.member is None)
    files.add(_out_of_packages(lock, cache))
    files.add(_out_of_isos(lock, cache))
    files.add((path, Inline(data)) for path, data in plan.menus.items())
    files.add((kickstart.path, Inline(kickstart.text.encode())) for kickstart in plan.kickstarts)
    files.add((name, _cached(key, cache)) for name, key in _keys(lock))
    files.add((package.path, _cached(package.file, cache)) for package in lock.packages if package.roles)
    files.add(_repodata(lock, cache, pieces))
    efi = {path: _bytes(content, cache) for path, content in files.items() if path.startswith(EFI_FOLDER)}
    esp = Inline(fat_image(efi, label=EFI_LABEL, epoch=lock.epoch, identity=identity))
    boot = _boot_records(plan.facts.boot.bios, esp, lock, cache)
    if isinstance(boot.efi, str):
        files.add([(boot.efi, esp)])
    files.add(_mediainfo(plan, lock, files))
    return Tree(lock.volume_id, lock.epoch, identity, files, boot)


class _Files(dict[str, Content]):
    """The medium's files by path; two things at one path is an error, not a race."""

    def add(self, files: Iterable[tuple[str, Content]]) -> None:
        for path, content in files:
            if path in self:
                raise MediumError(f"two files want the place {path!r} on the medium")
            self[path] = content


def _out_of_packages(lock: Lock, cache: Cache) -> Iterator[tuple[str, Content]]:
    """What a tree does not publish, and a package of the release has."""
    for boot in lock.boot:
        if boot.vouched_by == "package" and boot.path != MBR:
            yield boot.path, Inline(_member(boot, lock, cache))


def _out_of_isos(lock: Lock, cache: Cache) -> Iterator[tuple[str, Content]]:
    """What lies inside an ISO of the installer's tree."""
    inside = [(boot.path, boot.member, boot.file) for boot in lock.boot if boot.member and isinstance(boot.file, File)]
    isos = {sha256: cache.check(sha256) for sha256 in {file.sha256 for _, _, file in inside}}
    for path, member, iso in inside:
        try:
            found = read_files(isos[iso.sha256], member, limit=INSIDE_LIMIT)
        except MediumError as error:
            raise MediumError(
                f"{iso.url}: {error.message}", hint="The release file's key boot.bios.files names it."
            ) from error
        yield from ((path + name.removeprefix(member), Inline(data)) for name, data in found.items())


def _boot_records(bios: Bios | None, esp: Inline, lock: Lock, cache: Cache) -> BootRecords:
    if bios is None:
        return UefiOnly(EFI_IMAGE)
    match bios.loader:
        case "isolinux":
            return Isolinux(bios.image, EFI_IMAGE, _mbr(lock, cache))
        case "grub":
            return GrubBios(bios.image, esp, _mbr(lock, cache))


def _mbr(lock: Lock, cache: Cache) -> bytes:
    return _member(next(boot for boot in lock.boot if boot.path == MBR), lock, cache)


def _member(boot: BootFile, lock: Lock, cache: Cache) -> bytes:
    try:
        return read_member(cache.check(boot.file.sha256), boot.member or "", limit=MEMBER_LIMIT)
    except MediumError as error:
        package = next(package.nevra for package in lock.packages if package.file.sha256 == boot.file.sha256)
        raise MediumError(
            f"{package}: {error.message}", hint=f"The release file names {boot.member}, under boot.bios."
        ) from error


def _keys(lock: Lock) -> Iterator[tuple[str, File]]:
    """The keys lie at the medium's root, like those of a stock medium."""
    files = {key.file.url: key.file for key in lock.keys}
    for url, name in key_names(files).items():
        yield name, files[url]


def _repodata(lock: Lock, cache: Cache, pieces: Mapping[str, Piece]) -> Iterator[tuple[str, Content]]:
    published = [r.metadata["group"].sha256 for r in lock.repositories if "group" in r.metadata]
    comps = [cache.check(sha256).read_bytes() for sha256 in published]
    files = write_repodata(
        [package for package in lock.packages if package.roles],
        _metadata(lock, cache),
        merge_comps(comps) if comps else None,
        pieces,
        epoch=lock.epoch,
        streams={active.stream for active in lock.modules},
        hotfixes={repository.id for repository in lock.repositories if repository.module_hotfixes},
        kept=cache.kept,
    )
    for path, data in files.items():
        yield path, Inline(data)


def _metadata(lock: Lock, cache: Cache) -> dict[str, Metadata]:
    return {
        repository.id: Metadata(
            {kind: cache.path(file.sha256) for kind, file in repository.metadata.items()},
            {kind: file.sha256 for kind, file in repository.metadata.items()},
        )
        for repository in lock.repositories
    }


def _mediainfo(plan: Plan, lock: Lock, files: Mapping[str, Content]) -> list[tuple[str, Content]]:
    boot = plan.facts.boot
    named = [boot.kernel, boot.initrd, boot.stage2, EFI_IMAGE, "repodata/repomd.xml"]
    checksums = {path: files[path].sha256 for path in named if path in files}
    treeinfo = mediainfo.treeinfo(plan.release, boot, lock.arch, epoch=lock.epoch, checksums=checksums)
    return [
        (".treeinfo", Inline(treeinfo)),
        (".discinfo", Inline(mediainfo.discinfo(plan.release, lock.arch, epoch=lock.epoch))),
        ("media.repo", Inline(mediainfo.media_repo(plan.release, epoch=lock.epoch))),
    ]


def _cached(file: File | RepositoryFile, cache: Cache) -> Cached:
    return Cached(cache.path(file.sha256), file.sha256, file.size)


def _bytes(content: Content, cache: Cache) -> bytes:
    return cache.check(content.sha256).read_bytes() if isinstance(content, Cached) else content.make()
