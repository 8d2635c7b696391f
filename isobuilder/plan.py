"""What is to be made: a definition with its release, kickstarts and menu, all checked before anything is fetched."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from isobuilder.blueprint import Blueprint, complete
from isobuilder.bootmenu.entries import make_menu
from isobuilder.bootmenu.render import menu_files
from isobuilder.definition import Definition, find_definition
from isobuilder.kept import Kept
from isobuilder.kickstart.rendering import Kickstart, render_roles
from isobuilder.lock import digests
from isobuilder.provenance.carried import Carried, carry
from isobuilder.releases import ArchFacts, Release


@dataclass(frozen=True)
class Plan:
    """A blueprint with its kickstarts and menus, checked, before anything is fetched.

    `menus` are the menus' files by path on the medium; `made_from` has a digest for each input, by its dotted name;
    `carried` are the files of the user's that the medium has.
    """

    blueprint: Blueprint
    kickstarts: tuple[Kickstart, ...]
    menus: Mapping[str, bytes]
    made_from: Mapping[str, str]
    carried: Carried

    @property
    def definition(self) -> Definition:
        return self.blueprint.definition

    @property
    def release(self) -> Release:
        return self.blueprint.release

    @property
    def facts(self) -> ArchFacts:
        return self.blueprint.facts

    @property
    def lock_path(self) -> Path:
        return self.definition.folder / f"{self.definition.name}.lock"

    @property
    def iso_name(self) -> str:
        return f"{self.definition.name}-{self.release.id}-{self.definition.arch}.iso"


def make_plan(path: Path | None, kept: Kept | None = None) -> Plan:
    """Read the definition at `path` (None as in `find_definition`) and all that it names. No network is touched.

    `kept` has what was found out before about the same kickstarts. Raises DefinitionError, KickstartError or
    MediumError, each with all the mistakes of its kind.
    """
    return plan_of(find_definition(path), kept)


def plan_of(definition: Definition, kept: Kept | None = None) -> Plan:
    """The plan of a definition that was read. Raises as `make_plan`."""
    blueprint = complete(definition)
    release = blueprint.release
    kickstarts = render_roles(blueprint, kept)
    menus = menu_files(make_menu(kickstarts, blueprint), blueprint)
    product = {"product": blueprint.product, "edition": blueprint.edition}
    made_from = {
        # How large a medium may be, and who says until when a release has updates, changes no bit of it.
        **digests("definition", definition.model_dump(by_alias=True, mode="json", exclude={"max_size"})),
        **digests("release", release.model_dump(by_alias=True, mode="json", exclude={"end_of_life_source"})),
        **{
            key: digest
            for name, value in product.items()
            if value
            for key, digest in digests(name, value.model_dump(by_alias=True, mode="json", exclude={"release"})).items()
        },
        **digests("kickstart", {kickstart.role: kickstart.text for kickstart in kickstarts}),
        **digests("menu", {path: sha256(data).hexdigest() for path, data in menus.items()}),
    }
    return Plan(blueprint, kickstarts, menus, made_from, carry(blueprint, kickstarts))
