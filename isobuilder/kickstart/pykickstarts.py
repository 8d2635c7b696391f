"""What pykickstart makes of a kickstart, and of a single line: the way to it for all others.

It takes 0.1 s to load, with all that it brings, and 0.02 s for each text.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import pykickstart.constants
import pykickstart.errors
import pykickstart.parser
import pykickstart.version

from isobuilder.errors import KickstartError
from isobuilder.kickstart import lint
from isobuilder.kickstart.readback import Reading
from isobuilder.kickstart.request import ModuleCommand, PackageRequest, Wanted, WantedGroup
from isobuilder.kickstart.sections import sections
from isobuilder.releases import KickstartFacts

_WITH_PASSWORDS = frozenset({"rootpw", "user", "sshpw", "bootloader"})
_DEPTHS = {
    pykickstart.constants.GROUP_REQUIRED: "mandatory",
    pykickstart.constants.GROUP_DEFAULT: "default",
    pykickstart.constants.GROUP_ALL: "optional",
}


def takes(line: str, syntax: str) -> bool:
    """Whether the installer of this syntax takes `line` as a command, deprecated or not."""
    parser = pykickstart.parser.KickstartParser(_handler(syntax), followIncludes=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pykickstart.errors.KickstartWarning)
        try:
            parser.readKickstartFromString(f"{line}\n")
        except (pykickstart.errors.KickstartError, ValueError, LookupError, TypeError, AttributeError):
            return False
    return True


def read(text: str, facts: KickstartFacts) -> Reading:
    """Read a kickstart as the installer of the release whose `facts` these are; a malformed section ends the reading.

    Raises KickstartError for a syntax that pykickstart does not know.
    """
    parser = _Parser(_handler(facts.syntax))
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


def _handler(syntax: str) -> object:
    """pykickstart's handler for a syntax by its name ("RHEL9"). Raises KickstartError for one that it does not know."""
    try:
        return pykickstart.version.makeVersion(pykickstart.version.stringToVersion(syntax))
    except (pykickstart.errors.KickstartVersionError, KeyError) as error:
        raise KickstartError(f"pykickstart knows no syntax {syntax!r}") from error


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
