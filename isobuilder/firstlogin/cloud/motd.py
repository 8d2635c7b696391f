"""The message of the day: what this machine is and where its consoles are. No secret is in it."""

from typing import List, Sequence

from .editions import FRONT_END, NODE, Edition

PATH = "/etc/motd"
_BEGIN, _END = "--- cloud-setup ---", "---"
_PARTS = {
    (FRONT_END,): "the front end of a cloud",
    (NODE,): "a node controller of a cloud",
    (FRONT_END, NODE): "a cloud in a box",
}


def what_it_is(parts: Sequence[str]) -> str:
    return _PARTS.get(tuple(parts), "a part of a cloud")


def message(before: str, edition: Edition, parts: Sequence[str], address: str, domain: str) -> str:
    """The message with our lines at its end, once."""
    kept: List[str] = []
    ours = False
    for line in before.splitlines():
        ours = ours or line == _BEGIN
        if not ours:
            kept.append(line)
        ours = ours and line != _END
    lines = [_BEGIN, f"This machine is {what_it_is(parts)} ({edition.title})."]
    if FRONT_END in parts:
        lines += [f"Console: https://{address}/ (account eucalyptus, user administrator)"]
        lines += [f"Services: names in {domain}; or http://{address}:8773/"]
    lines += ["How it is doing: cloud-setup status"]
    return "".join(line + "\n" for line in [*kept, *lines, _END])
