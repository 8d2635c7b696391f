"""The kickstart of the machine image, as far as an image needs it: packages, settings and scripts.

It is a rendered one, as it lies on the medium; no installer reads it. What is about disks of a machine, or asks for
accounts and keys, has no place in an image; what is not known here is refused rather than passed over.
"""

import re
import shlex
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from ..exits import EXIT_ANSWERS, SetupError

# Nothing is done about these: the image says itself what it is written to, how it gets an address, and how to log in.
_PASSED_OVER = (
    *("cdrom", "install", "text", "skipx", "bootloader", "network", "rootpw", "reboot", "poweroff", "shutdown", "halt"),
    *("authconfig", "auth", "authselect", "eula", "firstboot", "logging"),
)
_SCRIPT = "%post"
_END = "%end"


class Script(NamedTuple):
    """A script for after the installation. `inside`: it runs in the image. `stops`: when it fails, no image is made."""

    line: int
    inside: bool
    interpreter: str
    stops: bool
    text: str


class ImageKickstart(NamedTuple):
    """What the image is made of. `packages` are words of yum's: names, globs, and groups as @group."""

    packages: Tuple[str, ...]
    excluded: Tuple[str, ...]
    language: str
    keyboard: str
    timezone: str
    selinux: str
    firewall: Tuple[str, ...]
    enabled: Tuple[str, ...]
    disabled: Tuple[str, ...]
    scripts: Tuple[Script, ...]


class _Reader:
    """One reading: what was found so far, and what cannot be."""

    def __init__(self) -> None:
        self.mistakes: List[str] = []
        self.packages: List[str] = []
        self.excluded: List[str] = []
        self.scripts: List[Script] = []
        self.values: Dict[str, str] = {"lang": "", "keyboard": "", "timezone": "", "selinux": ""}
        self.firewall: Tuple[str, ...] = ()
        self.services: Dict[str, Tuple[str, ...]] = {"enabled": (), "disabled": ()}
        self._commands: Dict[str, Callable[[List[str]], None]] = {
            "lang": lambda words: self._value("lang", words),
            "keyboard": self._keyboard,
            "timezone": lambda words: self._value("timezone", words),
            "selinux": self._selinux,
            "firewall": self._firewall,
            "services": self._services,
        }

    def read(self, text: str) -> None:
        lines = iter(enumerate(text.splitlines(), start=1))
        for number, line in lines:
            stripped = line.strip()
            if not stripped or stripped.startswith("#"):
                continue
            if not stripped.startswith("%"):
                self._command(number, stripped)
                continue
            header = _words(stripped)
            body, ended = _section(lines)
            if not ended:
                self.mistakes.append(f"line {number}: {header[0]} has no {_END}: the file may have been cut off")
            if header[0] == "%packages":
                self._packages(number, header[1:], body)
            elif header[0] == _SCRIPT:
                self._script(number, header[1:], body)
            else:
                self.mistakes.append(f"line {number}: {header[0]} has no place in an image")

    def _command(self, number: int, line: str) -> None:
        words = _words(line)
        if not words or words[0] in _PASSED_OVER:
            return
        handler = self._commands.get(words[0])
        if handler is None:
            self.mistakes.append(f"line {number}: {words[0]} is not known to who makes images")
            return
        try:
            handler(words[1:])
        except ValueError as error:
            self.mistakes.append(f"line {number}: {error}")

    def _value(self, name: str, words: Sequence[str]) -> None:
        plain = [word for word in words if not word.startswith("--")]
        if len(plain) != 1 or not re.match(r"[A-Za-z0-9._/+@-]{1,100}\Z", plain[0]):
            raise ValueError(f"{name} takes one word")
        self.values[name] = plain[0]

    def _keyboard(self, words: Sequence[str]) -> None:
        named = [word.partition("=")[2].strip("'\"") for word in words if word.startswith("--vckeymap=")]
        self._value("keyboard", named or words)

    def _selinux(self, words: Sequence[str]) -> None:
        if len(words) != 1 or words[0] not in ("--enforcing", "--permissive", "--disabled"):
            raise ValueError("selinux takes --enforcing, --permissive or --disabled")
        self.values["selinux"] = words[0][2:]

    def _firewall(self, words: Sequence[str]) -> None:
        known = [word for word in words if re.match(r"--(enabled|disabled|(service|port)=[a-z0-9:,-]+)\Z", word)]
        if known != list(words):
            raise ValueError("firewall takes --enabled, --disabled, --service= and --port=")
        self.firewall = tuple(words)

    def _services(self, words: Sequence[str]) -> None:
        for word in words:
            name, _, value = word[2:].partition("=")
            if name not in self.services or not re.match(r"[A-Za-z0-9@._,-]+\Z", value):
                raise ValueError("services takes --enabled= and --disabled= with names")
            self.services[name] = tuple(one for one in value.split(",") if one)

    def _packages(self, number: int, options: Sequence[str], body: Sequence[Tuple[int, str]]) -> None:
        if options:
            self.mistakes.append(f"line {number}: options of %packages are not known to who makes images")
        for line, text in body:
            word = text.partition("#")[0].strip()
            if not word:
                continue
            target = self.excluded if word.startswith("-") else self.packages
            if not re.match(r"[-@^A-Za-z0-9._+:*?/]+\Z", word) or word.startswith("-@"):
                self.mistakes.append(f"line {line}: {word} is no package or group that yum can be told of")
                continue
            target.append(word.lstrip("-"))

    def _script(self, number: int, options: Sequence[str], body: Sequence[Tuple[int, str]]) -> None:
        inside, stops, interpreter = True, False, "/bin/sh"
        rest = list(options)
        while rest:
            name, sign, value = rest.pop(0).partition("=")
            if name in ("--interpreter", "--log", "--logfile"):
                value = value if sign else (rest.pop(0) if rest else "")
                interpreter = value if name == "--interpreter" else interpreter
            elif name == "--nochroot":
                inside = False
            elif name == "--erroronfail":
                stops = True
            else:
                self.mistakes.append(f"line {number}: %post {name} is not known to who makes images")
        text = "".join(line + "\n" for _, line in body)
        self.scripts.append(Script(number, inside, interpreter, stops, text))


def _words(line: str) -> List[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return line.split()


def _section(lines: Iterator[Tuple[int, str]]) -> Tuple[List[Tuple[int, str]], bool]:
    """The lines of a section, and whether it has an end."""
    body: List[Tuple[int, str]] = []
    for number, line in lines:
        if line.strip() == _END:
            return body, True
        body.append((number, line))
    return body, False


def read(text: str, path: str) -> ImageKickstart:
    """The kickstart at `path`, whose text is given. Raises SetupError with all that an image cannot be made by."""
    reader = _Reader()
    reader.read(text)
    if not reader.packages:
        reader.mistakes.append("it asks for no packages")
    if reader.mistakes:
        said = [f"{path}: {mistake}" for mistake in reader.mistakes]
        raise SetupError(EXIT_ANSWERS, "No image can be made by the kickstart on the medium.", *said)
    return ImageKickstart(
        # Installers add these by themselves.
        packages=tuple(dict.fromkeys(["@core", "kernel", *reader.packages])),
        excluded=tuple(reader.excluded),
        language=reader.values["lang"],
        keyboard=reader.values["keyboard"],
        timezone=reader.values["timezone"],
        selinux=reader.values["selinux"],
        firewall=reader.firewall,
        enabled=reader.services["enabled"],
        disabled=reader.services["disabled"],
        scripts=tuple(reader.scripts),
    )
