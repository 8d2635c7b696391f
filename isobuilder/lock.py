"""The lock: every choice, made once. After it the network only brings bytes that it already names."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from isobuilder.errors import LockError
from isobuilder.schema import Many, Table


class File(Table):
    """A file to fetch: `sha256` in lower-case hex, `size` in bytes."""

    url: str
    sha256: str
    size: int


class LockedRepository(Table):
    """One repository as it was: its metadata by type (primary, filelists, other, group), and who may sign its packages.

    `fingerprints` is empty for a repository that the definition takes unsigned. `repomd_signer` is the fingerprint of
    the key that signed repomd.xml, when the repository signs it.
    """

    id: str
    baseurl: str
    fingerprints: Many[str]
    repomd_signer: str | None
    metadata: dict[str, File]


class Package(Table):
    """One package: NEVRA (epoch always written, `bash-0:5.1-2.x86_64`), where it lies, which roles it is for and why.

    `reasons` has one line for each role: "group core", "named at ks/minimal.cfg:12", "added by the installer",
    "required by systemd", "recommended by vim". A package without roles is not on the medium: boot code is taken out
    of it.
    """

    nevra: str
    repository: str
    file: File
    roles: Many[str]
    reasons: Many[str]

    @property
    def name(self) -> str:
        return self.nevra.rsplit("-", 2)[0]

    @property
    def path(self) -> str:
        """Where it lies on the medium."""
        return f"Packages/{PurePosixPath(unquote(urlsplit(self.file.url).path)).name}"


class BootFile(Table):
    """A file of the tree (`file` says from where), or out of a package (`nevra` says which, `member` where in it)."""

    path: str
    file: File | None = None
    nevra: str | None = None
    member: str | None = None


class Key(Table):
    """An OpenPGP key file whose keys have the fingerprints that were pinned."""

    file: File
    fingerprints: Many[str]


class Lock(Table):
    """What a medium is made of.

    `made_from` has a digest for each input, by its dotted name; `made_with` the version of each tool and library.
    """

    version: Literal[1] = 1
    name: str
    release: str
    arch: str
    volume_id: str
    epoch: int
    made_from: dict[str, str]
    made_with: dict[str, str]
    keys: Many[Key]
    repositories: Many[LockedRepository]
    boot: Many[BootFile]
    packages: Many[Package]


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`, or None when there is none. Raises LockError when it cannot be understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{path}: the lock cannot be read: {error}") from error
    try:
        return Lock.model_validate_json(text, by_alias=True, by_name=False)
    except ValidationError as error:
        findings = [f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()]
        raise LockError(
            f"{path}: not a lock that this version of isobuilder understands",
            details=findings[:10],
            hint="Make it anew with: isobuilder lock --update",
        ) from error


def dump_lock(lock: Lock) -> str:
    """The lock as text: JSON with a line for each value, so that version control shows what changed."""
    return json.dumps(lock.model_dump(by_alias=True, mode="json"), indent=1, ensure_ascii=False) + "\n"


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
