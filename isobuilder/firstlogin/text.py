"""How values of strangers are shown, and what is near to a word: for messages only."""

import difflib
from typing import Iterable

# More names than this are no help in a message.
_LISTED_AT_MOST = 20
_SHOWN_AT_MOST = 60


def shown(value: str) -> str:
    """`value` in quotes, in printable ASCII and never long: whatever was typed, a terminal and a log can take it."""
    text = ascii(value)
    return text if len(text) <= _SHOWN_AT_MOST else text[: _SHOWN_AT_MOST - 4] + "..." + text[0]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion to append to a message: what is near, or all that there is when that is little."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return "; known: {}".format(", ".join(names)) if 0 < len(names) <= _LISTED_AT_MOST else ""
