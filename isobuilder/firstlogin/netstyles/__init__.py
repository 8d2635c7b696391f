"""How a release keeps the configuration of its network: one module for each way, all with the same two functions.

`configured(effects)` is what the files ask for now; `wanted(layout, machine, effects)` what is to be done for a layout,
in order: commands that stop or prepare, files, commands that start. Undone in reverse it is the way back.
"""

from typing import Mapping, NamedTuple, Sequence, Tuple

from .. import rules


class Configured(NamedTuple):
    """What the files ask for one interface: dhcp, ADDRESS/PREFIX or ""; the bridge it is in; the files that say so."""

    address: str
    bridge: str
    files: Tuple[str, ...]


class PortLayout(NamedTuple):
    """One port as it shall be: `address` is dhcp, off, or ADDRESS/PREFIX, on the `bridge` where there is one.

    `main` is the one with the default route; it alone has a `gateway` ("" for none) and `name_servers` (none: those
    that DHCP gives).
    """

    name: str
    mac: str
    address: str
    main: bool = False
    gateway: str = ""
    name_servers: Tuple[str, ...] = ()
    domain: str = ""
    bridge: str = ""

    @property
    def holder(self) -> str:
        """The interface that has the address."""
        return self.bridge or self.name


class Layout(NamedTuple):
    """The ports that are configured anew, bridges that go away, and the machine's name."""

    ports: Tuple[PortLayout, ...]
    leftover_bridges: Tuple[str, ...]
    hostname: str


def is_up(port: PortLayout, now: Mapping[str, Sequence[str]], default: str) -> bool:
    """Whether a port is as it shall be: `now` are addresses by interface, `default` has the default route."""
    addresses = now.get(port.holder, ())
    if port.address == rules.OFF:
        return not addresses
    if port.main and (port.gateway or port.address == rules.DHCP) and default != port.holder:
        return False
    return bool(addresses) if port.address == rules.DHCP else port.address in addresses
