"""Kickstarts and kernel lines without their secrets, for everybody to read.

Passwords, passphrases and their hashes, keys of subscriptions and of radio networks, private keys, and credentials in
addresses give way to a mark; all else stays as it is written. What a script computes or hides, nobody can know.
"""

import re
import shlex
from collections.abc import Iterator
from typing import Final

from isobuilder.kickstart.sections import sections

MARK: Final = "REDACTED"
# Their secret stands alone, without an option's name; `key` was the installation number of 5.
_BARE: Final = frozenset({"rootpw", "sshpw", "key"})
_WITH_VALUE: Final = frozenset({"--username", "--user"})
_NAMES: Final = r"pass(?!algo)|private-key|secret|token|psk|wepkey|wpakey|activation-?key|api-?key|one-?time"
# pykickstart takes options cut short as well: --pa is --password.
_OPTION: Final = re.compile(rf"--?(?:pas?|[\w-]*(?:{_NAMES})[\w-]*)", re.IGNORECASE)
_VALUE: Final = r"""("[^"]*"?|'[^']*'?|[^\s;&|]+)"""
_SPACED: Final = re.compile(rf"(?<!\S)({_OPTION.pattern}\s+){_VALUE}", re.IGNORECASE)
_ASSIGNED: Final = re.compile(rf"""([\w.-]*(?:{_NAMES})[\w.-]*["']?\s*[=:]\s*){_VALUE}""", re.IGNORECASE)
_HASH: Final = re.compile(r"\$(?:1|2[abxy]?|5|6|7|y|gy|md5|sha1|apr1|argon2\w*)\$[^\s'\":,]+|grub\.pbkdf2\.[^\s'\"]+")
_CREDENTIALS: Final = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s'\"]*@", re.IGNORECASE)
# What is told these on the same line, or below it.
_TOLD: Final = re.compile(r"\bchpasswd\b|\bpasswd\b.*--stdin\b|\bcryptsetup\b.*-(?:\s|$)")
_KEY_BEGINS: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
_KEY_ENDS: Final = re.compile(r"-----END [A-Z ]*PRIVATE KEY")


def redacted(text: str) -> str:
    """A kickstart without its secrets, line for line."""
    return "".join(f"{line}\n" for line in _lines(text))


def redacted_words(line: str) -> str:
    """A kernel line, or another, without its secrets."""
    plain = _HASH.sub(MARK, _CREDENTIALS.sub(rf"\1{MARK}@", line))
    return _ASSIGNED.sub(rf"\1{MARK}", plain)


def _lines(text: str) -> Iterator[str]:
    in_key = False
    told_until = ""
    for section, _, line in sections(text):
        in_key = in_key or bool(_KEY_BEGINS.search(line))
        if in_key:
            in_key = not _KEY_ENDS.search(line)
            yield MARK
        elif told_until:
            told_until = "" if line.strip() in {told_until, "%end"} else told_until
            yield MARK if told_until else line
        elif section and section != "%packages":
            until = re.search(r"<<-?\s*['\"\\]?(\w+)", line) if _TOLD.search(line) else None
            told_until = until[1] if until else ""
            yield _of_script(line)
        else:
            yield redacted_words(_command(line))


def _of_script(line: str) -> str:
    if _TOLD.search(line) and not line.lstrip().startswith("#"):
        return f"{MARK}: a command that is told a password"
    return redacted_words(_SPACED.sub(rf"\1{MARK}", line))


def _command(line: str) -> str:
    """A command of the installer; one with a secret is written anew, its words in the quotes that they need."""
    inner = line.strip().lstrip("#").lstrip()
    said = inner.split()
    if inner != line.strip():
        # A comment may keep what was a command once.
        is_command = bool(said) and (said[0] in _BARE or any(_OPTION.match(word) for word in said))
        return f"# {_command(inner)}" if is_command else line
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return f"{said[0]} {MARK}"
    shown = list(_words(words))
    return line if shown == words else shlex.join(shown)


def _words(words: list[str]) -> Iterator[str]:
    is_bare = bool(words) and words[0] in _BARE
    is_secret = is_value = False
    for number, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if is_secret:
            yield MARK
            is_secret = False
        elif is_value or not number:
            yield word
            is_value = False
        elif _OPTION.fullmatch(name):
            yield f"{name}={MARK}" if equals else name
            is_secret = not equals
        elif word.startswith("-"):
            yield word
            is_value = not equals and name in _WITH_VALUE
        else:
            yield MARK if is_bare else word


def secret_spans(text: str) -> Iterator[tuple[int, int, bool]]:
    """Where secrets stand in a text of any kind, from and to, and whether it is certain by its looks that one is there.

    Spans may overlap. Hashes and private keys are certain; what only stands where a secret would may be none.
    """
    for found in re.finditer(r"-----BEGIN [A-Z ]*PRIVATE KEY.*?-----END [A-Z ]*PRIVATE KEY-----", text, re.DOTALL):
        yield *found.span(), True
    for found in _HASH.finditer(text):
        yield *found.span(), True
    for found in _CREDENTIALS.finditer(text):
        yield found.end(1), found.end() - 1, False
    for pattern in (_SPACED, _ASSIGNED):
        for found in pattern.finditer(text):
            yield *_unquoted(found.group(found.re.groups), found.start(found.re.groups)), False
    yield from ((start, end, False) for start, end in _told_spans(text))


def _told_spans(text: str) -> Iterator[tuple[int, int]]:
    """The lines of scripts that tell a command a password, and what rootpw and sshpw are told."""
    place = 0
    told_until = ""
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        if told_until and bare not in {told_until, "%end"}:
            yield place, place + len(line.rstrip("\r\n"))
        elif told_until:
            told_until = ""
        elif _TOLD.search(line) and not bare.startswith("#"):
            until = re.search(r"<<-?\s*['\"\\]?(\w+)", line)
            told_until = until[1] if until else ""
            if not until:
                yield place, place + len(line.rstrip("\r\n"))
        elif bare.lstrip("# ").split(maxsplit=1)[:1] in (["rootpw"], ["sshpw"]):
            words = list(re.finditer(r"\S+", line))[1:]
            yield from ((place + w.start(), place + w.end()) for w in words if w[0][0] not in "-#")
        place += len(line)


def _unquoted(value: str, start: int) -> tuple[int, int]:
    """Where a value stands without its quotes."""
    quoted = value[:1] in {'"', "'"}
    closed = quoted and len(value) > 1 and value[-1] == value[0]
    return start + quoted, start + len(value) - closed
