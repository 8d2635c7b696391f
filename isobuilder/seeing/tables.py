"""The tables of a report: one medium's values, counted by role, repository, signer and licence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from isobuilder.manifest import Manifest, Origin
from isobuilder.seeing.cost import Cost, costs, reasons_of_medium
from isobuilder.seeing.difference import ORDER
from isobuilder.seeing.facts import Held, MediumFacts, ShownMenu, Total
from isobuilder.seeing.inspection import by_line
from isobuilder.seeing.report import Report

# Rows of a table for people: whole mirrors have more, and scripts have `inspect --json` and `diff --json`.
MOST_ROWS = 5000
MOST_COSTS = 15
NOT_KNOWN = "not known"
OTHER_FILES = "other files"
# What a difference of that kind is one of.
_KINDS = {
    "boot": ("boot file", "boot files"),
    "kernel": ("kernel line", "kernel lines"),
    "kickstart": ("line of kickstarts", "lines of kickstarts"),
    "menu": ("line of menus", "lines of menus"),
    "repository": ("property of repositories", "properties of repositories"),
    "starts": ("way to start", "ways to start"),
}


@dataclass(frozen=True)
class PackageRow:
    """A package as the table has it: `roles` and `signer` in words."""

    name: str
    evr: str
    arch: str
    size: int
    roles: str
    repository: str
    license: str
    signer: str
    summary: str


@dataclass(frozen=True)
class Counted:
    """A word, and the packages and bytes that it stands for; `more` is what else is known of it."""

    name: str
    total: Total
    more: str = ""


@dataclass(frozen=True)
class DrawnMenu:
    """A menu, and all paths that have it alike; `is_first` of those of its firmware."""

    menu: ShownMenu
    paths: tuple[str, ...]
    is_first: bool


class Tables:
    """A report's values as rows."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._found = report.found
        self._manifest = report.manifest

    @cached_property
    def packages(self) -> list[PackageRow]:
        """All packages, by name."""
        rows = [self._row(held) for held in self._found.packages]
        return sorted(rows, key=lambda row: (row.name.lower(), row.name, row.evr, row.arch))

    @cached_property
    def licenses(self) -> list[Counted]:
        """Words of licences as the packages write them, most packages first."""
        return _counted([(row.license, row.size) for row in self.packages])

    @cached_property
    def signers(self) -> list[Counted]:
        """Who signed the packages, by the manifest; without one that is not known."""
        more = {
            signature.fingerprint: f"{signature.algorithm}, {signature.digest}"
            for origin in (self._manifest.packages if self._manifest else ())
            if (signature := origin.signature)
        }
        full = {_short(fingerprint): fingerprint for fingerprint in more}
        return [
            Counted(full.get(each.name, each.name), each.total, more.get(full.get(each.name, ""), ""))
            for each in _counted([(row.signer, row.size) for row in self.packages])
        ]

    @cached_property
    def cells(self) -> list[tuple[str, str, list[tuple[str, int]]]]:
        """What fills the medium: repository, roles in words, and names with their bytes; the most bytes first.

        Files that are no packages are for no roles in words, "".
        """
        found: dict[tuple[str, str], list[tuple[str, int]]] = {}
        for row in self.packages:
            found.setdefault((row.repository, row.roles), []).append((row.name, row.size))
        if self._found.others:
            found[OTHER_FILES, ""] = list(self._found.others.items())
        sums = {key: sum(size for _, size in things) for key, things in found.items()}
        whole = Counter[str]()
        for (repository, _), size in sums.items():
            whole[repository] += size
        ranked = sorted(found, key=lambda key: (-whole[key[0]], key[0], -sums[key], key[1]))
        return [(repository, roles, found[repository, roles]) for repository, roles in ranked]

    @cached_property
    def costs(self) -> list[Cost]:
        """The packages and groups with most that would go with them."""
        return costs(reasons_of_medium(self._found))[:MOST_COSTS]

    @cached_property
    def menus(self) -> list[DrawnMenu]:
        """Each menu once, with all places that have it."""
        alike: dict[tuple[object, ...], list[ShownMenu]] = {}
        for menu in self._found.menus:
            alike.setdefault((menu.firmware, menu.lines, menu.wait), []).append(menu)
        seen: set[str] = set()
        drawn = []
        for menus in alike.values():
            firmware = menus[0].firmware
            drawn.append(DrawnMenu(menus[0], tuple(menu.path for menu in menus), firmware not in seen))
            seen.add(firmware)
        return drawn

    @cached_property
    def kernel_lines(self) -> list[tuple[str, tuple[str, ...]]]:
        """What kernels are told, and the titles of the entries that say so."""
        return [(arguments, tuple(titles)) for arguments, titles in by_line(self._found.entries).items()]

    @property
    def changed(self) -> list[str]:
        """How many differences of each kind there are: "12 packages upgraded"."""
        compared = self._report.compared
        if compared is None or isinstance(compared.difference, str):
            return []
        changes = compared.difference.changes
        counts = Counter((change.kind, change.what) for change in changes)
        kinds = dict.fromkeys(change.kind for change in changes)
        there = [(kind, what, counts[kind, what]) for kind in kinds for what in ORDER if counts[kind, what]]
        return [f"{count} {_kind_in_words(kind, count)} {what}" for kind, what, count in there]

    @property
    def signers_are(self) -> str:
        """Whose word the signers are."""
        if self._report.manifest is None:
            return "There is no manifest beside the image, which would say who signed its packages."
        return "As the manifest says: each signature was checked when the medium was built, against pinned keys."

    def _row(self, held: Held) -> PackageRow:
        listing = held.listing
        origin = origin_of(held, self._manifest)
        return PackageRow(
            name=listing.name,
            evr=listing.evr,
            arch=listing.arch,
            size=listing.size,
            roles=roles_in_words(held.roles, self._found),
            repository=origin.repository if origin else held.repository,
            license=listing.license or "it does not say",
            signer=self._signer(origin),
            summary=listing.summary,
        )

    def _signer(self, origin: Origin | None) -> str:
        if origin is None:
            return NOT_KNOWN
        if origin.signature:
            return _short(origin.signature.fingerprint)
        repositories = self._manifest.repositories if self._manifest else ()
        trust = next((each.trust for each in repositories if each.id == origin.repository), "")
        return "built in, known by its digest" if trust == "built-in" else "nobody: taken unsigned"


