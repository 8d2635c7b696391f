"""The manifest on an ISO and beside it: what is on the medium, where it came from, and who really vouched for it.

The lock says who must have signed; this says who did. It has no time and no path of the machine that made it: the same
lock and the same versions give the same manifest. What is written here is read here, too.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from isobuilder.errors import MediumError
from isobuilder.hosterrors import host_errors
from isobuilder.iso.writer import Written
from isobuilder.lock import BootFile, Lock, LockedRepository, Nevra, Package, Sha256, dump_lock
from isobuilder.releases import MBR
from isobuilder.tree import Tree, UefiOnly
from isobuilder.trust.signatures import Signer

VERSION = 1
SUFFIX = ".manifest.json"
# That of a whole mirror, 18,000 packages, has some 9 MB.
SIZE_LIMIT = 64 << 20


class _Part(BaseModel):
    """A table of a manifest; what newer ones have besides is passed over."""

    model_config = ConfigDict(
        alias_generator=lambda name: name.replace("_", "-"),
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        strict=True,
    )


class LockDigest(_Part):
    """The lock that a medium was made from."""

    sha256: Sha256


class Source(_Part):
    """A repository: whether its packages had to be signed, and who signed its repomd.xml; one built in has none."""

    id: str
    trust: str
    repomd_sha256: Sha256 | None
    repomd_signer: str | None


class Signature(_Part):
    """Who signed a package, as `trust.signatures.Signer`."""

    fingerprint: str
    key: str
    algorithm: str
    digest: str


class Origin(_Part):
    """A package, and where it came from.

    `path` is None for one that only boot code was taken out of, `signature` for one taken unsigned.
    """

    nevra: Nevra
    path: str | None
    sha256: Sha256
    size: int
    repository: str
    signature: Signature | None


class BootOrigin(_Part):
    """A boot file, or a folder of them: its `files` as they are given to the image's writer, and whose word that is.

    A loader that is told its own place on the medium (isolinux.bin, eltorito.img) differs there in those bytes.
    """

    path: str
    files: dict[str, Sha256]
    vouched_by: str
    package: Nevra | None
    member: str | None
    source_sha256: Sha256


class Manifest(_Part):
    """The manifest on a medium. Of the image it says nothing: that comes after, and cannot hold its own checksum."""

    version: int
    name: str
    release: str
    arch: str
    volume_id: str
    epoch: int
    lock: LockDigest
    made_with: dict[str, str]
    repositories: tuple[Source, ...]
    packages: tuple[Origin, ...]
    boot: tuple[BootOrigin, ...]
    other_files: dict[str, Sha256]

    @classmethod
    def parse(cls, text: str | bytes, *, where: Path | str) -> Self:
        """The manifest that `text` is. Raises MediumError when it is none."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            findings = [f"{'.'.join(map(str, f['loc'])) or 'the whole'}: {f['msg']}" for f in error.errors()]
            raise MediumError(f"{where}: this is no manifest of a medium", details=findings[:10]) from error

    def dump(self) -> bytes:
        """As JSON."""
        return (self.model_dump_json(by_alias=True, indent=1) + "\n").encode()

    @cached_property
    def by_digest(self) -> Mapping[str, Origin]:
        """The packages by their sha256."""
        return {package.sha256: package for package in self.packages}

    @property
    def digests(self) -> dict[str, str]:
        """The sha256 of each file on the medium, by its path."""
        named = dict(self.other_files)
        named |= {package.path: package.sha256 for package in self.packages if package.path}
        for boot in self.boot:
            named |= {path: sha256 for path, sha256 in boot.files.items() if path != MBR}
        return named


class Image(_Part):
    """The image that a manifest is of."""

    file: str
    size: int
    sha256: Sha256
    media_checksum_md5: str


class ManifestBeside(Manifest):
    """The manifest beside an image, which it names."""

    iso: Image


def manifest_of(lock: Lock, signers: Mapping[str, Signer], tree: Tree, made_with: Mapping[str, str]) -> Manifest:
    """The manifest of a tree that does not have it yet; `signers` are those of packages, by the packages' sha256."""
    names = {boot.path for boot in lock.boot} | {package.path for package in lock.packages}
    folders = tuple(name for name in names if name.endswith("/"))
    distinct = {signer: Signature(**asdict(signer)) for signer in set(signers.values())}
    signatures = {sha256: distinct[signer] for sha256, signer in signers.items()}
    return Manifest(
        version=VERSION,
        name=lock.name,
        release=lock.release,
        arch=lock.arch,
        volume_id=lock.volume_id,
        epoch=lock.epoch,
        lock=LockDigest(sha256=hashlib.sha256(dump_lock(lock).encode()).hexdigest()),
        made_with=dict(made_with),
        repositories=tuple(map(_source, lock.repositories)),
        packages=tuple(_origin(p, signatures.get(p.file.sha256)) for p in lock.packages),
        boot=tuple(_boot(boot, lock, tree) for boot in lock.boot),
        other_files={
            path: content.sha256
            for path, content in sorted(tree.files.items())
            if path not in names and not path.startswith(folders)
        },
    )


def manifest_beside(manifest: Manifest, written: Written) -> ManifestBeside:
    """What the manifest says beside the image `written`."""
    image = Image(file=written.path.name, size=written.size, sha256=written.sha256, media_checksum_md5=written.md5)
    return ManifestBeside(**{name: getattr(manifest, name) for name in Manifest.model_fields}, iso=image)


def read_manifest(path: Path) -> ManifestBeside | None:
    """The manifest at `path`, None where there is none. Raises MediumError when it is something else, HostError."""
    with host_errors(path):
        try:
            with path.open("rb") as file:
                data = file.read(SIZE_LIMIT + 1)
        except FileNotFoundError:
            return None
    if len(data) > SIZE_LIMIT:
        raise MediumError(f"{path}: this is no manifest of a medium: it has more than {SIZE_LIMIT} bytes")
    return ManifestBeside.parse(data, where=path)


def _source(repository: LockedRepository) -> Source:
    repomd = repository.metadata.get("repomd")
    return Source(
        id=repository.id,
        trust=repository.trust,
        repomd_sha256=repomd.sha256 if repomd else None,
        repomd_signer=repository.repomd_signer,
    )


def _origin(package: Package, signature: Signature | None) -> Origin:
    return Origin(
        nevra=package.nevra,
        path=package.path if package.roles else None,
        sha256=package.file.sha256,
        size=package.file.size,
        repository=package.repository,
        signature=signature,
    )


def _boot(boot: BootFile, lock: Lock, tree: Tree) -> BootOrigin:
    if boot.path == MBR:
        files = {} if isinstance(tree.boot, UefiOnly) else {MBR: hashlib.sha256(tree.boot.mbr).hexdigest()}
    else:
        found = {path: content for path, content in tree.files.items() if _is_of(path, boot.path)}
        files = {path: content.sha256 for path, content in sorted(found.items())}
    return BootOrigin(
        path=boot.path,
        files=files,
        vouched_by=boot.vouched_by,
        package=next((p.nevra for p in lock.packages if p.file.sha256 == boot.file.sha256), None),
        member=boot.member,
        source_sha256=boot.file.sha256,
    )


def _is_of(path: str, place: str) -> bool:
    return path.startswith(place) if place.endswith("/") else path == place
