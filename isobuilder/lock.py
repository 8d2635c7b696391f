"""The lock: every choice, made once. After it the network only brings bytes that it already names."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import Field, ValidationError, model_validator
from pydantic_core import to_json

from isobuilder.addresses import Address, Url
from isobuilder.errors import LockError
from isobuilder.releases import MBR
from isobuilder.schema import Many, Matching, Table

_ANEW = "Make it anew: isobuilder lock --update DEFINITION"

Sha256 = Annotated[str, Matching(r"[0-9a-f]{64}", "a sha256 of 64 digits in lower case")]
Nevra = Annotated[str, Matching(r"[^\s/:]+-[0-9]+:[^\s/:-]+-[^\s/:-]+\.[a-z0-9_]+", "a NEVRA with its epoch")]
MediumPath = Annotated[str, Matching(r"(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[A-Za-z0-9._+/-]{1,200}", "a path on the medium")]


# The repository of what isobuilder makes itself; no other has this name.
BUILT_IN = "isobuilder"

BaseUrl = Annotated[Address, Matching(r"[^?#]*/", "an address that ends in a slash")]
RepositoryPath = Annotated[
    str,
    Matching(r"(?!/)(?!(?:.*/)?\.\.(?:/|$))[A-Za-z0-9._~%+^:=@,()!$&'*;/-]+", "a path below the repository"),
]


class File(Table):
    """A file at an address of its own: `sha256` in lower-case hex, `size` in bytes.

    An address without a scheme is a path from the lock's folder.
    """

    url: Address
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class RepositoryFile(Table):
    """A file of a repository, the same on each of its mirrors: `path` is quoted as in an address, and relative."""

    path: RepositoryPath
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class LockedRepository(Table):
    """One repository as it was: its metadata by type (primary, filelists, other, group), and who must have signed it.

    What is "built-in" isobuilder makes itself, and has no address. `baseurl` are its mirrors, best first: all that will
    be asked. `listing` is the metalink or mirror list that named
    them; nobody asks it again. `sha1` says that signatures over SHA-1 are accepted. `repomd_signer` is the fingerprint
    of the key that signed repomd.xml, when the repository signs it. With `module_hotfixes`, no stream of a module hides
    its packages.
    """

    id: str
    listing: Url | None
    baseurl: Many[BaseUrl]
    trust: Literal["signed", "unsigned", "built-in"]
    fingerprints: Many[str]
    sha1: bool
    repomd_signer: str | None
    metadata: dict[str, RepositoryFile]
    module_hotfixes: bool = False

    @model_validator(mode="after")
    def _has_an_address_or_is_ours(self) -> Self:
        ours = self.trust == "built-in"
        if ours != (self.id == BUILT_IN) or ours == bool(self.baseurl):
            raise ValueError(f"repository {self.id}: only {BUILT_IN} is built in, and has no address")
        return self


class Package(Table):
    """One package: NEVRA (epoch always written, `bash-0:5.1-2.x86_64`), where it lies, which roles it is for and why.

    `reasons` has one line for each role: "group core", "named at ks/minimal.cfg:12", "added by the installer",
    "required by systemd", "recommended by vim". A package without roles is not on the medium: boot code is taken out
    of it.
    """

    nevra: Nevra
    repository: str
    file: RepositoryFile
    roles: Many[str]
    reasons: Many[str]

    @property
    def name(self) -> str:
        return self.nevra.rsplit("-", 2)[0]

    @property
    def evr(self) -> str:
        """Epoch, version and release (0:5.1-2)."""
        return self.nevra.removeprefix(f"{self.name}-").rpartition(".")[0]

    @property
    def arch(self) -> str:
        return self.nevra.rpartition(".")[2]

    @property
    def path(self) -> str:
        """Where it lies on the medium."""
        return f"Packages/{unquote(self.file.path).rpartition('/')[2]}"


class ActiveStream(Table):
    """A stream of a module (NAME:STREAM), which roles it is active in, and why.

    `reasons` has one line for each role: "default stream", "enabled at ks/web.cfg:12", "required by module perl:5.26".
    """

    stream: Annotated[str, Matching(r"[A-Za-z0-9+._-]+:[A-Za-z0-9+._-]+", "a module's name and stream")]
    roles: Many[str]
    reasons: Many[str]


class BootFile(Table):
    """A file that boots, and its `path` on the medium; with `member` it is taken out of `file`, a package or an ISO.

    Out of an ISO, a `member` that ends in a slash is a folder with all that it holds, and `path` is one too.
    `vouched_by` says whose word its checksum is: the signed "package", the tree's (unsigned) "treeinfo", or "nobody":
    then it is that of the bytes which came when the lock was made.
    """

    path: MediumPath
    file: File | RepositoryFile
    vouched_by: Literal["package", "treeinfo", "nobody"]
    member: str | None = None


class Key(Table):
    """An OpenPGP key file with the fingerprints that are pinned in it; `repositories` are those that pin them."""

    file: File
    repositories: Many[str]
    fingerprints: Many[str]


class Lock(Table):
    """What a medium is made of.

    `made_from` has a digest for each input, by its dotted name; `made_with` the version of each tool and library.
    `modules` are the streams that are active in any role.
    """

    version: Literal[1] = 1
    name: str
    release: str
    arch: str
    volume_id: str
    epoch: Annotated[int, Field(ge=1, lt=1 << 32)]
    made_from: dict[str, str]
    made_with: dict[str, str]
    keys: Many[Key]
    repositories: Many[LockedRepository]
    boot: Many[BootFile]
    packages: Many[Package]
    modules: Many[ActiveStream] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        known = {repository.id for repository in self.repositories}
        named = {package.repository for package in self.packages} | {r for key in self.keys for r in key.repositories}
        if unknown := sorted(named - known):
            raise ValueError(f"no repository is called {', '.join(unknown)}")
        checked = {package.file.sha256 for package in self.packages}
        for boot in self.boot:
            in_package = boot.vouched_by == "package"
            if isinstance(boot.file, RepositoryFile) != in_package or (
                in_package and (boot.member is None or boot.file.sha256 not in checked)
            ):
                raise ValueError(f"boot: {boot.path} is not out of one of the packages")
            if boot.member is not None and boot.vouched_by == "nobody":
                raise ValueError(f"boot: {boot.path} is out of an ISO that nobody vouches for")
            if boot.path == MBR and not in_package:
                raise ValueError(f"boot: {MBR} must be out of a package")
        return self


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`, or None when there is none. Raises LockError when it is not as it was written."""
    if path.exists() and not path.is_file():
        raise LockError(f"{path}: the lock is not a plain file")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        seal = table.pop("seal")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LockError(f"{path}: the lock cannot be read: {error}") from error
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError) as error:
        raise LockError(f"{path}: this is no lock: {error}", hint=_ANEW) from error
    try:
        lock = Lock.model_validate_json(json.dumps(table), by_alias=True, by_name=False)
    except ValidationError as error:
        findings = [f"{'.'.join(map(str, f['loc'])) or 'the whole'}: {f['msg']}" for f in error.errors()]
        raise LockError(
            f"{path}: not a lock that this version of isobuilder understands", details=findings[:10], hint=_ANEW
        ) from error
    if seal != _seal(lock):
        raise LockError(f"{path}: the lock was changed since it was written, by hand or by a merge", hint=_ANEW)
    return lock


