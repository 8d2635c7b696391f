"""A treemap: boxes with areas as their weights, in a rectangle, by the squarified layout.

Bruls, Huizing and van Wijk, "Squarified Treemaps", 2000. The library squarify is no longer than this, and takes weights
that are sorted already: it is not worth depending on.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A place in a drawing, from its upper left corner on."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, *, edge: float, above: float) -> "Box":
        """What is left of it inside an `edge` on three sides and a heading `above`; never less than nothing."""
        width, height = max(self.width - 2 * edge, 0.0), max(self.height - edge - above, 0.0)
        return Box(self.x + edge, self.y + above, width, height)


def squarified(weights: Sequence[float], room: Box) -> list[Box]:
    """A box in `room` for each weight, in the order of the weights; the largest first, for boxes that are near squares.

    Together they fill the room; a weight of nothing gets no width.
    """
    total = sum(weights)
    boxes = [Box(room.x, room.y, 0.0, 0.0)] * len(weights)
    if total <= 0 or room.width <= 0 or room.height <= 0:
        return boxes
    scale = room.width * room.height / total
    areas = sorted(((weight * scale, place) for place, weight in enumerate(weights) if weight > 0), reverse=True)
    begin = 0
    while begin < len(areas):
        side = min(room.width, room.height)
        end = begin + 1
        while end < len(areas) and _worst(areas[begin : end + 1], side) <= _worst(areas[begin:end], side):
            end += 1
        room = _lay_row(areas[begin:end], room, boxes)
        begin = end
    return boxes


def _worst(row: Sequence[tuple[float, int]], side: float) -> float:
    """How long the longest box of a row along `side` would be, for its width."""
    total = sum(area for area, _ in row)
    return max(side * side * row[0][0] / total**2, total**2 / (side * side * row[-1][0]))


def _lay_row(row: Sequence[tuple[float, int]], room: Box, boxes: list[Box]) -> Box:
    """Lay a row along the shorter side of `room`; what is left of that."""
    total = sum(area for area, _ in row)
    is_column = room.width >= room.height
    side, across = (room.height, room.width) if is_column else (room.width, room.height)
    # What a far larger neighbour left has lost digits: a row takes what is there, and no more.
    depth = min(total / side, across)
    done = 0.0
    for area, place in row:
        length = side * area / total
        boxes[place] = (
            Box(room.x, room.y + done, depth, length) if is_column else Box(room.x + done, room.y, length, depth)
        )
        done += length
    if is_column:
        return Box(room.x + depth, room.y, max(room.width - depth, 0.0), room.height)
    return Box(room.x, room.y + depth, room.width, max(room.height - depth, 0.0))
