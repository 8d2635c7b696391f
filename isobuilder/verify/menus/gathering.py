"""Findings of menus: what is said of several places in the same words is one finding with all of them."""

from collections.abc import Iterator

from isobuilder.verify.finding import Finding, Kind

_MOST_SHOWN = 4


class Gathered:
    """Findings in the order in which they were made."""

    def __init__(self) -> None:
        self._places: dict[tuple[Kind, str], dict[str, None]] = {}

    def add(self, kind: Kind, place: object, message: str) -> None:
        """One more; the same at another place joins it."""
        self._places.setdefault((kind, message), {})[str(place)] = None

    def findings(self) -> Iterator[Finding]:
        """Each at its first place, with the others in the message."""
        for (kind, message), (first, *others) in self._places.items():
            shown = others[:_MOST_SHOWN]
            if len(others) > len(shown):
                shown.append(f"{len(others) - len(shown)} more")
            yield kind.at(first, f"{message}; also at {'; '.join(shown)}" if shown else message)