def origin_of(held: Held, manifest: Manifest | None) -> Origin | None:
    """Where a package came from, by the digest of its bytes."""
    kind, _, digest = held.listing.digest.partition(" ")
    return manifest.by_digest.get(digest) if manifest and kind == "sha256" else None


def roles_in_words(roles: Sequence[str], found: MediumFacts) -> str:
    """The roles that a package is for; where not all are known, those that are."""
    resolved = [role.id for role in found.roles if role.is_resolved]
    if not resolved:
        return NOT_KNOWN
    if not roles:
        return "no role"
    missing = set(resolved) - set(roles)
    if len(resolved) > 1 and not missing:
        return "every role"
    if len(resolved) > 3 and len(missing) == 1:
        return f"every role but {missing.pop()}"
    return ", ".join(sorted(roles))


def _kind_in_words(kind: str, count: int) -> str:
    one, more = _KINDS.get(kind, (kind, f"{kind}s"))
    return one if count == 1 else more


def _short(fingerprint: str) -> str:
    """The key ID that other tools show."""
    return f"key {fingerprint[-16:]}"


def _counted(pairs: Sequence[tuple[str, int]]) -> list[Counted]:
    totals: dict[str, Total] = {}
    for name, size in pairs:
        before = totals.get(name, Total())
        totals[name] = Total(before.packages + 1, before.size + size)
    return [Counted(name, total) for name, total in sorted(totals.items(), key=lambda e: (-e[1].packages, e[0]))]
