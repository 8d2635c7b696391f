"""A role is a kickstart: render its template, read the result back as the installer of the release will.

What a medium must hold is taken from what pykickstart understood, never from a list of ours. Nothing here touches the
network, and templates see validated values only, in a sandbox.
"""

import re
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import jinja2.sandbox
import pykickstart.constants
import pykickstart.errors
import pykickstart.parser
import pykickstart.version

from isobuilder.definition import Definition
from isobuilder.errors import KickstartError
from isobuilder.releases import Release
from isobuilder.resources import data_folder

INCLUDE_DEPTH = 8

_STORAGE_COMMANDS = frozenset(
    {"autopart", "btrfs", "clearpart", "fcoe", "iscsi", "logvol", "part", "partition", "raid", "reqpart", "volgroup"}
    | {"zerombr", "zfcp"}
)

_DEPTHS = {
    pykickstart.constants.GROUP_REQUIRED: "mandatory",
    pykickstart.constants.GROUP_DEFAULT: "default",
    pykickstart.constants.GROUP_ALL: "optional",
}


@dataclass(frozen=True)
class Wanted:
    """One line of %packages: its word (a name, `name.arch`, glob or path) and its number in the kickstart."""

    text: str
    line: int


@dataclass(frozen=True)
class WantedGroup:
    """A comps group or environment that %packages names. `depth`: mandatory, default, or optional (which holds all)."""

    id: str
    line: int
    depth: str = "default"


@dataclass(frozen=True)
class PackageRequest:
    """What a kickstart asks the installer to install, as pykickstart understood it.

    `environment` is the `@^` group, if any. `groups` includes core where the installer adds it by itself (line 0).
    `weak` is false with --excludeWeakdeps.
    """

    packages: tuple[Wanted, ...]
    groups: tuple[WantedGroup, ...]
    environment: WantedGroup | None
    excluded_packages: tuple[Wanted, ...]
    excluded_groups: tuple[WantedGroup, ...]
    weak: bool = True


@dataclass(frozen=True)
class Role:
    """What is on the menu: `template` is found in `folder`, or among ours when `folder` is None."""

    id: str
    title: str
    menu: bool
    template: str
    folder: Path | None


@dataclass(frozen=True)
class Kickstart:
    """A rendered role: `path` is where it lies on the medium ("ks/minimal.cfg"); `text` what lies there.

    `chooses_disks`: it has storage commands, or includes what %pre writes, so that disks may be erased unasked.
    `notes` are what the installer will complain about without refusing it, such as deprecated commands.
    """

    role: str
    title: str
    menu: bool
    path: str
    text: str
    request: PackageRequest
    chooses_disks: bool = False
    notes: tuple[str, ...] = ()


def roles(definition: Definition, release: Release) -> tuple[Role, ...]:
    """The roles of a medium: the plain one that every medium has, replaced or joined by the definition's own."""
    plain = Role("minimal", f"Install minimal {release.title}", menu=True, template="minimal.ks.j2", folder=None)
    found = {plain.id: plain}
    for name, own in definition.role.items():
        title = own.title or f"Install {name.replace('-', ' ')}"
        found[name] = Role(name, title, own.menu, own.kickstart, definition.folder)
    return tuple(found.values())


def render_roles(definition: Definition, release: Release, *, volume_id: str) -> tuple[Kickstart, ...]:
    """Every role's kickstart, rendered and read back. Raises KickstartError with the mistakes of all of them."""
    rendered: list[Kickstart] = []
    mistakes: list[str] = []
    for role in roles(definition, release):
        try:
            rendered.append(_render_role(role, definition, release, volume_id))
        except KickstartError as error:
            mistakes += [error.message, *(f"  {detail}" for detail in error.details)]
    if mistakes:
        raise KickstartError(
            f"the installer of {release.title} would not take these kickstarts",
            details=mistakes,
            hint="Line numbers are those of the rendered kickstart; the line's text stands beside each.",
        )
    return tuple(rendered)


def _render_role(role: Role, definition: Definition, release: Release, volume_id: str) -> Kickstart:
    text = _render(role, definition, release, volume_id)
    text = _with_includes(text, role)
    request, notes = read_back(text, release.kickstart_syntax, where=role.template)
    return Kickstart(role.id, role.title, role.menu, f"ks/{role.id}.cfg", text, request, _chooses_disks(text), notes)


