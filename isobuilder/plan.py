"""What is to be made: a definition with its release, kickstarts and menu, all checked before anything is fetched."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from isobuilder.definition import Definition, load_definition
from isobuilder.kickstart import Kickstart, render_roles
from isobuilder.lock import digests
from isobuilder.menus import menu_entries, menu_files
from isobuilder.releases import ArchFacts, Release, load_release


@dataclass(frozen=True)
class Plan:
    """A definition with everything that it names, read and checked, before anything is fetched.

    `menus` are the menus' files by path on the medium; `made_from` has a digest for each input, by its dotted name.
    """

    definition: Definition
    release: Release
    volume_id: str
    kickstarts: tuple[Kickstart, ...]
    menus: Mapping[str, bytes]
    made_from: Mapping[str, str]

    @property
    def facts(self) -> ArchFacts:
        return self.release.arch[self.definition.arch]

    @property
    def lock_path(self) -> Path:
        return self.definition.folder / f"{self.definition.name}.lock"

    @property
    def iso_name(self) -> str:
        return f"{self.definition.name}-{self.release.id}-{self.definition.arch}.iso"


def make_plan(path: Path) -> Plan:
    """Read the definition at `path` and all that it names. No network is touched.

    Raises DefinitionError, KickstartError or MediumError, each with all the mistakes of its kind.
    """
    definition = load_definition(path)
    release = load_release(definition)
    volume_id = volume_id_of(definition, release)
    kickstarts = render_roles(definition, release, volume_id=volume_id)
    entries = menu_entries(kickstarts, definition, release, volume_id)
    menus = menu_files(entries, definition, release, volume_id)
    made_from = {
        **digests("definition", definition.model_dump(by_alias=True, mode="json")),
        **digests("release", release.model_dump(by_alias=True, mode="json")),
        **digests("kickstart", {kickstart.role: kickstart.text for kickstart in kickstarts}),
        **digests("menu", {path: sha256(data).hexdigest() for path, data in menus.items()}),
    }
    return Plan(definition, release, volume_id, kickstarts, menus, made_from)


def volume_id_of(definition: Definition, release: Release) -> str:
    """The label that the medium gets."""
    return definition.volume_id or default_volume_id(definition.name, release.id)


def default_volume_id(name: str, release: str) -> str:
    """NAME-RELEASE in the characters that need no escape in a kernel line, 32 of them at most; a long name is cut."""
    name, release = (re.sub(r"[^A-Za-z0-9]", "-", part).upper() for part in (name, release))
    return f"{name[: 32 - len(release) - 1]}-{release}"[:32]
