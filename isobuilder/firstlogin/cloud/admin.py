"""Commands that take the keys of the cloud's administrator: how they are run, and what makes them be there."""

from typing import Tuple

from ..model import Check, Command, File

HELPER = "/usr/sbin/cloud-admin"
# The user of the account eucalyptus that people are, and the file of its keys.
USER = "administrator"
CREDENTIALS = "/root/.euca/cloud-setup.ini"
REGION_FILE = "/root/.euca/global.ini"
# The region of the administration tools that is this machine (eucalyptus-admin-tools, conf.d/localhost.ini).
LOCAL = ("--region", "localhost")

# The keys stay in the shell that asked for them: they are in no argument, in no file, and not in our memory.
_HELPER = """\
#!/bin/sh
# Written by cloud-setup. Runs a command with the keys of the cloud's own administrator: cloud-admin COMMAND...
# With --into FILE what the command says goes into FILE, which only root may read, and nowhere else.
set -eu
umask 077
into=
if [ "${1:-}" = --into ]; then
    into=$2
    shift 2
fi
keys=$(clcadmin-assume-system-credentials)
eval "$keys"
[ -n "$into" ] || exec "$@"
mkdir -p "$(dirname "$into")"
"$@" >"$into.new"
mv "$into.new" "$into"
"""


def helper() -> File:
    return File(HELPER, _HELPER, 0o700)


def as_admin(*argv: str) -> Tuple[str, ...]:
    return ("cloud-admin", *argv)


def property_set(name: str, value: str, why: str, patience: int = 300) -> Command:
    """A property of the cloud, set unless it is so. It may come to be known only after a service has started."""
    pattern = r"^{}\s*=\s*{}\s*$".format(name.replace(".", r"\."), value.replace(".", r"\."))
    return Command(
        as_admin("euctl", f"{name}={value}"),
        why,
        unless=Check(as_admin("euctl", name), pattern),
        patience=patience,
        expect=pattern,
    )
