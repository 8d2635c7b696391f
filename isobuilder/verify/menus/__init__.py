"""The boot menus of a medium: what each loader would read, whether all that it names is there, and whether it is safe.

`check_menus` raises nothing for what stands on the medium: it all becomes findings.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from isobuilder.bootmenu.reading.model import Menu
from isobuilder.verify.description import Description
from isobuilder.verify.finding import Finding
from isobuilder.verify.medium import Medium
from isobuilder.verify.menus import alike, defaults, files, found, labels, lines, sources
from isobuilder.verify.menus.devices import EspFiles
from isobuilder.verify.menus.gathering import Gathered

KINDS = (
    *found.KINDS,
    *lines.KINDS,
    *files.KINDS,
    *labels.KINDS,
    *sources.KINDS,
    *alike.KINDS,
    *defaults.KINDS,
)


@dataclass(frozen=True)
class Menus:
    """What was found in menus. `kickstarts` are those on the medium that are named, each with the places that do."""

    findings: tuple[Finding, ...]
    menus: tuple[Menu, ...]
    kickstarts: Mapping[str, tuple[str, ...]]


def check_menus(medium: Medium, described: Description, esp: EspFiles | None, limits: Mapping[str, int]) -> Menus:
    """Every menu of `medium` and of its EFI image `esp`; `limits` are lengths of kernel lines by a kernel's path."""
    gathered = Gathered()
    menus = found.find_menus(medium, esp, gathered)
    named = sources.Sources(medium, described, gathered)
    for one in menus:
        lines.check_lines(one, limits, gathered)
        files.check_files(one, gathered)
        labels.check_searches(one.menu, medium, gathered)
        named.check(one)
        defaults.check_default(one, medium, gathered)
    alike.check_alike(menus, medium, gathered)
    alike.check_copies(menus, gathered)
    return Menus(
        findings=tuple(gathered.findings()),
        menus=tuple(one.menu for one in menus),
        kickstarts={path: tuple(dict.fromkeys(places)) for path, places in sorted(named.kickstarts.items())},
    )
