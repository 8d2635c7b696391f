"""What there is to take: repositories, the installer's tree and the keys, as they are on the network now.

This is the one look that the lock is made from. Whatever it gives has a checksum: a published one that was verified, or
the one of the bytes that came.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from isobuilder.definition import Repository
from isobuilder.errors import TrustError
from isobuilder.fetch.cache import Cache
from isobuilder.fetch.fetcher import Fetcher
from isobuilder.lock import BootFile, File, Key, LockedRepository
from isobuilder.releases import ArchFacts
from isobuilder.repository.repomd import TreeInfo, metadata_files, parse_repomd, parse_treeinfo
from isobuilder.trust.signatures import Keyring

KEY_LIMIT = 1 << 20
METADATA_LIMIT = 16 << 20
# A boot file without a published checksum is a loader or a font; kernels and images have one.
LOADER_LIMIT = 64 << 20


@dataclass(frozen=True)
class Upstream:
    """What was found. `newest` is the latest time that any of it carries, in seconds since 1970."""

    keys: tuple[Key, ...]
    repositories: tuple[LockedRepository, ...]
    boot: tuple[BootFile, ...]
    newest: int


def look(repositories: Sequence[Repository], facts: ArchFacts, tree: str, fetcher: Fetcher, cache: Cache) -> Upstream:
    """Look at every repository, its keys, and the tree at `tree` (an address that ends in a slash).

    Raises FetchError for what cannot be had, and TrustError where a key, a signature or a checksum is not as pinned.
    """
    keys = [_key(repository, url, fetcher, cache) for repository in repositories if (url := repository.gpgkey)]
    found = [_repository(repository, fetcher, cache) for repository in repositories]
    treeinfo = parse_treeinfo(fetcher.read(f"{tree}.treeinfo", limit=METADATA_LIMIT), where=f"{tree}.treeinfo")
    boot = _boot_files(facts, tree, treeinfo, fetcher, cache)
    newest = max([treeinfo.timestamp, *(timestamp for _, timestamp in found)])
    return Upstream(_merged(keys), tuple(locked for locked, _ in found), boot, newest)


def _key(repository: Repository, url: str, fetcher: Fetcher, cache: Cache) -> Key:
    data = fetcher.read(url, limit=KEY_LIMIT)
    Keyring.from_files([(data, repository.fingerprint)])
    return Key(file=_file(url, data, cache), fingerprints=repository.fingerprint)


def _merged(keys: Sequence[Key]) -> tuple[Key, ...]:
    """One entry for each key file, with every fingerprint that somebody pinned in it."""
    merged: dict[str, Key] = {}
    for key in keys:
        known = merged.get(key.file.sha256, key)
        pins = tuple(sorted({*known.fingerprints, *key.fingerprints}))
        merged[key.file.sha256] = known.model_copy(update={"fingerprints": pins})
    return tuple(merged.values())


def _repository(repository: Repository, fetcher: Fetcher, cache: Cache) -> tuple[LockedRepository, int]:
    url = f"{repository.baseurl}repodata/repomd.xml"
    data = fetcher.read(url, limit=METADATA_LIMIT)
    signer = _repomd_signer(repository, url, data, fetcher)
    repomd = parse_repomd(data, where=url)
    locked = LockedRepository(
        id=repository.id,
        baseurl=repository.baseurl,
        fingerprints=repository.fingerprint,
        repomd_signer=signer,
        metadata={"repomd": _file(url, data, cache), **metadata_files(repomd, repository.baseurl)},
    )
    return locked, repomd.timestamp


def _repomd_signer(repository: Repository, url: str, data: bytes, fetcher: Fetcher) -> str | None:
    if repository.repomd_signature == "off" or repository.gpgkey is None:
        return None
    signature = fetcher.read_optional(f"{url}.asc", limit=KEY_LIMIT)
    if signature is None:
        if repository.repomd_signature == "required":
            raise TrustError(
                f"repository {repository.id}: there is no {url}.asc",
                hint='repomd-signature = "if-present" takes metadata that nobody signed; packages stay checked.',
            )
        return None
    key = fetcher.read(repository.gpgkey, limit=KEY_LIMIT)
    return Keyring.from_files([(key, repository.fingerprint)]).verify(data, signature)


def _boot_files(
    facts: ArchFacts, tree: str, treeinfo: TreeInfo, fetcher: Fetcher, cache: Cache
) -> tuple[BootFile, ...]:
    paths = dict.fromkeys([facts.boot.kernel, facts.boot.initrd, facts.boot.stage2, *facts.boot.files])
    files: list[BootFile] = []
    for path in paths:
        url = f"{tree}{path}"
        sha256 = treeinfo.checksums.get(path)
        if sha256 is None:
            file = _file(url, fetcher.read(url, limit=LOADER_LIMIT), cache)
        else:
            file = File(url=url, sha256=sha256, size=fetcher.size(url))
        files.append(BootFile(path=path, file=file))
    return tuple(files)


def _file(url: str, data: bytes, cache: Cache) -> File:
    path = cache.add(data)
    return File(url=url, sha256=path.name, size=len(data))
