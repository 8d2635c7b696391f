"""A definition with the release and the product that it names, read from their files: all that the user's side says.

What follows from the three together is said here, once. It reads files, and no network.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from isobuilder.definition import Definition, Repository, fill_in, find_definition
from isobuilder.products import Edition, Product, load_product
from isobuilder.releases import ArchFacts, Release, load_release


@dataclass(frozen=True)
class Blueprint:
    """What a medium is to be made from; `product` is None for a medium of plain roles."""

    definition: Definition
    release: Release
    product: Product | None

    @property
    def facts(self) -> ArchFacts:
        return self.release.arch[self.definition.arch]

    @property
    def tree(self) -> str:
        """The address of the installer's tree, with a slash at the end."""
        return fill_in(self.facts.tree, self.definition.arch).rstrip("/") + "/"

    @property
    def edition(self) -> Edition | None:
        """The product as it is on this release."""
        return self.product.release[self.release.id] if self.product else None

    @property
    def volume_id(self) -> str:
        """The label that the medium gets."""
        return self.definition.volume_id or default_volume_id(self.definition.name, self.release.id)

    @property
    def mark(self) -> str:
        """The label of /boot by which a medium of this definition knows a disk that it has installed: 11 characters.

        xfs takes 12 at most.
        """
        return f"IB-{hashlib.sha256(self.definition.name.encode()).hexdigest()[:8].upper()}"

    @property
    def repositories(self) -> tuple[Repository, ...]:
        """All that packages come from: the release's, then the architecture's, the product's and the definition's.

        One with the id of an earlier one takes its place.
        """
        return self._merged(self.release.repository, self.facts.repository, *self._added)

    @property
    def added_repositories(self) -> tuple[Repository, ...]:
        """Those that the product and the definition bring, which the release's own repository files lack."""
        return self._merged(*self._added)

    @property
    def _added(self) -> tuple[Iterable[Repository], ...]:
        return (self.edition.repository if self.edition else ()), self.definition.repository

    def _merged(self, *layers: Iterable[Repository]) -> tuple[Repository, ...]:
        merged = {repository.id: repository for layer in layers for repository in layer}
        return tuple(repository.for_arch(self.definition.arch) for repository in merged.values())


def read_blueprint(path: Path | None) -> Blueprint:
    """Read the definition at `path` (None as in `find_definition`), and the files that it names.

    Raises DefinitionError with all the mistakes of a file.
    """
    definition = find_definition(path)
    release = load_release(definition)
    return Blueprint(definition, release, load_product(definition, release))


def key_names(urls: Iterable[str]) -> dict[str, str]:
    """The name that each key file has on the medium and in the installed system, by its address.

    A key keeps the name that it is published by, unless that is no key's name; behind a name that an earlier address
    has taken, digits tell them apart.
    """
    names: dict[str, str] = {}
    for url in dict.fromkeys(urls):
        name = PurePosixPath(unquote(urlsplit(url).path)).name
        if not re.fullmatch(r"RPM-GPG-KEY-[A-Za-z0-9._-]{1,100}", name):
            name = "RPM-GPG-KEY"
        if name == "RPM-GPG-KEY" or name in names.values():
            name = f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
        names[url] = name
    return names


def default_volume_id(name: str, release: str) -> str:
    """NAME-RELEASE in the characters that need no escape in a kernel line, 32 of them at most; a long name is cut."""
    name, release = (re.sub(r"[^A-Za-z0-9]", "-", part).upper() for part in (name, release))
    return f"{name[: 32 - len(release) - 1]}-{release}"[:32]
