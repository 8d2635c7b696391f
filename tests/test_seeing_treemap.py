"""The layout of treemaps, by what any of them must be."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from isobuilder.seeing.mapdrawing import COLOURS, draw_map
from isobuilder.seeing.treemap import Box, squarified

ROOM = Box(10.0, 20.0, 600.0, 400.0)
weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=60)


@given(weights)
@example([1, 192592419])
def test_boxes_have_their_share_and_lie_in_the_room_side_by_side(weights: list[int]) -> None:
    boxes = squarified(weights, ROOM)
    total = sum(weights)
    for weight, box in zip(weights, boxes, strict=True):
        share = weight / total if total else 0
        assert box.width * box.height == pytest.approx(share * ROOM.width * ROOM.height, rel=1e-6, abs=1e-6)
        assert box.x >= ROOM.x - 1e-6
        assert box.y >= ROOM.y - 1e-6
        assert box.x + box.width <= ROOM.x + ROOM.width + 1e-6
        assert box.y + box.height <= ROOM.y + ROOM.height + 1e-6
    for one, other in itertools.combinations([box for box in boxes if box.width and box.height], 2):
        across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
        down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
        assert min(across, down) < 1e-6


def test_the_example_of_the_paper() -> None:
    """Figure 4 of Bruls, Huizing and van Wijk: 6, 6, 4, 3, 2, 2, 1 in a room of 6 by 4."""
    boxes = squarified([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    found = [(round(b.x, 2), round(b.y, 2), round(b.width, 2), round(b.height, 2)) for b in boxes]
    assert {found[0], found[1]} == {(0, 0, 3, 2), (0, 2, 3, 2)}
    assert {found[2], found[3]} == {(3, 0, 1.71, 2.33), (4.71, 0, 1.29, 2.33)}
    assert max(max(b.width / b.height, b.height / b.width) for b in boxes) < 3


def test_colours_go_to_roles_and_the_last_is_for_all_that_are_rare() -> None:
    cells = [("baseos", f"role {number}", [("p", 1000 - 10 * number)]) for number in range(COLOURS + 3)]
    drawn = draw_map([*cells, ("extras", "role 2", [("q", 5)]), ("other files", "", [("install.img", 9)])])
    colours = {(patch.repository, patch.roles): patch.colour for patch in drawn.patches}
    assert colours["baseos", "role 2"] == colours["extras", "role 2"] == 3
    assert colours["other files", ""] == 0
    ranked = [colours["baseos", f"role {number}"] for number in range(COLOURS + 3)]
    assert ranked == [*range(1, COLOURS + 1), *[COLOURS] * 3]


def test_small_things_are_drawn_together_and_nothing_is_lost() -> None:
    things = [("large", 10**6), *((f"small-{number}", 7) for number in range(500))]
    drawn = draw_map([("baseos", "every role", things)])
    said = [tile.said for tile in drawn.tiles]
    assert said == [
        "baseos: 1.0 MB",
        "large: 1.0 MB, baseos, every role",
        "500 smaller: 3.5 kB, baseos, every role",
    ]
    assert (drawn.patches[0].packages, drawn.patches[0].size) == (501, 10**6 + 3500)


def test_an_empty_medium_has_no_boxes() -> None:
    assert draw_map([]).tiles == ()
    assert draw_map([("baseos", "no role", [("nothing", 0)])]).tiles == ()
