"""The words of GRUB's commands, parted into options, their values and the rest.

Facts: GRUB 2.06, grub-core/lib/arg.c and commands/search_wrap.c.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal

Key = Literal["label", "uuid", "file"]
_KINDS: Final[dict[str, Key]] = {
    "-l": "label",
    "--label": "label",
    "-u": "uuid",
    "--fs-uuid": "uuid",
    "-f": "file",
    "--file": "file",
}
_OTHER_NAMES: Final[dict[str, Key]] = {"search.fs_label": "label", "search.fs_uuid": "uuid", "search.file": "file"}
_VALUED: Final = frozenset({"--set", "-s", "--hint", "-h"})


def options_of(words: Sequence[str], valued: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """Options with their values, the last of each, and the words that are none; `valued` are those that take a word."""
    options: dict[str, str] = {}
    rest: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, equals, value = word.partition("=")
        if not equals and name in valued and waiting and not waiting[0].startswith("-"):
            value = waiting.pop(0)
        options[name] = value
    return options, rest


def search_words(name: str, words: Sequence[str]) -> tuple[Key | None, str | None, str | None]:
    """What `search` looks by, what for, and the variable that gets the device (None: it is shown only)."""
    if name in _OTHER_NAMES:
        plain = [word for word in words if not word.startswith("-")]
        return _OTHER_NAMES[name], plain[0] if plain else None, plain[1] if len(plain) > 1 else None
    options, rest = options_of(list(_single(words)), _VALUED)
    kinds = [option for option in options if option in _KINDS]
    kind = _KINDS[kinds[-1]] if kinds else None
    value = next((options[option] for option in ("--set", "-s") if option in options), None)
    variable = None if value is None else value or "root"
    key = rest[0] if rest else next((options[option] for option in kinds if options[option]), None)
    if key is None and value:
        # A lone word behind --set is what is looked for.
        return kind, value, "root"
    return kind, key, variable


def _single(words: Sequence[str]) -> Sequence[str]:
    """The words with short options that were written together taken apart."""
    return [
        part
        for word in words
        for part in ([f"-{letter}" for letter in word[1:]] if re.fullmatch(r"-[a-z]{2,}", word) else [word])
    ]
