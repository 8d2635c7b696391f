"""Two media, finished ones or what locks say of them, as values that can be compared."""

import difflib
import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from isobuilder import lockdiff
from isobuilder.errors import UsageError
from isobuilder.iso.listing import Node
from isobuilder.lock import File, Lock, required_lock
from isobuilder.manifest import SUFFIX, Manifest, Origin, read_manifest
from isobuilder.provenance.carried import BILL, INDEX, LOCK, MANIFEST
from isobuilder.releases import MBR, Release
from isobuilder.seeing.difference import Change, Difference, Held, changed, changed_packages, changed_roles
from isobuilder.seeing.facts import Entry, Kickstart, MediumFacts, opened_facts
from isobuilder.verify.medium import Medium, Unreadable
from isobuilder.verify.verdict import harmless

_CHUNK: Final = 1 << 20
# difflib needs the square of this at worst.
_MOST_LINES: Final = 4000
_BOOT_FOLDERS: Final = frozenset({"boot", "efi", "images", "isolinux", "liveos", "syslinux"})
# What says when a medium was made, and where mastering put things.
_OF_MASTERING: Final = frozenset({".discinfo", ".treeinfo", "media.repo", "boot.cat", "TRANS.TBL"})
# The volume descriptor that mkisofs writes into a loader, with its own place and sum (mkisofs, -boot-info-table), and
# the sector that xorriso writes into GRUB's (--grub2-boot-info).
_TABLE: Final = slice(8, 64)
_GRUB_PLACE: Final = slice(2548, 2556)
# What is other in these follows from what is other elsewhere.
_SAYS_THE_SAME: Final = frozenset({INDEX, LOCK, MANIFEST, BILL})
_NOT_IN_LOCKS: Final = (
    "a lock or a manifest has no kickstarts, menus and kernel lines: these were not compared, nor were other files"
)


@dataclass(frozen=True)
class Contents:
    """What is compared. `boot` and `files` are digests by path; `patched` are loaders that were told their own place.

    `medium` is None for a lock or a manifest, whose other `files` are not compared. Roles are known only with
    `has_roles`, and not in a manifest.
    """

    settings: Mapping[str, str]
    packages: tuple[Held, ...]
    has_roles: bool
    boot: Mapping[str, str]
    patched: frozenset[str]
    size: int
    medium: MediumFacts | None = None
    files: Mapping[str, str] = field(default_factory=dict)


def compare(old: Path, new: Path, release: Release | None = None) -> Difference:
    """What is different in `new`: each an ISO, a lock (NAME.lock) or a manifest (NAME.manifest.json).

    `release` is as in `opened_facts`. Raises UsageError for what is not there, LockError, MediumError for what is no
    image.
    """
    if old.suffix == new.suffix == ".lock":
        return lockdiff.compare(required_lock(old), required_lock(new))
    return _compare(_contents(old, release), _contents(new, release))


def compare_opened(old: Path, medium: Medium, found: MediumFacts, release: Release | None = None) -> Difference:
    """As `compare`, where the new medium is open already."""
    return _compare(_contents(old, release), _of_medium(medium, found))


def unchanged(found: MediumFacts) -> Difference:
    """What `compare_opened` says of two images that are the same, byte for byte."""
    size = sum(held.listing.size for held in found.packages)
    return Difference((), size, size, what="they", sized="packages")


def _contents(path: Path, release: Release | None) -> Contents:
    if path.suffix == ".lock":
        return _of_lock(required_lock(path))
    if path.name.endswith(SUFFIX):
        manifest = read_manifest(path)
        if manifest is None:
            raise UsageError(f"{path}: there is no such manifest")
        return _of_manifest(manifest)
    with opened_facts(path, release) as (medium, found):
        return _of_medium(medium, found)


def _of_lock(lock: Lock) -> Contents:
    packages = tuple(held for held in lockdiff.held(lock) if held.roles)
    boot = {b.path: f"sha256 {b.file.sha256}" for b in lock.boot if b.member is None and isinstance(b.file, File)}
    return Contents(
        {"arch": lock.arch, "volume-id": lock.volume_id},
        packages,
        has_roles=True,
        boot=boot,
        patched=frozenset(),
        size=sum(held.size for held in packages),
    )


