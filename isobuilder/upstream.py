"""What there is to take: repositories, the installer's tree and the keys, as they are on the network now.

This is the one look that the lock is made from. Whatever it gives has a checksum: a published one, or that of the bytes
which came, and says so.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from isobuilder.definition import Repository
from isobuilder.errors import FetchError, TrustError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.download import Wanted
from isobuilder.fetch.failover import Place
from isobuilder.fetch.fetcher import Fetcher, Once
from isobuilder.lock import BootFile, File, Key, LockedRepository, RepositoryFile
from isobuilder.releases import Boot
from isobuilder.repository.mirrors import REPOMD, Mirrors, parse_metalink, parse_mirrorlist
from isobuilder.repository.repomd import Repomd, TreeInfo, metadata_files, parse_repomd, parse_treeinfo
from isobuilder.trust.signatures import Keyring, pinned_in

T = TypeVar("T")

KEY_LIMIT = 1 << 20
METADATA_LIMIT = 16 << 20
LISTING_LIMIT = 4 << 20
# A boot file without a published checksum is a loader or a font; kernels and images have one.
LOADER_LIMIT = 64 << 20
# Changelogs: mirrors are known to lack them, and nothing is decided by them.
_DISPENSABLE = ("other",)


@dataclass(frozen=True)
class Upstream:
    """What was found. `newest` is the latest time that any of it carries, in seconds since 1970; `notes` are to say."""

    keys: tuple[Key, ...]
    repositories: tuple[LockedRepository, ...]
    boot: tuple[BootFile, ...]
    newest: int
    notes: tuple[str, ...]


def look(
    repositories: Sequence[Repository], boot: Boot, tree: str, arch: str, fetcher: Fetcher, cache: Cache
) -> Upstream:
    """Look at every repository, its keys, and the tree at `tree` (an address that ends in a slash).

    Raises FetchError for what cannot be had, and TrustError where a key, a signature or a checksum is not as pinned, or
    the tree is another architecture's.
    """
    addresses = dict.fromkeys(url for repository in repositories for url in repository.gpgkey)
    fetcher.require(_first_addresses(repositories, boot, tree))
    keys = {url: fetcher.read(url, limit=KEY_LIMIT) for url in addresses}
    found = [_repository(repository, arch, keys, fetcher, cache) for repository in repositories]
    treeinfo = parse_treeinfo(
        _twice(lambda url: fetcher.read(url, limit=METADATA_LIMIT), f"{tree}.treeinfo"), where=f"{tree}.treeinfo"
    )
    if treeinfo.arch != arch:
        raise TrustError(f"{tree}.treeinfo: this is a tree of {treeinfo.arch}, not {arch}")
    newest = max([treeinfo.timestamp, *(one.repomd.timestamp for _, one in found)])
    if not 0 < newest < 1 << 32:
        raise TrustError(f"{tree}: what upstream carries is dated {newest} seconds after 1970, which cannot be")
    return Upstream(
        keys=tuple(_key(url, data, repositories, cache) for url, data in keys.items()),
        repositories=tuple(locked for locked, _ in found),
        boot=_boot_files(boot, tree, treeinfo, fetcher, cache),
        newest=newest,
        notes=tuple(note for repository, one in found for note in _notes(repository, one)),
    )


def _notes(repository: LockedRepository, found: "_Found") -> Iterator[str]:
    if found.age:
        yield f"repository {repository.id}: no mirror has the newest metadata yet"
    for kind in found.lacking:
        yield f"repository {repository.id}: its metadata of the kind {kind} is not there, and is left out"


def _first_addresses(repositories: Sequence[Repository], boot: Boot, tree: str) -> Iterator[str]:
    """All that is known to be asked for before anything is; what a listing names, it alone knows."""
    for repository in repositories:
        yield from repository.gpgkey
        yield repository.listing or f"{repository.baseurl}{REPOMD}"
        if not repository.listing and repository.gpgkey and repository.repomd_signature != "off":
            yield f"{repository.baseurl}{REPOMD}.asc"
    yield f"{tree}.treeinfo"
    yield from (f"{tree}{path}" for path in dict.fromkeys((*boot.tree_files, *boot.inside.values())))


def _key(url: str, data: bytes, repositories: Sequence[Repository], cache: Cache) -> Key:
    users = [repository for repository in repositories if url in repository.gpgkey]
    pins = sorted({fingerprint for repository in users for fingerprint in repository.fingerprint})
    return Key(
        file=_file(url, data, cache),
        repositories=tuple(repository.id for repository in users),
        fingerprints=pinned_in(data, pins),
    )


def _repository(
    repository: Repository, arch: str, keys: Mapping[str, bytes], fetcher: Fetcher, cache: Cache
) -> tuple[LockedRepository, "_Found"]:
    mirrors = _mirrors(repository, arch, fetcher)
    keyring = _keyring(repository, keys)
    older: list[_Found] = []

    def look(once: Once, url: str) -> _Found:
        data = once.read(url, limit=METADATA_LIMIT)
        age = mirrors.age(data, where=url)
        signer = _repomd_signer(repository, keyring, url, data, once) if keyring else None
        found = _Found(age, data, parse_repomd(data, where=url), signer)
        if age:
            older.append(found)
            raise FetchError(f"{url}: is older than the newest that the metalink lists")
        return found

    try:
        found = fetcher.first_good(Place(mirrors.baseurls, REPOMD), look)
    except (FetchError, TrustError):
        if not older:
            raise
        # Mirrors take hours to follow; what the metalink lists as an alternate is still good.
        found = min(older, key=lambda found: found.age)
    locked = _locked(repository, mirrors, found, cache)
    lacking = [kind for kind in _DISPENSABLE if kind in locked.metadata and not _is_there(locked, kind, fetcher)]
    kept = {kind: file for kind, file in locked.metadata.items() if kind not in lacking}
    return locked.model_copy(update={"metadata": kept}), replace(found, lacking=tuple(lacking))


def _is_there(repository: LockedRepository, kind: str, fetcher: Fetcher) -> bool:
    file = repository.metadata[kind]
    return fetcher.is_there(Wanted(Place(repository.baseurl, file.path), file.sha256, file.size))


@dataclass(frozen=True)
class _Found:
    """A repomd.xml that will do: its age (0: the newest), its bytes, what they say, and who signed them.

    `lacking` are the kinds of metadata that it names and nobody has.
    """

    age: int
    data: bytes
    repomd: Repomd
    signer: str | None
    lacking: tuple[str, ...] = ()


def _locked(repository: Repository, mirrors: Mirrors, found: _Found, cache: Cache) -> LockedRepository:
    path = cache.add(found.data)
    repomd = RepositoryFile(path=REPOMD, sha256=path.name, size=len(found.data))
    return LockedRepository(
        id=repository.id,
        listing=repository.listing,
        baseurl=mirrors.baseurls,
        trust=repository.trust,
        fingerprints=repository.fingerprint,
        sha1=repository.sha1,
        repomd_signer=found.signer,
        metadata={"repomd": repomd, **metadata_files(found.repomd)},
        module_hotfixes=repository.module_hotfixes,
    )


def _mirrors(repository: Repository, arch: str, fetcher: Fetcher) -> Mirrors:
    if repository.metalink:
        data = fetcher.read(repository.metalink, limit=LISTING_LIMIT)
        return parse_metalink(data, where=repository.metalink)
    if repository.mirrorlist:
        data = fetcher.read(repository.mirrorlist, limit=LISTING_LIMIT)
        return parse_mirrorlist(data, arch, where=repository.mirrorlist)
    return Mirrors((str(repository.baseurl),))


def _keyring(repository: Repository, keys: Mapping[str, bytes]) -> Keyring | None:
    if not repository.gpgkey:
        return None
    try:
        return Keyring.from_files(
            [keys[url] for url in repository.gpgkey], repository.fingerprint, sha1=repository.sha1
        )
    except TrustError as error:
        where = f"repository {repository.id}: {', '.join(repository.gpgkey)}"
        raise TrustError(f"{where}: {error.message}", details=error.details, hint=error.hint) from error


def _repomd_signer(repository: Repository, keyring: Keyring, url: str, data: bytes, once: Once) -> str | None:
    if repository.repomd_signature == "off":
        return None
    signature = once.read_optional(f"{url}.asc", limit=KEY_LIMIT)
    if signature is not None:
        try:
            return keyring.verify(data, signature)
        except TrustError as error:
            raise TrustError(f"{url}.asc: {error.message}", details=error.details, hint=error.hint) from error
    if repository.repomd_signature == "required":
        raise TrustError(
            f"repository {repository.id}: there is no {url}.asc",
            hint='repomd-signature = "if-present" takes metadata that nobody signed; packages stay checked.',
        )
    return None


def _boot_files(boot: Boot, tree: str, treeinfo: TreeInfo, fetcher: Fetcher, cache: Cache) -> tuple[BootFile, ...]:
    files: list[BootFile] = []
    for path in boot.tree_files:
        url = f"{tree}{path}"
        if sha256 := treeinfo.checksums.get(path):
            file = File(url=url, sha256=sha256, size=_twice(fetcher.size, url))
            files.append(BootFile(path=path, file=file, vouched_by="treeinfo"))
        else:
            file = _file(url, _loader(url, fetcher), cache)
            files.append(BootFile(path=path, file=file, vouched_by="nobody"))
    isos = {iso: _vouched_iso(iso, tree, treeinfo, fetcher) for iso in set(boot.inside.values())}
    files += [
        BootFile(path=path, file=isos[iso], vouched_by="treeinfo", member=path) for path, iso in boot.inside.items()
    ]
    return tuple(files)


def _vouched_iso(path: str, tree: str, treeinfo: TreeInfo, fetcher: Fetcher) -> File:
    url = f"{tree}{path}"
    sha256 = treeinfo.checksums.get(path)
    if sha256 is None:
        raise TrustError(
            f"{url}: boot files lie inside this ISO, and the tree's .treeinfo has no checksum of it",
            hint="The release file's key boot.bios.inside names it.",
        )
    return File(url=url, sha256=sha256, size=_twice(fetcher.size, url))


def _loader(url: str, fetcher: Fetcher) -> bytes:
    data = _twice(lambda url: fetcher.read(url, limit=LOADER_LIMIT), url)
    # What networks that want a login, and servers that have lost a file, answer as if all were well.
    if re.match(rb"\s*<(?:!doctype|html|head|\?xml)\b", data[:256], re.IGNORECASE):
        raise TrustError(f"{url}: is a page for a browser, and no boot file", hint="Look at it with a browser.")
    return data


def _twice(ask: Callable[[str], T], url: str) -> T:
    """What comes from `url`, where no checksum says whether it is right: asked for twice, against a bad connection."""
    first = ask(url)
    if ask(url) != first:
        raise TrustError(
            f"{url}: nobody vouches for it, and it was not the same when it was asked for again",
            hint="The server is being changed, or the connection is bad. Run this again, or use another mirror.",
        )
    return first


def _file(url: str, data: bytes, cache: Cache) -> File:
    path = cache.add(data)
    return File(url=url, sha256=path.name, size=len(data))
