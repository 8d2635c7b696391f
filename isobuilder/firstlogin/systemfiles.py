"""New texts of small configuration files, made of the old ones: what is not ours in them stays as it is."""

import re
from typing import List, Optional, Sequence

# At the end of a line in /etc/hosts that is ours.
MARK = "# cloud-setup"


def hosts(before: str, hostname: str, address: str, old_names: Sequence[str] = ()) -> str:
    """/etc/hosts with this machine's own line; without an `address` (DHCP gives it) there is none.

    The name is taken off all other lines: off those of the loopback above all, since services that look up their own
    name must find the address that others see. So are `old_names`, which were this machine's.
    """
    own = {hostname, hostname.partition(".")[0]}
    own.update(name.lower() for name in old_names if not name.startswith("localhost"))
    lines = []
    for line in before.splitlines():
        if line.rstrip().endswith(MARK):
            continue
        words, sign, comment = line.partition("#")
        names = words.split()
        left = [name for name in names[1:] if name.lower() not in own]
        if len(left) == len(names[1:]):
            lines.append(line)
        elif left:
            lines.append("{} {}".format(names[0], " ".join(left)) + (f" {sign}{comment}" if sign else ""))
    if address:
        lines.append("{} {} {}  {}".format(address, hostname, hostname.partition(".")[0], MARK))
    return "".join(line + "\n" for line in lines)


def time_configuration(before: str, service: str, servers: Sequence[str]) -> Optional[str]:
    """chrony.conf or ntp.conf with these servers and no others; None where it has them already.

    Names of pools stand for many servers, which ntpd of CentOS 6 and 7 does not know about.
    """
    pattern = re.compile(r"[ \t]*(?:server|pool|peer)[ \t]+(\S+)")
    had = [match.group(1) for match in map(pattern.match, before.splitlines()) if match]
    if sorted(had) == sorted(servers):
        return None
    ours = [
        "{} {} iburst".format("pool" if service == "chronyd" and re.search(r"(^|\.)pool\.", name) else "server", name)
        for name in servers
    ]
    lines: List[str] = []
    place: Optional[int] = None
    for line in before.splitlines():
        if pattern.match(line):
            place = len(lines) if place is None else place
        else:
            lines.append(line)
    place = len(lines) if place is None else place
    return "".join(line + "\n" for line in lines[:place] + ours + lines[place:])
