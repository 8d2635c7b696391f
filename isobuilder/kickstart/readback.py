"""A kickstart read back as the installer of its release will read it.

What a medium must hold is taken from what pykickstart understood, never from a list of ours.
"""

import functools
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pykickstart.constants
import pykickstart.errors
import pykickstart.parser

from isobuilder.errors import KickstartError
from isobuilder.kickstart import lint
from isobuilder.kickstart.syntax import handler, sections
from isobuilder.releases import KickstartFacts

_WITH_PASSWORDS = frozenset({"rootpw", "user", "sshpw", "bootloader"})
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
class ModuleCommand:
    """The command `module`, which enables a stream of a module ("" for its default), or disables the module."""

    name: str
    stream: str
    line: int
    enable: bool = True

    @property
    def word(self) -> str:
        """NAME or NAME:STREAM."""
        return f"{self.name}:{self.stream}" if self.stream else self.name


@dataclass(frozen=True)
class PackageRequest:
    """What a kickstart asks the installer to install, as pykickstart understood it.

    `environment` is the `@^` group, if any. `groups` includes core where the installer adds it by itself (line 0), and
    the modules of %packages, which look like groups. `weak` is false with --excludeWeakdeps.
    """

    packages: tuple[Wanted, ...]
    groups: tuple[WantedGroup, ...]
    environment: WantedGroup | None
    excluded_packages: tuple[Wanted, ...]
    excluded_groups: tuple[WantedGroup, ...]
    weak: bool = True
    modules: tuple[ModuleCommand, ...] = ()


@dataclass(frozen=True)
class Reading:
    """A kickstart as the installer of a release understands it; `network` are its sources besides the medium.

    `refused` are lines that it would stop at, `unsafe` what should not be on a medium all the same: each the number of
    the line, if known, and why. `warnings` is what it complains about and takes; `notes` is what should be known.
    """

    request: PackageRequest
    refused: tuple[lint.Mistake, ...]
    unsafe: tuple[lint.Mistake, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    network: tuple[str, ...]


# The same text is read for the plan of a build and out of its image.
@functools.lru_cache(maxsize=64)
def examine(text: str, facts: KickstartFacts) -> Reading:
    """Read a kickstart as the installer of the release whose `facts` these are; a malformed section ends the reading.

    Raises KickstartError for a syntax that pykickstart does not know.
    """
    parser = _Parser(handler(facts.syntax))
    refused = parser.mistakes
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", pykickstart.errors.KickstartWarning)
        try:
            parser.readKickstartFromString(text)
        except pykickstart.errors.KickstartError as error:
            refused.append((error.lineno, error.message))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # A quote that is never closed, or a line that pykickstart itself stumbles over; it does not say where.
            refused.append((None, f"cannot be read: {error}"))
    refused += lint.refused(text, facts)
    return Reading(
        request=_request(parser.handler, text),
        refused=tuple(refused),
        unsafe=tuple(lint.unsafe(text, parser.plain_passwords)),
        warnings=tuple(" ".join(str(warning.message).split()) for warning in caught),
        notes=tuple(lint.notes(parser.handler)),
        network=tuple(lint.network_sources(parser.handler)),
    )


def read_back(text: str, facts: KickstartFacts, *, where: str) -> tuple[PackageRequest, tuple[str, ...]]:
    """What the installer of the release whose `facts` these are understands of a kickstart, and notes on it.

    Raises KickstartError with every command that it would refuse and all that the lint finds; a malformed section ends
    the reading.
    """
    reading = examine(text, facts)
    if mistakes := [*reading.refused, *reading.unsafe]:
        details = [f"{place(text, number, where)}: {' '.join(message.split())}" for number, message in mistakes]
        raise KickstartError(f"{where}: it cannot be used as it is ({facts.syntax})", details=details)
    return reading.request, tuple(f"{where}: {note}" for note in (*reading.warnings, *reading.notes))


def place(text: str, number: int | None, where: str) -> str:
    """The line of that number for a message, with its first word alone: the rest may hold a password."""
    lines = text.splitlines()
    words = lines[number - 1].split() if number and number <= len(lines) else []
    shown = f"{words[0]} ..." if len(words) > 1 else "".join(words)
    return f"{where}, line {number}: {shown}" if shown else where


class _Parser(pykickstart.parser.KickstartParser):  # type: ignore[misc]
    """Goes on after a command that is refused, so that all of them are reported; looks at each line for passwords."""

    def __init__(self, handler: object) -> None:
        super().__init__(handler, followIncludes=False)
        self.mistakes: list[tuple[int | None, str]] = []
        self.plain_passwords: list[int] = []

    def handleCommand(self, lineno: int, args: Sequence[str]) -> object:  # noqa: N802 - pykickstart's name
        has_password = args[0] in _WITH_PASSWORDS
        command = self.handler.commands.get(args[0])
        if has_password and hasattr(command, "password"):
            # A command that stands twice keeps the password of the first line, and not that it was a hash.
            command.password = ""
        try:
            said = super().handleCommand(lineno, args)
        except pykickstart.errors.KickstartError as error:
            self.mistakes.append((lineno, error.message))
            return None
        if has_password and lint.gives_plain_password(said):
            self.plain_passwords.append(lineno)
        return said


def _request(handler: Any, text: str) -> PackageRequest:
    packages = handler.packages
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
        modules=tuple(_module_commands(handler)),
    )


def _module_commands(handler: Any) -> Iterator[ModuleCommand]:
    """What `module` says, where the release has that command and its installer still acts on it."""
    for said in getattr(getattr(handler, "module", None), "dataList", tuple)():
        yield ModuleCommand(said.name, said.stream, said.lineno, said.enable)
