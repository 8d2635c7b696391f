"""The treemap of a medium as boxes with colours and labels: in percent of its width and height, for any screen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import filesize

from isobuilder.seeing.treemap import Box, squarified

# The drawing's own units; the page stretches it to what there is.
WIDTH, HEIGHT = 1000.0, 600.0
# Colours of the page, besides the last, which is for all that is rare.
COLOURS = 7
# What has less than this part of the whole is drawn together with the like.
_SMALLEST = 0.0006
_HEADING = 24.0
_EDGE = 2.0
# What a letter of a label takes, in pixels, and how large the map is at least on a desk and in a hand.
_LETTER, _LINE = 6.2, 16.0
# A label that is cut to less tells nothing.
_SHORTEST = 6
_ON_DESK, _IN_HAND = (980.0, 560.0), (330.0, 460.0)

# Repository, roles in words ("" for files that are no packages), and names with their bytes.
Cells = Sequence[tuple[str, str, Sequence[tuple[str, int]]]]


@dataclass(frozen=True)
class Tile:
    """A box of the map, in percent. `fits` says where its label can be read: "wide" screens alone, "all", or ""."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    label: str
    said: str
    fits: str


@dataclass(frozen=True)
class Patch:
    """A colour of the map: the packages of one repository for the same roles, `colour` the number of it."""

    repository: str
    roles: str
    packages: int
    size: int
    colour: int


@dataclass(frozen=True)
class Map:
    """The boxes in the order in which they are drawn, and what their colours mean."""

    tiles: tuple[Tile, ...]
    patches: tuple[Patch, ...]


def draw_map(cells: Cells) -> Map:
    """The map of `cells`, grouped by repository."""
    colours = _colours(cells)
    by_repository: dict[str, list[tuple[str, Sequence[tuple[str, int]]]]] = {}
    for repository, roles, things in cells:
        by_repository.setdefault(repository, []).append((roles, things))
    sums = {name: sum(size for _, things in each for _, size in things) for name, each in by_repository.items()}
    whole = sum(sums.values())
    tiles: list[Tile] = []
    for (repository, each), box in zip(
        by_repository.items(), squarified(list(sums.values()), Box(0, 0, WIDTH, HEIGHT)), strict=True
    ):
        said = f"{repository}: {filesize.decimal(sums[repository])}"
        tiles.append(_tile(box, "repository", repository, said))
        room = box.inside(edge=_EDGE, above=_HEADING if box.height > 2 * _HEADING else _EDGE)
        for (roles, things), inner in zip(
            each, squarified([sum(size for _, size in things) for _, things in each], room), strict=True
        ):
            kind = f"colour-{colours[repository, roles]}"
            shown = _joined(things, whole)
            for (name, size), leaf in zip(shown, squarified([size for _, size in shown], inner), strict=True):
                tiles.append(_tile(leaf, kind, name, _said(name, size, repository, roles)))
    patches = [
        Patch(repository, roles, len(things), sum(size for _, size in things), colours[repository, roles])
        for repository, roles, things in cells
    ]
    return Map(tuple(tile for tile in tiles if tile.width > 0 and tile.height > 0), tuple(patches))


def _colours(cells: Cells) -> Mapping[tuple[str, str], int]:
    """The same roles have the same colour in every repository; those with most bytes have one of their own."""
    sizes: Counter[str] = Counter()
    for _, roles, things in cells:
        if roles:
            sizes[roles] += sum(size for _, size in things)
    ranked = {roles: min(place, COLOURS) for place, (roles, _) in enumerate(sizes.most_common(), start=1)}
    return {(repository, roles): ranked.get(roles, 0) for repository, roles, _ in cells}


def _joined(things: Sequence[tuple[str, int]], whole: int) -> list[tuple[str, int]]:
    """The things that can be seen, and all others in one."""
    large = [thing for thing in things if thing[1] >= whole * _SMALLEST]
    small = [size for _, size in things if size < whole * _SMALLEST]
    return [*large, *([(f"{len(small)} smaller", sum(small))] if small else [])]


def _said(name: str, size: int, repository: str, roles: str) -> str:
    return f"{name}: {filesize.decimal(size)}, {repository}{f', {roles}' if roles else ''}"


def _tile(box: Box, kind: str, label: str, said: str) -> Tile:
    x, y, width, height = (
        round(part * 100 / whole, 3)
        for part, whole in zip((box.x, box.y, box.width, box.height), (WIDTH, HEIGHT, WIDTH, HEIGHT), strict=True)
    )
    if len(label) <= _letters(width, height, _IN_HAND):
        return Tile(x, y, width, height, kind, label, said, "all")
    room = _letters(width, height, _ON_DESK)
    cut = label if len(label) <= room else f"{label[: room - 1]}\N{HORIZONTAL ELLIPSIS}"
    return Tile(x, y, width, height, kind, cut, said, "wide" if cut == label or room >= _SHORTEST else "")


def _letters(width: float, height: float, screen: tuple[float, float]) -> int:
    """How many letters have room in so many percent of a screen."""
    return int((width * screen[0] / 100 - 8) / _LETTER) if height * screen[1] / 100 >= _LINE else 0
