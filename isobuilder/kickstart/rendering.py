"""Each role's template rendered, and read back as its installer will."""

from dataclasses import dataclass, replace
from pathlib import Path

from isobuilder.blueprint import Blueprint
from isobuilder.definition import Group
from isobuilder.errors import KickstartError
from isobuilder.kept import Kept
from isobuilder.kickstart.disks import STORAGE_INCLUDE, chooses_alike, chooses_disks, in_words
from isobuilder.kickstart.readback import read_back
from isobuilder.kickstart.request import PackageRequest
from isobuilder.kickstart.roles import Role, roles
from isobuilder.kickstart.sections import sections
from isobuilder.kickstart.templates import rendered, rendered_text

REACHED_KICKSTART = "parts/reached-kickstart.ks.j2"


@dataclass(frozen=True)
class Kickstart:
    """A rendered role: `path` is where it lies on the medium ("ks/minimal.cfg"); `text` what lies there.

    `chooses_disks`: it has storage commands or scripts that run before them, so that disks may be erased unasked;
    `disk` says which one, when it is that of the definition: "model X, 100GB to 2TB".
    `notes` are what the installer will complain about without refusing it, such as deprecated commands; `files` what it
    was rendered from.
    """

    role: str
    title: str
    group: Group
    menu: bool
    path: str
    text: str
    request: PackageRequest
    chooses_disks: bool = False
    disk: str | None = None
    notes: tuple[str, ...] = ()
    files: frozenset[Path] = frozenset()


def render_roles(blueprint: Blueprint, kept: Kept | None = None) -> tuple[Kickstart, ...]:
    """Every role's kickstart, rendered and read back; `kept` has what was found out before.

    Raises KickstartError with the mistakes of all of them.
    """
    rendered: list[Kickstart] = []
    mistakes: list[str] = []
    for role in roles(blueprint):
        try:
            rendered.append(_render_role(role, blueprint, kept))
        except KickstartError as error:
            mistakes += [error.message, *(f"  {detail}" for detail in error.details)]
    if mistakes:
        path = blueprint.definition.path
        raise KickstartError(
            f"{path}: there are mistakes in the kickstarts of its roles",
            details=mistakes,
            hint=f"A line of ks/ROLE.cfg is one of the rendered kickstart: isobuilder kickstart ROLE {path}",
        )
    return tuple(rendered)


def _render_role(role: Role, blueprint: Blueprint, kept: Kept | None) -> Kickstart:
    made = rendered(role, blueprint, kept)
    text = made.text
    path = f"ks/{role.id}.cfg"
    request, notes = read_back(text, blueprint.release.kickstart, where=path, kept=kept)
    return Kickstart(
        role=role.id,
        title=role.title,
        group=role.group,
        menu=role.menu,
        path=path,
        text=text,
        request=request,
        chooses_disks=chooses_disks(_silent(role, blueprint, text, kept)),
        disk=_disk(role, blueprint, text, kept),
        notes=(*notes, *(f"{path}: {note}" for note in _unasked_for_password(blueprint, text))),
        files=made.files,
    )


def _ours(role: Role, template: str) -> Role:
    """What a template that ships with isobuilder makes of a role."""
    return replace(role, template=template, folders=(), inlines=False)


def _silent(role: Role, blueprint: Blueprint, text: str, kept: Kept | None) -> str:
    """A kickstart without the script that says that it was taken, which does nothing to disks."""
    return text.replace(rendered_text(_ours(role, REACHED_KICKSTART), blueprint, kept), "")


def _disk(role: Role, blueprint: Blueprint, text: str, kept: Kept | None) -> str | None:
    """The match in words, for a kickstart that goes by it and by nothing else."""
    match = blueprint.definition.install.disk
    if match is None:
        return None
    guarded = rendered_text(_ours(role, "base.ks.j2"), blueprint, kept)
    return in_words(match) if chooses_alike(text, guarded) else None


def _unasked_for_password(blueprint: Blueprint, text: str) -> list[str]:
    """What stands in the way of an unattended install."""
    unattended = blueprint.definition.install.disk and STORAGE_INCLUDE in text
    if unattended and not any(line.startswith("rootpw ") for section, _, line in sections(text) if not section):
        return ["it takes its disk unasked, and then stops to ask for a root password: there is no root-password"]
    return []
