"""A definition with the release and the product that it names, read from their files: all that the user's side says.

What follows from the three together is said here, once. It reads files, and no network.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from isobuilder.addresses import as_address, below, is_local
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
        wanted = self.definition.source or self.facts.tree
        return as_address(fill_in(wanted, self.definition.arch)).rstrip("/") + "/"

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

        One with the id of an earlier one takes its place. With a `source`, the release's are those on its DVD.
        """
        return self._merged(self._on_dvd(), *self._added)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The ids of the release's repositories that the definition's `source` does not have."""
        used = {repository.id for repository in self.repositories}
        return tuple(repository.id for repository in self._own if repository.id not in used)

    @property
    def installed_repositories(self) -> tuple[Repository, ...]:
        """What the installed system is told of, beside what its own packages bring: no folders or ISOs of ours.

        A `source` changes nothing here, except that repositories without a key on the medium are left out.
        """
        stock = self.release.installed.stock_repositories
        keys = {key for repository in self.repositories for key in repository.gpgkey}
        return tuple(
            repository
            for repository in self._merged(() if stock else self._own, *self._added)
            if keys.issuperset(repository.gpgkey) and not (repository.baseurl and is_local(repository.baseurl))
        )

    @property
    def _own(self) -> tuple[Repository, ...]:
        """The release's repositories, with keys where the definition has them."""
        own = {repository.id: repository for repository in (*self.release.repository, *self.facts.repository)}
        source, dvd = self.definition.source, self.release.dvd
        return tuple(_with_keys(one, source) if source and dvd and dvd.keys else one for one in own.values())

    def _on_dvd(self) -> tuple[Repository, ...]:
        source, dvd = self.definition.source, self.release.dvd
        if source is None or dvd is None:
            return self._own
        return tuple(
            repository.model_copy(
                update={
                    "baseurl": below(source, dvd.repositories[repository.id]),
                    "mirrorlist": None,
                    "metalink": None,
                    # The metadata of a DVD is not signed; its packages are.
                    "repomd_signature": "if-present",
                }
            )
            for repository in self._own
            if repository.id in dvd.repositories
        )

    @property
    def _added(self) -> tuple[Iterable[Repository], ...]:
        return (self.edition.repository if self.edition else ()), self.definition.repository

    def _merged(self, *layers: Iterable[Repository]) -> tuple[Repository, ...]:
        merged = {repository.id: repository for layer in layers for repository in layer}
        keys = self.definition.keys
        placed = (_with_keys(one, keys) if keys else one for one in merged.values())
        return tuple(repository.for_arch(self.definition.arch) for repository in placed)


def _with_keys(repository: Repository, folder: str) -> Repository:
    """The repository, its key files taken from `folder` by their names."""
    names = (PurePosixPath(urlsplit(url).path).name for url in repository.gpgkey)
    return repository.model_copy(update={"gpgkey": tuple(below(folder, name) for name in names)})


def read_blueprint(path: Path | None) -> Blueprint:
    """Read the definition at `path` (None as in `find_definition`), and the files that it names.

    Raises DefinitionError with all the mistakes of a file.
    """
    return complete(find_definition(path))


def complete(definition: Definition) -> Blueprint:
    """A definition with the files that it names. Raises DefinitionError with all the mistakes of a file."""
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
