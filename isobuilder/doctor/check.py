"""One thing that was looked at, and all of them told to people and scripts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Final, Literal

# "care": works, with something to know.
State = Literal["there", "care", "lacks"]
Group = Literal["building", "booting"]

_GROUPS: Final[Mapping[Group, str]] = MappingProxyType({"building": "to build media", "booting": "to boot them"})
# How distributions call what has a program or a file. EL is CentOS, Red Hat Enterprise Linux and their rebuilds.
_DEBIAN, _FEDORA, _RED_HAT = "Debian, Ubuntu", "Fedora", "Fedora, EL"


def packages(debian: str, fedora: str, *, in_el: bool = True) -> Mapping[str, str]:
    """How to get what is in these packages, by distribution."""
    return {_DEBIAN: f"apt install {debian}", _RED_HAT if in_el else _FEDORA: f"dnf install {fedora}"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was `found`, the `commands` that use it, and how to `get` it, by distribution.

    Without it (`lacks`) these commands do not work, or not in the way that its title names.
    """

    group: Group
    title: str
    state: State
    found: str
    commands: tuple[str, ...]
    get: Mapping[str, str] = field(default_factory=dict)


def builds(checks: Sequence[Check]) -> bool:
    """Whether a machine with these `checks` can build media."""
    return not any(check.state == "lacks" for check in checks if check.group == "building")


def lines(checks: Sequence[Check]) -> Iterator[str]:
    """For people."""
    width = max(len(check.title) for check in checks)
    for group, title in _GROUPS.items():
        yield f"{title}:"
        for check in checks:
            if check.group != group:
                continue
            yield f"  {check.state:<5}  {check.title:<{width}}  {check.found}"
            if check.state != "there":
                yield f"{'':9}for {', '.join(check.commands)}"
                yield from (f"{'':9}{where}: {how}" for where, how in check.get.items())
    if builds(checks):
        yield "this machine can build media"


def dump(checks: Sequence[Check]) -> str:
    """For scripts."""
    return json.dumps({"builds": builds(checks), "checks": [asdict(check) for check in checks]}, indent=1)