def _of_manifest(manifest: Manifest) -> Contents:
    packages = tuple(_of_origin(origin) for origin in manifest.packages if origin.path)
    return Contents(
        {"arch": manifest.arch, "volume-id": manifest.volume_id},
        packages,
        has_roles=False,
        # What starts the medium from a disk is in none of its files.
        boot={p: f"sha256 {digest}" for boot in manifest.boot for p, digest in boot.files.items() if p != MBR},
        patched=frozenset(),
        size=sum(held.size for held in packages),
    )


def _of_origin(origin: Origin) -> Held:
    name = origin.nevra.rsplit("-", 2)[0]
    evr, _, arch = origin.nevra.removeprefix(f"{name}-").rpartition(".")
    return Held(name, evr, arch, f"sha256 {origin.sha256}", origin.size, repository=origin.repository)


def _of_medium(medium: Medium, found: MediumFacts) -> Contents:
    own = {kickstart.path for kickstart in found.kickstarts} | {entry.menu for entry in found.entries}
    boot: dict[str, str] = {}
    files: dict[str, str] = {}
    patched: set[str] = set()
    for path, node in sorted(medium.files.items()):
        name = PurePosixPath(path).name
        if path in own or path.endswith(".rpm") or "repodata" in path.split("/") or name in _OF_MASTERING:
            continue
        if path in _SAYS_THE_SAME:
            continue
        digest, is_patched = _digest(medium, node)
        (boot if path.partition("/")[0].lower() in _BOOT_FOLDERS else files)[path] = digest
        if is_patched:
            patched.add(path)
    return Contents(
        {"release": f"{found.release} {found.version}".strip(), "arch": found.arch, "volume-id": found.label},
        tuple(
            Held(
                name=held.listing.name,
                evr=held.listing.evr,
                arch=held.listing.arch,
                digest=held.listing.digest,
                size=held.listing.size,
                roles=held.roles,
                repository=held.repository,
            )
            for held in found.packages
        ),
        has_roles=all(role.is_resolved for role in found.roles),
        boot=boot,
        patched=frozenset(patched),
        size=sum(held.listing.size for held in found.packages),
        medium=found,
        files=files,
    )


def _digest(medium: Medium, node: Node) -> tuple[str, bool]:
    """The sha256 of a file without what mastering wrote into it, and whether there was such."""
    if not node.is_plain:
        return f"a link to {node.target}" if node.target else "no plain file", False
    digest = hashlib.sha256()
    is_patched = False
    try:
        for place in range(0, node.size, _CHUNK):
            piece = medium.piece(node, place, _CHUNK)
            if place == 0 and (plain := without_place(piece, node.extents[0][0])) is not None:
                piece, is_patched = plain, True
            digest.update(piece)
    except Unreadable as error:
        return str(error), False
    return f"sha256 {digest.hexdigest()}", is_patched


def without_place(piece: bytes, block: int) -> bytes | None:
    """The start of a loader at `block` without what mastering told it of its place; None where it was told nothing."""
    if len(piece) < _TABLE.stop or struct.unpack_from("<II", piece, _TABLE.start) != (16, block):
        return None
    plain = bytearray(piece)
    plain[_TABLE] = bytes(_TABLE.stop - _TABLE.start)
    if len(piece) >= _GRUB_PLACE.stop and struct.unpack_from("<Q", piece, _GRUB_PLACE.start)[0] == block * 4 + 5:
        plain[_GRUB_PLACE] = bytes(8)
    return bytes(plain)


def _compare(old: Contents, new: Contents) -> Difference:
    is_mixed = old.medium is None or new.medium is None
    has_roles = old.has_roles and new.has_roles
    changes = [*_settings(old, new), *_boot(old, new), *_of_media(old, new)]
    packages = [_packages(contents, roles=has_roles, repositories=not is_mixed) for contents in (old, new)]
    if is_mixed:
        # Media tell of their roles by titles.
        changes += changed_roles(*packages)
    changes += changed_packages(*packages)
    notes = [
        *([_NOT_IN_LOCKS] if is_mixed else []),
        *([] if has_roles else ["the roles of packages are not known on both sides, so that they were not compared"]),
    ]
    return Difference(
        tuple(Change(c.kind, harmless(c.name), c.what, harmless(c.old), harmless(c.new), c.roles) for c in changes),
        old.size,
        new.size,
        tuple(notes),
        what="they",
        sized="packages",
    )


