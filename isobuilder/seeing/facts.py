"""What is on a medium: values made of one assessment, for `inspect` and `diff`. No secret of a kickstart is in them."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from isobuilder.bootmenu.reading.model import Menu
from isobuilder.errors import MediumError
from isobuilder.hosterrors import scratch_errors
from isobuilder.provenance.carried import FOLDER
from isobuilder.releases import Release
from isobuilder.resolve.solve import Needs
from isobuilder.seeing.redaction import redacted, redacted_words
from isobuilder.verify.assess import Assessed, assess, facts
from isobuilder.verify.finding import Finding
from isobuilder.verify.medium import Medium, Unreadable, open_medium
from isobuilder.verify.menus.sources import kickstart_paths
from isobuilder.verify.repositories import Listing

_KICKSTART_LIMIT: Final = 1 << 20
# Fields of the primary volume descriptor (ECMA-119, 8.4): who made the image, by what, and when.
_PREPARER: Final = slice(446, 574)
_APPLICATION: Final = slice(574, 702)
_CREATED: Final = slice(813, 827)


@dataclass(frozen=True)
class Entry:
    """A menu entry that starts a kernel: `steps` lead to it, `kickstart` is the path of what it names on the medium."""

    menu: str
    title: str
    steps: tuple[str, ...]
    kernel: str
    initrds: tuple[str, ...]
    arguments: str
    kickstart: str
    default: bool


@dataclass(frozen=True)
class MenuLine:
    """A line that a menu shows: `steps` lead to it; with `is_list` it leads to others, with `is_marked` it starts."""

    title: str
    steps: tuple[str, ...]
    is_list: bool
    is_marked: bool


@dataclass(frozen=True)
class ShownMenu:
    """A menu as a person would see it: `firmware` is bios or uefi, `wait` seconds to its start, None for never."""

    path: str
    firmware: Literal["bios", "uefi"]
    lines: tuple[MenuLine, ...]
    wait: float | None


@dataclass(frozen=True)
class Kickstart:
    """A kickstart as it lies there, without its secrets; `sha256` is that of the file. `text` is None if unreadable."""

    path: str
    text: str | None
    sha256: str


@dataclass(frozen=True)
class Held:
    """A package on the medium, by the repository that it is in, and the roles that need it, by their ids."""

    listing: Listing
    repository: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Role:
    """A kickstart of the medium: `title` is that of the first entry that names it, "" for none.

    `is_resolved` says that its packages are known: what it asks for, all that requires, and what may be chosen at the
    installer's screens.
    """

    id: str
    title: str
    kickstart: str
    is_resolved: bool


@dataclass(frozen=True)
class Total:
    """A number of packages, and their bytes."""

    packages: int = 0
    size: int = 0


@dataclass(frozen=True)
class MediumFacts:
    """All of it. `said` is what `verify` says the medium is, by a word for each kind; `made` by what and when.

    `defaults` say of each menu which entry starts by itself, and after how long. `needs` are those of each role
    that is resolved. `is_listed` is false where metadata could not be read, so that there may be more packages.
    `others` are the sizes of the files that are no packages, by path, each place on the medium once. `carried` are the
    paths of what a medium of isobuilder says of its making.
    """

    path: Path
    size: int
    said: Mapping[str, tuple[str, ...]]
    release: str
    version: str
    arch: str
    label: str
    made: str
    starts: tuple[str, ...]
    repositories: tuple[str, ...]
    packages: tuple[Held, ...]
    roles: tuple[Role, ...]
    entries: tuple[Entry, ...]
    defaults: Mapping[str, str]
    kickstarts: tuple[Kickstart, ...]
    needs: Mapping[str, Needs]
    findings: tuple[Finding, ...]
    is_listed: bool
    carried: tuple[str, ...] = ()
    menus: tuple[ShownMenu, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)

    def total(self, *, repository: str | None = None, role: str | None = None, alone: bool = False) -> Total:
        """The packages of a repository, of a role ("" for those of none), or of both; `alone`: of no other role."""
        sizes = [
            held.listing.size
            for held in self.packages
            if repository in (None, held.repository)
            and (role is None or role in held.roles or (role == "" and not held.roles))
            and not (alone and len(held.roles) > 1)
        ]
        return Total(len(sizes), sum(sizes))


@contextmanager
def opened_facts(iso: Path, release: Release | None = None) -> Iterator[tuple[Medium, MediumFacts]]:
    """The image `iso`, open, and what is on it.

    Its kickstarts are judged by `release`; None goes by the version that the medium says. Raises UsageError when there
    is no such file, HostError when it cannot be read, MediumError when it is no image.
    """
    with open_medium(iso) as medium:
        with scratch_errors(), tempfile.TemporaryDirectory(prefix="isobuilder-seeing-") as scratch:
            assessed = assess(medium, Path(scratch), release, with_needs=True)
        yield medium, facts_of(iso, medium, assessed)


def facts_of(iso: Path, medium: Medium, assessed: Assessed) -> MediumFacts:
    """What is on the image `iso`, of which `medium` and `assessed` were made. Raises MediumError for a damaged one."""
    try:
        return _facts(iso, medium, assessed)
    except (ValueError, LookupError, Unreadable) as error:
        raise MediumError(f"{iso}: it is damaged: {error}", hint="isobuilder verify says where.") from error


def role_ids(paths: Sequence[str]) -> dict[str, str]:
    """What kickstarts are called as roles: by the name of their file, or by the whole path where names are alike."""
    names = {path: PurePosixPath(path).stem for path in paths}
    counts = Counter(names.values())
    return {path: name if counts[name] == 1 else path for path, name in names.items()}


def _facts(iso: Path, medium: Medium, assessed: Assessed) -> MediumFacts:
    ids = role_ids(assessed.paths)
    entries = tuple(_entries(medium, assessed))
    chosen: dict[tuple[str, str], tuple[str, ...]] = {}
    for package in (package for each in assessed.resolved.resolutions for package in each.packages):
        key = (package.repository, package.nevra)
        chosen[key] = (*chosen.get(key, ()), *package.roles)
    resolved = {role for roles in chosen.values() for role in roles}
    return MediumFacts(
        path=iso,
        size=medium.size,
        said=facts(medium, assessed),
        release=assessed.description.family,
        version=assessed.description.version,
        arch=assessed.description.arch,
        label=medium.label,
        made=_made(medium),
        starts=assessed.firmware.starts,
        repositories=tuple(repository.id for repository in assessed.repositories.found),
        packages=tuple(
            Held(
                listing,
                repository.id,
                tuple(ids[r] for r in chosen.get((repository.id, listing.nevra), ()) if r in ids),
            )
            for repository in assessed.repositories.found
            for listing in repository.packages
        ),
        roles=tuple(
            Role(ids[path], next((e.title for e in entries if e.kickstart == path), ""), path, path in resolved)
            for path in assessed.paths
        ),
        entries=entries,
        defaults={menu.path: _default(menu) for menu in assessed.menus.menus},
        kickstarts=tuple(_kickstart(medium, path) for path in assessed.paths),
        needs={
            ids[path]: needs
            for each in assessed.resolved.resolutions
            for path, needs in each.needs.items()
            if path in ids
        },
        findings=assessed.findings,
        is_listed=all(repository.is_read for repository in assessed.repositories.found),
        carried=tuple(sorted(path for path in medium.files if path.startswith(f"{FOLDER}/"))),
        menus=tuple(_shown(menu) for menu in assessed.menus.menus),
        others=_others(medium, {p.path for repository in assessed.repositories.found for p in repository.packages}),
    )


def _shown(menu: Menu) -> ShownMenu:
    marked = menu.default.entry
    lines = (
        MenuLine(entry.title, entry.steps, entry.action == "submenu", entry is marked or (entry.marked and not marked))
        for entry in menu.entries
    )
    return ShownMenu(menu.path, menu.platform, tuple(lines), menu.wait)


def _others(medium: Medium, packages: Collection[str]) -> dict[str, int]:
    """The first of several names of one place counts."""
    places = {node.extents: path for path, node in sorted(medium.files.items(), reverse=True) if node.size}
    return {path: sum(size for _, size in extents) for extents, path in places.items() if path not in packages}


def _entries(medium: Medium, assessed: Assessed) -> Iterator[Entry]:
    for menu in assessed.menus.menus:
        for entry in menu.entries:
            for boot in entry.boots:
                named = (medium.find(location.path or "ks.cfg") for location, _ in kickstart_paths(boot, medium)
                         if location.kind in {"labelled", "optical"})  # fmt: skip
                node = next(named, None)
                yield Entry(
                    menu.path,
                    entry.title,
                    entry.steps,
                    boot.kernel.path,
                    tuple(initrd.path for initrd in boot.initrds),
                    redacted_words(boot.arguments),
                    node.path if node else "",
                    entry is menu.default.entry,
                )


def _default(menu: Menu) -> str:
    title = menu.default.entry.title if menu.default.entry else menu.default.written or "unknown"
    return f"{title}, " + ("never by itself" if menu.wait is None else f"after {menu.wait:g} s")


def _kickstart(medium: Medium, path: str) -> Kickstart:
    try:
        data = medium.read(path, limit=_KICKSTART_LIMIT)
    except Unreadable:
        return Kickstart(path, None, "")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return Kickstart(path, redacted(text), hashlib.sha256(data).hexdigest())


def _made(medium: Medium) -> str:
    by = [medium.descriptor[part].decode("ascii", errors="replace").strip(" \0") for part in (_APPLICATION, _PREPARER)]
    when = medium.descriptor[_CREATED].decode("ascii", errors="replace")
    date = f"{when[:4]}-{when[4:6]}-{when[6:8]}" if when.isdigit() and when.strip("0") else ""
    return ", ".join(dict.fromkeys(filter(None, [*by, date])))
