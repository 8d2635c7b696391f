"""A role is a kickstart: each role's template rendered, and read back as its installer will."""

from dataclasses import dataclass

from isobuilder.blueprint import Blueprint
from isobuilder.definition import DiskMatch, Group
from isobuilder.errors import KickstartError
from isobuilder.lint import chooses_disks
from isobuilder.readback import PackageRequest, read_back
from isobuilder.roles import Role, roles
from isobuilder.templates import STORAGE_INCLUDE, rendered_text


@dataclass(frozen=True)
class Kickstart:
    """A rendered role: `path` is where it lies on the medium ("ks/minimal.cfg"); `text` what lies there.

    `chooses_disks`: it has storage commands or scripts that run before them, so that disks may be erased unasked;
    `disk` says which one, when it is that of the definition: "model X, 100GB to 2TB".
    `notes` are what the installer will complain about without refusing it, such as deprecated commands.
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


def render_roles(blueprint: Blueprint) -> tuple[Kickstart, ...]:
    """Every role's kickstart, rendered and read back. Raises KickstartError with the mistakes of all of them."""
    rendered: list[Kickstart] = []
    mistakes: list[str] = []
    for role in roles(blueprint):
        try:
            rendered.append(_render_role(role, blueprint))
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


def _render_role(role: Role, blueprint: Blueprint) -> Kickstart:
    text = rendered_text(role, blueprint)
    path = f"ks/{role.id}.cfg"
    request, notes = read_back(text, blueprint.release.kickstart, where=path)
    return Kickstart(
        role=role.id,
        title=role.title,
        group=role.group,
        menu=role.menu,
        path=path,
        text=text,
        request=request,
        chooses_disks=chooses_disks(text),
        disk=_disk(blueprint.definition.install.disk, text),
        notes=notes,
    )


def _disk(match: DiskMatch | None, text: str) -> str | None:
    """The match in words, for a kickstart that goes by it."""
    if match is None or STORAGE_INCLUDE not in text:
        return None
    sizes = " to ".join(filter(None, [match.min_size, match.max_size]))
    if not (match.min_size and match.max_size):
        sizes = f"{'at least' if match.min_size else 'at most'} {sizes}" if sizes else ""
    named = [f"{name} {value}" for name, value in (("model", match.model), ("serial", match.serial)) if value]
    return ", ".join(filter(None, [*named, sizes]))
