"""Every kind of finding that there is, by its id: what docs/findings.md lists, and what SARIF calls rules."""

from types import MappingProxyType
from typing import Final

from isobuilder.verify import (
    carried,
    damage,
    description,
    examine,
    firmware,
    kickstarts,
    medium,
    menus,
    repositories,
    resolving,
    sums,
    volume,
)

ROOMS: Final = (
    examine,
    damage,
    medium,
    volume,
    firmware,
    menus,
    description,
    repositories,
    kickstarts,
    resolving,
    carried,
    sums,
)
CATALOGUE: Final = MappingProxyType({kind.id: kind for room in ROOMS for kind in room.KINDS})