def required_lock(path: Path) -> Lock:
    """The lock at `path`. Raises LockError when there is none, or as `read_lock`."""
    lock = read_lock(path)
    if lock is None:
        raise LockError(f"{path}: there is no such lock")
    return lock


def dump_lock(lock: Lock) -> str:
    """The lock as text: JSON with a line for each value, so that version control shows what changed.

    Its last line is a seal over the rest. That is no signature: it tells a slip of the hand, not an attacker.
    """
    table = lock.model_dump(by_alias=True, mode="json") | {"seal": _seal(lock)}
    return to_json(table, indent=1).decode() + "\n"


def _seal(lock: Lock) -> str:
    return hashlib.sha256(lock.model_dump_json(by_alias=True).encode()).hexdigest()


def digests(prefix: str, value: Any) -> dict[str, str]:
    """A digest for each leaf of `value`, by dotted name: tells what changed without saying from what to what."""
    if isinstance(value, Mapping):
        return {k: v for key, inner in sorted(value.items()) for k, v in digests(f"{prefix}.{key}", inner).items()}
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return {prefix: hashlib.sha256(text.encode()).hexdigest()}


def differences(lock: Lock, made_from: Mapping[str, str]) -> list[str]:
    """What is not as it was when the lock was made, one line each; empty when the lock matches."""
    names = sorted(lock.made_from.keys() | made_from.keys())
    return [
        f"{name}: {'removed' if name not in made_from else 'added' if name not in lock.made_from else 'changed'}"
        for name in names
        if lock.made_from.get(name) != made_from.get(name)
    ]
