"""The roles of a medium: which there are, and where each one's template is."""

from dataclasses import dataclass, replace
from pathlib import Path

from isobuilder.blueprint import Blueprint
from isobuilder.definition import Group
from isobuilder.errors import DefinitionError
from isobuilder.schema import did_you_mean


@dataclass(frozen=True)
class Role:
    """What may be on the menu, in its `group`.

    `template` is found in the first of `folders` that has it, which come before ours; the kickstart may include files
    of the first one, when that is the user's own (`inlines`).
    """

    id: str
    title: str
    group: Group
    menu: bool
    template: str
    folders: tuple[Path, ...] = ()
    inlines: bool = False


def roles(blueprint: Blueprint) -> tuple[Role, ...]:
    """The roles of a medium: the product's, the plain one that every medium has, and the definition's own.

    One with the name of an earlier one takes its place; without a kickstart of its own it only changes it. Raises
    DefinitionError.
    """
    definition, product = blueprint.definition, blueprint.product
    folders = product.folders if product else ()
    found = {
        role.id: Role(role.id, role.title, role.group, role.menu, role.kickstart, folders)
        for role in (product.role if product else ())
    }
    found.setdefault(
        "minimal",
        Role("minimal", f"Install minimal {blueprint.release.title}", "other", menu=True, template="minimal.ks.j2"),
    )
    lacking = []
    for name, own in definition.role.items():
        plain = found.get(name)
        if own.kickstart is not None:
            plain = plain or Role(name, f"Install {name.replace('-', ' ')}", "other", menu=True, template="")
            folders_of_own = (definition.folder, *folders)
            plain = replace(plain, template=own.kickstart, folders=folders_of_own, inlines=True)
        if plain:
            found[name] = replace(
                plain,
                title=own.title or plain.title,
                group=own.group or plain.group,
                menu=plain.menu if own.menu is None else own.menu,
            )
        else:
            lacking.append(f"role.{name}.kickstart: required, as it is none of ours{did_you_mean(name, found)}")
    if lacking:
        raise DefinitionError(f"{definition.path}: roles without a kickstart", details=lacking)
    return tuple(found.values())
