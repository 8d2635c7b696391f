"""What is to be made: a definition with its release, kickstarts and menu, all checked before anything is fetched."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from isobuilder.definition import Definition, load_definition
from isobuilder.kickstart import Kickstart, render_roles
from isobuilder.lock import digests
from isobuilder.menus import Entry, menu_entries
from isobuilder.releases import ArchFacts, Release, load_release


@dataclass(frozen=True)
class Plan:
    """A definition with everything that it names, read and checked, before anything is fetched."""

    definition: Definition
    release: Release
    volume_id: str
    kickstarts: tuple[Kickstart, ...]
    menu: tuple[Entry, ...]
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
    volume_id = definition.volume_id or default_volume_id(definition.name, release.id)
    kickstarts = render_roles(definition, release, volume_id=volume_id)
    menu = menu_entries(kickstarts, definition, release, volume_id)
    made_from = {
        **digests("definition", definition.model_dump(by_alias=True, mode="json")),
        **digests("release", release.model_dump(by_alias=True, mode="json")),
        **digests("kickstart", {kickstart.role: kickstart.text for kickstart in kickstarts}),
    }
    return Plan(definition, release, volume_id, kickstarts, menu, made_from)


def default_volume_id(name: str, release: str) -> str:
    """NAME-RELEASE in the characters that need no escape in a kernel line, 32 of them at most."""
    return "".join(c if c.isalnum() else "-" for c in f"{name}-{release}").upper()[:32]
