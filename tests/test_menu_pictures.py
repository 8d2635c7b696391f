"""The pictures behind the menus are those that their script draws, and such as the loaders show."""

import struct
import zlib

import pytest

from isobuilder.bootmenu.render import ISOLINUX_SPLASH, THEME_PICTURES
from isobuilder.resources import data_folder
from tests import draw_splash
from tests.example_menus import menus


@pytest.mark.parametrize("name", draw_splash.PICTURES)
def test_pictures_are_those_that_their_script_draws(name: str) -> None:
    picture = draw_splash.PICTURES[name]
    data = data_folder("menus").joinpath(name).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks[data[place + 4 : place + 8]] = data[place + 8 : place + 8 + length]
        place += length + 12
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    # What vesamenu.c32 and GRUB show as it is: eight bits for each of three colours.
    assert (width, height, kind) == (picture.width, picture.height, [8, 2, 0, 0, 0])
    rows = zlib.decompress(chunks[b"IDAT"])
    previous, pixels = bytes(3 * width), b""
    for start in range(0, len(rows), 3 * width + 1):
        assert rows[start] == 2
        row = rows[start + 1 : start + 1 + 3 * width]
        previous = bytes((here + above) & 0xFF for here, above in zip(row, previous, strict=True))
        pixels += previous
    assert pixels == draw_splash.pixels(picture)


def test_isolinux_has_a_picture_of_its_own_size() -> None:
    splash = draw_splash.PICTURES["splash.png"]
    assert (splash.width, splash.height) == (640, 480)
    assert f"menu background /{ISOLINUX_SPLASH}" in menus()[0]


def test_all_pictures_are_drawn() -> None:
    assert set(draw_splash.PICTURES) == {ISOLINUX_SPLASH.rpartition("/")[2], *THEME_PICTURES.values()}