def _render(role: Role, definition: Definition, release: Release, volume_id: str) -> str:
    loaders: list[jinja2.BaseLoader] = [jinja2.FileSystemLoader(data_folder("kickstarts"))]
    if role.folder is not None:
        loaders.insert(0, jinja2.FileSystemLoader(role.folder))
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    try:
        return environment.get_template(role.template).render(
            role={"id": role.id, "title": role.title},
            install=definition.install,
            release=release,
            medium={"name": definition.name, "volume_id": volume_id},
        )
    except jinja2.TemplateNotFound as error:
        where = role.folder or "the kickstarts of isobuilder"
        raise KickstartError(f"role {role.id}: no template {error.name!r} in {where}") from error
    except jinja2.TemplateSyntaxError as error:
        raise KickstartError(f"{error.name or role.template}, line {error.lineno}: {error.message}") from error
    except (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # An expression in a template can fail in any of these ways; jinja2 puts the template's line in the traceback.
        frame = next(
            (f for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename.endswith(role.template)), None
        )
        line = f", line {frame.lineno}" if frame else ""
        raise KickstartError(f"{role.template}{line}: {error}") from error


def _with_includes(text: str, role: Role, depth: int = 0) -> str:
    """`text` with the files of the definition's folder that it includes; only %include of /tmp/ is left.

    The installer reads what %pre wrote under /tmp/ in its second pass; it fetches nothing that we have not seen.
    """
    scripts = "\n".join(line for section, _, line in _lines(text) if section == "%pre")
    result: list[str] = []
    mistakes: list[str] = []
    for section, number, line in _lines(text):
        word, _, argument = line.strip().partition(" ")
        argument = argument.strip().strip("\"'")
        where = f"{role.template}, line {number}: {line.strip()}"
        if word == "%ksappend":
            mistakes.append(f"{where}: %ksappend is not taken; use %include or the template's own {{% include %}}")
        elif word != "%include":
            result.append(line)
        elif section == "%packages":
            mistakes.append(f"{where}: packages that are known at install time only cannot be put on the medium")
        elif argument.startswith("/tmp/"):  # noqa: S108 - the installer's /tmp, not ours
            if not re.search(rf"{re.escape(argument)}(?![\w.-])", scripts):
                mistakes.append(f"{where}: no %pre of this kickstart writes that file")
            result.append(line)
        else:
            try:
                result.append(_included(argument, role, depth).rstrip("\n"))
            except KickstartError as error:
                mistakes.append(f"{where}: {error.message}")
    if mistakes:
        raise KickstartError(f"role {role.id}", details=mistakes)
    return "\n".join(result) + "\n"


def _included(name: str, role: Role, depth: int) -> str:
    if "://" in name or name.startswith("/") or role.folder is None:
        raise KickstartError("only /tmp/ files of this kickstart's %pre and files below the definition can be included")
    if depth >= INCLUDE_DEPTH:
        raise KickstartError(f"includes go deeper than {INCLUDE_DEPTH}")
    path = (role.folder / name).resolve()
    if not path.is_relative_to(role.folder.resolve()):
        raise KickstartError("that file lies outside of the definition's folder")
    try:
        return _with_includes(path.read_text(encoding="utf-8"), role, depth + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise KickstartError(f"that file cannot be read: {error}") from error


def read_back(text: str, syntax: str, *, where: str) -> tuple[PackageRequest, tuple[str, ...]]:
    """What the installer of `syntax` (pykickstart's name, "RHEL9") understands of a kickstart, and its warnings.

    Raises KickstartError with every command that it would refuse; a malformed section ends the reading.
    """
    lines = text.splitlines()

    def place(number: int | None) -> str:
        line = lines[number - 1].strip() if number and number <= len(lines) else ""
        return f"{where}, line {number}: {line}" if line else where

    try:
        parser = _Parser(pykickstart.version.makeVersion(pykickstart.version.stringToVersion(syntax)))
    except (pykickstart.errors.KickstartVersionError, KeyError) as error:
        raise KickstartError(f"{where}: pykickstart knows no syntax {syntax!r}") from error
    mistakes = parser.mistakes
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", pykickstart.errors.KickstartWarning)
        try:
            parser.readKickstartFromString(text)
        except pykickstart.errors.KickstartError as error:
            mistakes.append((error.lineno, error.message))
        except ValueError as error:
            # shlex, on a quote that is never closed; it does not say where.
            mistakes.append((None, str(error)))
    if mistakes:
        details = [f"{place(number)}: {' '.join(message.split())}" for number, message in mistakes]
        raise KickstartError(f"{where}: {syntax} refuses it", details=details)
    notes = tuple(f"{where}: {' '.join(str(warning.message).split())}" for warning in caught)
    return _request(parser.handler.packages, text), notes


class _Parser(pykickstart.parser.KickstartParser):  # type: ignore[misc]
    """Goes on after a command that is refused, so that all of them are reported."""

    def __init__(self, handler: object) -> None:
        super().__init__(handler, followIncludes=False)
        self.mistakes: list[tuple[int | None, str]] = []

    def handleCommand(self, lineno: int, args: Sequence[str]) -> object:  # noqa: N802 - pykickstart's name
        try:
            return super().handleCommand(lineno, args)
        except pykickstart.errors.KickstartError as error:
            self.mistakes.append((lineno, error.message))
            return None


def _request(packages: pykickstart.parser.Packages, text: str) -> PackageRequest:
    # The parser keeps no line numbers for packages; "@ group --optional" is found by "@group".
    words = {
        re.sub(r"^(-?@\^?)\s*", r"\1", line.partition("#")[0].strip()).partition(" ")[0]: number
        for section, number, line in _lines(text)
        if section == "%packages"
    }

    def group(name: str, depth: str = "default", sign: str = "@") -> WantedGroup:
        return WantedGroup(name, words.get(f"{sign}{name}", 0), depth)

    groups = [group(g.name, _DEPTHS[g.include]) for g in packages.groupList]
    if not packages.nocore and not any(g.id == "core" for g in groups):
        groups.insert(0, WantedGroup("core", 0))
    return PackageRequest(
        packages=tuple(Wanted(name, words.get(name, 0)) for name in packages.packageList),
        groups=tuple(groups),
        environment=group(packages.environment, sign="@^") if packages.environment else None,
        excluded_packages=tuple(Wanted(name, words.get(f"-{name}", 0)) for name in packages.excludedList),
        excluded_groups=tuple(group(g.name, sign="-@") for g in packages.excludedGroupList),
        weak=not packages.excludeWeakdeps,
    )


def _chooses_disks(text: str) -> bool:
    words = {line.split(maxsplit=1)[0] for section, _, line in _lines(text) if not section and line.strip()}
    return bool(words & _STORAGE_COMMANDS) or "%include" in words


def _lines(text: str) -> Iterator[tuple[str, int, str]]:
    """Each line with the section that it stands in ("" outside, "%post") and its number from 1."""
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if word == "%end":
            yield section, number, line
            section = ""
        elif not section and word.startswith("%") and word not in ("%include", "%ksappend"):
            section = word
            yield "", number, line
        else:
            yield section, number, line
