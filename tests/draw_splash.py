"""Draws the pictures behind the menus and in GRUB's theme: `python -m tests.draw_splash menus`.

Not run by a build: the pictures ship as they are, since two versions of zlib may pack the same picture differently.
"""

import math
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

TOP, BOTTOM = (14, 27, 43), (24, 52, 82)
ACCENT = (31, 111, 178)
ACCENT_ROWS = 3
# A disc that rises out of the lower right corner of 640x480: its centre, and rings (inner and outer radius, strength).
CENTRE = (600, 470)
RINGS = ((24, 40, 0.30), (52, 190, 0.10), (186, 190, 0.16))


@dataclass(frozen=True)
class Picture:
    """A picture of this size with the rings `scale` times as large; `plain` is one colour all over."""

    width: int
    height: int
    scale: float = 1.0
    plain: tuple[int, int, int] | None = None


PICTURES = {
    "splash.png": Picture(640, 480),
    "background.png": Picture(1024, 768, scale=1.6),
    "select_c.png": Picture(8, 8, plain=ACCENT),
    "heading.png": Picture(8, 16, plain=ACCENT),
}


def pixels(picture: Picture) -> bytes:
    """Three bytes for a pixel, row by row."""
    if picture.plain:
        return bytes(picture.plain) * (picture.width * picture.height)
    return b"".join(_row(picture, y) for y in range(picture.height))


def png(picture: Picture) -> bytes:
    """The picture as a PNG file."""
    data, stride = pixels(picture), picture.width * 3
    rows = [data[start : start + stride] for start in range(0, len(data), stride)]
    # Filter 2, the difference to the row above: nearly nothing in a gradient.
    filtered = b"".join(
        b"\2" + bytes((here - above) & 0xFF for here, above in zip(row, previous, strict=True))
        for previous, row in zip([bytes(stride), *rows], rows, strict=False)
    )
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(filtered, 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, part) for kind, part in parts)


def _row(picture: Picture, y: int) -> bytes:
    if y < ACCENT_ROWS:
        return bytes(ACCENT) * picture.width
    down = y / (picture.height - 1)
    ground = [top + (bottom - top) * down for top, bottom in zip(TOP, BOTTOM, strict=True)]
    return b"".join(_pixel(x, y, ground, picture.scale) for x in range(picture.width))


def _pixel(x: int, y: int, ground: list[float], scale: float) -> bytes:
    distance = math.dist((x, y), [scale * place for place in CENTRE])
    light = sum(strength * _within(distance, scale * inner, scale * outer) for inner, outer, strength in RINGS)
    return bytes(round(base + (accent - base) * light) for base, accent in zip(ground, ACCENT, strict=True))


def _within(distance: float, inner: float, outer: float) -> float:
    """1 inside the ring, 0 outside, and in between over one pixel at its edges."""
    return max(0.0, min(1.0, distance - inner + 0.5, outer - distance + 0.5))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    for name, picture in PICTURES.items():
        (Path(sys.argv[1]) / name).write_bytes(png(picture))
