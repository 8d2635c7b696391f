"""Who may log in where: a node lets its front end in, and a front end gets itself let in."""

import re
from typing import Iterator, List, Optional

from ..effects import Effects, Result
from ..model import Answers, File, Problem
from . import rules

AUTHORIZED = "/root/.ssh/authorized_keys"
KNOWN_HOSTS = "/root/.ssh/known_hosts"
PUBLIC_KEY = "/root/.ssh/id_rsa.pub"
_MARK = "cloud-setup:front-end"
_ASKPASS = "/var/lib/cloud-setup/askpass"
# ssh asks it for the password; the first line on ssh's own input is that, and the rest is for the other side.
_ASKPASS_PROGRAM = """\
#!/bin/sh
IFS= read -r line
printf '%s\\n' "$line"
"""
_OPTIONS = ("-o", "ConnectTimeout=10", "-o", "StrictHostKeyChecking=yes")
_LET_IN = "umask 077 && mkdir -p .ssh && cat >>.ssh/authorized_keys"


def fits(answers: Answers) -> Iterator[Problem]:
    """A key without an address to which it is bound."""
    key = answers.get("front-end-key", rules.NONE)
    if key != rules.NONE and answers.get("front-end", rules.NONE) == rules.NONE:
        yield Problem("front-end", "There is a key of a front end and no address", "Give its address as well.")


def line_for(address: str, key: str) -> str:
    """The line that lets a front end in, from its own address alone."""
    return f'from="{address}",no-agent-forwarding,no-port-forwarding,no-X11-forwarding {key} {_MARK}'


def wanted(answers: Answers, effects: Effects) -> List[object]:
    """On a node: the front end may log in, or not any more."""
    before = effects.read(AUTHORIZED) or ""
    lines = [line for line in before.splitlines() if not line.endswith(" " + _MARK)]
    address, key = answers.get("front-end", rules.NONE), answers.get("front-end-key", rules.NONE)
    if rules.NONE not in (address, key):
        lines.append(line_for(address, key))
    text = "".join(line + "\n" for line in lines)
    return [File(AUTHORIZED, text, 0o600)] if text != before else []


def forget(address: str, effects: Effects) -> None:
    """Take what was known of a machine off the list: it may have been installed anew since."""
    if effects.exists(KNOWN_HOSTS):
        effects.run("ssh-keygen", "-R", address, timeout=30)


def meet(address: str, effects: Effects) -> bool:
    """Put a machine's host keys on the list, as it shows them now; whether it showed any."""
    said = effects.run("ssh-keyscan", "-T", "5", address, timeout=60).output
    pattern = re.compile(re.escape(address) + r" [a-z0-9@.-]+ [A-Za-z0-9+/=]+\Z")
    lines = [line for line in said.splitlines() if pattern.match(line)]
    if lines:
        effects.append(KNOWN_HOSTS, "".join(line + "\n" for line in lines).encode("ascii"))
    return bool(lines)


def login(address: str, effects: Effects) -> Result:
    """What comes of a login with our key and without anybody to ask."""
    return effects.run("ssh", "-o", "BatchMode=yes", *_OPTIONS, f"root@{address}", "true", timeout=60)


def let_in(address: str, own: Optional[str], password: str, effects: Effects) -> Result:
    """Put our key where a machine looks for it, once with its password. That is on ssh's standard input alone."""
    key = " ".join((effects.read(PUBLIC_KEY) or "").split()[:2])
    line = line_for(own, key) if own else f"{key} {_MARK}"
    effects.write(_ASKPASS, _ASKPASS_PROGRAM.encode("ascii"), 0o700)
    try:
        environment = (f"SSH_ASKPASS={effects.path(_ASKPASS)}", "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0")
        options = (*_OPTIONS, "-o", "NumberOfPasswordPrompts=1", "-o", "PubkeyAuthentication=no")
        command = ("env", *environment, "ssh", *options, f"root@{address}", _LET_IN)
        return effects.run(*command, given=f"{password}\n{line}\n", timeout=60)
    finally:
        effects.remove(_ASKPASS)