def _packages(contents: Contents, *, roles: bool, repositories: bool) -> tuple[Held, ...]:
    """The packages with what is to be compared of them."""
    return tuple(
        replace(
            package,
            roles=tuple(sorted(package.roles)) if roles else (),
            repository=package.repository if repositories else "",
        )
        for package in contents.packages
    )


def _settings(old: Contents, new: Contents) -> Iterator[Change]:
    yield from _common("setting", old.settings, new.settings)


def _common(kind: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    """What both have, and is other; `changed` tells the rest."""
    both = old.keys() & new.keys()
    yield from changed(kind, {name: old[name] for name in both}, {name: new[name] for name in both})


def _boot(old: Contents, new: Contents) -> Iterator[Change]:
    """Files that boot; of those that a lock does not name nothing can be said, nor of those that mastering changed."""
    was, now = old.boot, new.boot
    if old.medium is None or new.medium is None:
        named = (was if old.medium is None else now).keys() - old.patched - new.patched
        was = {path: digest for path, digest in was.items() if path in named}
        now = {path: digest for path, digest in now.items() if path in named}
    yield from changed("boot", was, now, show=_no_digest)


def _no_digest(_digest: str) -> str:
    return ""


def _of_media(old: Contents, new: Contents) -> Iterator[Change]:
    """What only finished media have."""
    if old.medium is None or new.medium is None:
        return
    one, other = old.medium, new.medium
    yield from changed("starts", dict.fromkeys(one.starts, ""), dict.fromkeys(other.starts, ""))
    yield from changed("file", old.files, new.files, show=_no_digest)
    was, now = _by_title(one.entries), _by_title(other.entries)
    yield from changed("menu", dict.fromkeys(was, ""), dict.fromkeys(now, ""))
    yield from changed("menu", _defaults(one), _defaults(other))
    lines = [{name: _line(entry) for name, entry in side.items()} for side in (was, now)]
    yield from _common("kernel", lines[0], lines[1])
    yield from changed("role", _titles(one), _titles(other))
    yield from _kickstarts(one.kickstarts, other.kickstarts)


def _titles(medium: MediumFacts) -> dict[str, str]:
    return {role.id: role.title or "no menu entry" for role in medium.roles}


def _by_title(entries: tuple[Entry, ...]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        title = f"{entry.menu}: {' / '.join([*entry.steps, entry.title])}"
        number = 1
        while (name := title if number == 1 else f"{title} ({number})") in found:
            number += 1
        found[name] = entry
    return found


def _line(entry: Entry) -> str:
    return " ".join([entry.kernel, *entry.initrds, entry.arguments])


def _defaults(medium: MediumFacts) -> dict[str, str]:
    return {f"{menu} default": title for menu, title in medium.defaults.items()}


def _kickstarts(old: tuple[Kickstart, ...], new: tuple[Kickstart, ...]) -> Iterator[Change]:
    before, after = ({each.path: each for each in side} for side in (old, new))
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path), after.get(path)
        if was is None or now is None:
            yield Change("kickstart", path, "added" if was is None else "removed")
        elif was.sha256 != now.sha256:
            yield from _lines(path, (was.text or "").splitlines(), (now.text or "").splitlines())


def _lines(path: str, old: list[str], new: list[str]) -> Iterator[Change]:
    """Line for line; where the lines are the same without their secrets, or too many, only that they are others."""
    if old == new or max(len(old), len(new)) > _MOST_LINES:
        yield Change("kickstart", path, "changed", "one", "another")
        return
    for line in difflib.unified_diff(old, new, n=0, lineterm=""):
        if line.startswith(("---", "+++", "@@")) and line[:4] in {"--- ", "+++ ", "@@ -"}:
            continue
        if line.startswith("-"):
            yield Change("kickstart", path, "removed", old=line[1:])
        elif line.startswith("+"):
            yield Change("kickstart", path, "added", new=line[1:])
