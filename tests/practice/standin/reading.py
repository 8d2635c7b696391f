"""A kickstart as this installer takes it: read with pykickstart, each command and option looked up in one table.

What the table does not have is an error that names the line, never a thing that is passed over.
"""

import configparser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pykickstart.constants import KS_SCRIPT_PRE
from pykickstart.errors import KickstartError
from pykickstart.parser import KickstartParser, Script
from pykickstart.sections import (
    NullSection,
    PackageSection,
    PostScriptSection,
    PreInstallScriptSection,
    PreScriptSection,
)
from pykickstart.version import makeVersion, versionMap

from .tools import FailureError

# The options of each command that are honoured, and of some the values. Whoever honours it is in COMMENTS-free words:
# storage (plan.py), packages (payload.py), boot loader (bootloader.py), and settings.py for the rest.
COMMANDS: Mapping[str, frozenset[str]] = {
    name: frozenset(options.split())
    for name, options in {
        "bootloader": "--append --boot-drive --location",
        "cdrom": "",
        "clearpart": "--all --drives --initlabel",
        "cmdline": "",
        "firewall": "--disabled --enabled --port --service",
        "ignoredisk": "--drives --only-use",
        "keyboard": "--vckeymap --xlayouts",
        "lang": "",
        "logvol": "--fstype --grow --label --maxsize --name --percent --recommended --size --vgname",
        "network": "--activate --bootproto --device --gateway --hostname --ip --nameserver --netmask --no-activate"
        " --onboot",
        "part": "--fstype --grow --label --maxsize --ondisk --recommended --size",
        "partition": "--fstype --grow --label --maxsize --ondisk --recommended --size",
        "poweroff": "",
        "reboot": "--eject",
        "reqpart": "",
        "rootpw": "--iscrypted --lock --plaintext",
        "selinux": "--disabled --enforcing --permissive",
        "services": "--disabled --enabled",
        "shutdown": "",
        "sshkey": "--username",
        "text": "",
        "timezone": "--nontp --utc",
        "user": "--gecos --groups --homedir --iscrypted --lock --name --password --plaintext --shell --uid",
        "volgroup": "--reserved-percent",
        "zerombr": "",
    }.items()
}
PACKAGE_OPTIONS = frozenset({"--exclude-weakdeps", "--excludeWeakdeps", "--excludedocs", "--ignoremissing", "--nocore"})
_FIXED = {"--location": "mbr"}


@dataclass(frozen=True)
class Kickstart:
    """A kickstart that was read: pykickstart's handler, and which commands it has."""

    handler: Any
    commands: frozenset[str]
    scripts: Sequence[Script]


def release_of(medium: Path) -> str:
    """The version of the release that the medium's .treeinfo names, such as "9". Raises FailureError without one."""
    treeinfo = configparser.ConfigParser(interpolation=None)
    treeinfo.read(medium / ".treeinfo", encoding="utf-8")
    version = treeinfo.get("release", "version", fallback="").partition(".")[0]
    if f"RHEL{version}" not in versionMap:
        raise FailureError(f".treeinfo of the medium names the release {version!r}, of which no syntax is known")
    return version


def syntax_of(release: str) -> str:
    """What pykickstart calls the syntax of a release: practice releases are numbered as what they practise."""
    return f"RHEL{release}"


def read_pre(path: Path, syntax: str) -> Sequence[Script]:
    """The %pre sections, which run before the rest is read: it may include what they write."""
    scripts = _parse(_PreParser(makeVersion(syntax), missingIncludeIsFatal=False), path).scripts
    return [script for script in scripts if script.type == KS_SCRIPT_PRE]


def read(path: Path, syntax: str) -> Kickstart:
    """All of it. Raises FailureError for what pykickstart refuses and for what is not honoured here."""
    handler = makeVersion(syntax)
    uses: list[tuple[Sequence[str], int]] = []
    _record(handler, uses)
    _parse(_Parser(handler, missingIncludeIsFatal=True), path)
    for words, line in uses:
        _refuse_unknown(words, line)
    return Kickstart(handler, frozenset(words[0] for words, _ in uses), handler.scripts)


def _record(handler: Any, uses: list[tuple[Sequence[str], int]]) -> None:
    dispatch: Callable[..., Any] = handler.dispatcher

    def dispatcher(words: Sequence[str], lineno: int) -> Any:
        uses.append((words, lineno))
        return dispatch(words, lineno)

    handler.dispatcher = dispatcher


def _refuse_unknown(words: Sequence[str], line: int) -> None:
    name, *rest = words
    if name not in COMMANDS:
        raise FailureError(f"line {line}: this stand-in does not know the command {name}")
    for word in rest:
        option, _, value = word.partition("=")
        if not option.startswith("--"):
            continue
        if option not in COMMANDS[name]:
            raise FailureError(f"line {line}: this stand-in does not know {option} of the command {name}")
        if value and _FIXED.get(option, value) != value:
            raise FailureError(f"line {line}: this stand-in knows no {option} but {_FIXED[option]}")


def _parse(parser: KickstartParser, path: Path) -> Any:
    try:
        parser.readKickstart(str(path))
    except KickstartError as error:
        raise FailureError(" ".join(str(error).split())) from error
    return parser.handler


class _Packages(PackageSection):  # type: ignore[misc]  # pykickstart has no types
    def handleHeader(self, lineno: int, args: list[str]) -> None:  # noqa: N802 - pykickstart's name
        for word in args[1:]:
            option = word.partition("=")[0]
            if option.startswith("--") and option not in PACKAGE_OPTIONS:
                raise FailureError(f"line {lineno}: this stand-in does not know {option} of %packages")
        super().handleHeader(lineno, args)


class _Parser(KickstartParser):  # type: ignore[misc]  # pykickstart has no types
    def setupSections(self) -> None:  # noqa: N802 - pykickstart's name
        self._sections: dict[str, Any] = {}
        for section in (PreScriptSection, PreInstallScriptSection, PostScriptSection):
            self.registerSection(section(self.handler, dataObj=Script))
        self.registerSection(_Packages(self.handler))


class _PreParser(KickstartParser):  # type: ignore[misc]  # pykickstart has no types
    def setupSections(self) -> None:  # noqa: N802 - pykickstart's name
        self._sections: dict[str, Any] = {}
        self.registerSection(PreScriptSection(self.handler, dataObj=Script))
        for name in ("%packages", "%pre-install", "%post", "%onerror", "%traceback", "%addon", "%anaconda"):
            self.registerSection(NullSection(self.handler, sectionOpen=name))

    def handleCommand(self, lineno: int, args: list[str]) -> None:  # noqa: N802 - pykickstart's name
        """Commands are read the second time."""
