"""A role is a kickstart: it is read back as the installer of the release will read it.

What a medium must hold is taken from what pykickstart understood, never from a list of ours.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pykickstart.constants
import pykickstart.errors
import pykickstart.parser
import pykickstart.version

from isobuilder.definition import Definition
from isobuilder.errors import KickstartError
from isobuilder.releases import Release
from isobuilder.roles import Role, rendered_text, roles, sections

# Commands that write to disks, or say which.
_STORAGE_COMMANDS = frozenset(
    {
        "autopart",
        "btrfs",
        "clearpart",
        "fcoe",
        "iscsi",
        "logvol",
        "mount",
        "nvdimm",
        "part",
        "partition",
        "raid",
        "reqpart",
        "snapshot",
        "volgroup",
        "zerombr",
        "zfcp",
        "zipl",
    }
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
class Kickstart:
    """A rendered role: `path` is where it lies on the medium ("ks/minimal.cfg"); `text` what lies there.

    `chooses_disks`: it has storage commands or scripts that run before them, so that disks may be erased unasked.
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
            f"{definition.path}: there are mistakes in the kickstarts of its roles",
            details=mistakes,
            hint=f"A line of ks/ROLE.cfg is one of the rendered kickstart: isobuilder kickstart ROLE {definition.path}",
        )
    return tuple(rendered)


def _render_role(role: Role, definition: Definition, release: Release, volume_id: str) -> Kickstart:
    text = rendered_text(role, definition, release, volume_id=volume_id)
    path = f"ks/{role.id}.cfg"
    request, notes = read_back(text, release.kickstart_syntax, where=path)
    return Kickstart(role.id, role.title, role.menu, path, text, request, _chooses_disks(text), notes)


def read_back(text: str, syntax: str, *, where: str) -> tuple[PackageRequest, tuple[str, ...]]:
    """What the installer of `syntax` (pykickstart's name, "RHEL9") understands of a kickstart, and its warnings.

    Raises KickstartError with every command that it would refuse; a malformed section ends the reading.
    """
    lines = text.splitlines()

    def place(number: int | None) -> str:
        words = lines[number - 1].split() if number and number <= len(lines) else []
        # The rest of the line is not repeated: it may hold a password.
        shown = f"{words[0]} ..." if len(words) > 1 else "".join(words)
        return f"{where}, line {number}: {shown}" if shown else where

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
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # A quote that is never closed, or a line that pykickstart itself stumbles over; it does not say where.
            mistakes.append((None, f"cannot be read: {error}"))
    mistakes += _plain_passwords(parser.handler)
    if mistakes:
        details = [f"{place(number)}: {' '.join(message.split())}" for number, message in mistakes]
        raise KickstartError(f"{where}: {syntax} refuses it", details=details)
    notes = [f"{where}: {' '.join(str(warning.message).split())}" for warning in caught]
    notes += [f"{where}: installs from the network too ({command})" for command in _network_sources(parser.handler)]
    return _request(parser.handler.packages, text), tuple(notes)


def _plain_passwords(handler: Any) -> Iterator[tuple[int | None, str]]:
    """Passwords that would stand on the medium for everybody to read."""
    rootpw, bootloader = getattr(handler, "rootpw", None), getattr(handler, "bootloader", None)
    users = getattr(getattr(handler, "user", None), "userList", ())
    shells = getattr(getattr(handler, "sshpw", None), "sshUserList", ())
    for command in (rootpw, bootloader, *users, *shells):
        # A crypt hash begins with "$", GRUB's with "grub."; "!" and "*" lock an account.
        if command and command.password and not (command.isCrypted and re.match(r"[$!*]|grub\.", command.password)):
            yield command.lineno or None, "a plain password would be readable on the medium; use --iscrypted and a hash"


def _network_sources(handler: Any) -> Iterator[str]:
    for name in ("url", "nfs", "ostreesetup", "ostreecontainer", "liveimg"):
        if getattr(getattr(handler, name, None), "seen", False):
            yield name
    for repository in getattr(getattr(handler, "repo", None), "repoList", ()):
        address = repository.baseurl or repository.mirrorlist or getattr(repository, "metalink", "")
        if address and not address.startswith("file:"):
            yield f"repo {repository.name}"


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
    # The parser keeps no line numbers for packages: a line is found by all of it, "@ group --optional" by "@group".
    words: dict[str, int] = {}
    for section, number, line in sections(text):
        if section == "%packages":
            wanted = re.sub(r"^(-?@\^?)\s*", r"\1", line.partition("#")[0].strip())
            words |= {wanted: number, wanted.partition(" --")[0]: number}

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
    """Whether a kickstart has storage commands or scripts that run before disks are chosen; those can do anything."""
    words = {line.split(maxsplit=1)[0] for section, _, line in sections(text) if not section and line.strip()}
    return bool(words & (_STORAGE_COMMANDS | {"%pre", "%pre-install", "%include"}))
