"""What pykickstart lets pass and an installer, or who boots the medium, would not.

pykickstart's handlers know sections that older installers do not, and take passwords and whole-machine wipes without a
word.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from pykickstart.constants import CLEARPART_TYPE_ALL, CLEARPART_TYPE_LINUX

from isobuilder.kickstart.readback import Mistake
from isobuilder.kickstart.sections import sections
from isobuilder.releases import KickstartFacts


def refused(text: str, facts: KickstartFacts) -> Iterator[Mistake]:
    """What the release's installer would refuse: the line's number, if known, and why."""
    yield from _unknown_sections(text, facts)
    yield from _unknown_environments(text, facts)
    yield from _refused_lines(text, facts)


def unsafe(text: str, plain_passwords: Iterable[int]) -> Iterator[Mistake]:
    """What nobody should boot; `plain_passwords` are the lines of commands that give one (`gives_plain_password`)."""
    yield from _disguised_words(text)
    for number in plain_passwords:
        yield number, "a plain password would be readable on the medium; use --iscrypted and a hash"


def gives_plain_password(command: Any) -> bool:
    """Whether a command or its data, as pykickstart read one line of it, has a password that everybody could read."""
    password = getattr(command, "password", "")
    # A crypt hash begins with "$", GRUB's with "grub."; "!" and "*" lock an account.
    return bool(password) and not (command.isCrypted and re.match(r"[$!*]|grub\.", password))


def notes(handler: Any) -> Iterator[str]:
    """What is allowed, and should be known."""
    for command in network_sources(handler):
        yield f"installs from the network too ({command})"
    if _wipes_everything(handler):
        yield "clearpart erases every disk of the machine that it finds; name the disks with --drives"


def _disguised_words(text: str) -> Iterator[Mistake]:
    """First words that only show by a shell's rules: whoever else reads this text takes them as they stand."""
    for section, number, line in sections(text):
        if section in ("", "%packages") and line.strip():
            try:
                words = shlex.split(line, comments=True)
            except ValueError:
                continue
            hidden = words and words[0] != line.split()[0] and (not section or words[0].startswith("%"))
            if hidden:
                yield number, "the first word must stand as it is, without quotes or backslashes"


def _unknown_sections(text: str, facts: KickstartFacts) -> Iterator[Mistake]:
    known = {*facts.sections, "%include", "%end"}
    for section, number, line in sections(text):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if not section and word.startswith("%") and word not in known:
            yield number, f"the installer of this release has no section {word}; it knows {' '.join(facts.sections)}"


def _unknown_environments(text: str, facts: KickstartFacts) -> Iterator[Mistake]:
    for section, number, line in sections(text):
        if section == "%packages" and re.match(r"\s*@\s*\^", line) and not facts.environments:
            yield number, "the installer of this release knows groups, and no environments (@^)"


def _refused_lines(text: str, facts: KickstartFacts) -> Iterator[Mistake]:
    for section, number, line in sections(text):
        for refused in facts.refused:
            if not section and re.match(refused.line, line):
                yield number, refused.why


def network_sources(handler: Any) -> Iterator[str]:
    """The commands by which the installer takes packages from elsewhere than the medium."""
    for name in ("url", "nfs", "ostreesetup", "ostreecontainer", "liveimg"):
        command = getattr(handler, name, None)
        if getattr(command, "seen", False) and not (getattr(command, "url", None) or "").startswith("file:"):
            yield name
    for repository in getattr(getattr(handler, "repo", None), "repoList", ()):
        address = repository.baseurl or repository.mirrorlist or getattr(repository, "metalink", "")
        if address and not address.startswith("file:"):
            yield f"repo {repository.name}"


def _wipes_everything(handler: Any) -> bool:
    clear, ignore = getattr(handler, "clearpart", None), getattr(handler, "ignoredisk", None)
    wipes = getattr(clear, "type", None) in (CLEARPART_TYPE_ALL, CLEARPART_TYPE_LINUX)
    return wipes and not (getattr(clear, "drives", ()) or getattr(ignore, "onlyuse", ()))
