"""Draws splash.png, the picture behind isolinux's menu: `python -m tests.draw_splash menus/splash.png`.

Not run by a build: the picture ships as it is, since two versions of zlib may pack the same picture differently.
"""

import math
import struct
import sys
import zlib
from pathlib import Path

WIDTH, HEIGHT = 640, 480
TOP, BOTTOM = (14, 27, 43), (24, 52, 82)
ACCENT = (31, 111, 178)
ACCENT_ROWS = 3
# A disc that rises out of the lower right corner: its centre, and rings as inner radius, outer radius, strength.
CENTRE = (600, 470)
RINGS = ((24, 40, 0.30), (52, 190, 0.10), (186, 190, 0.16))


def pixels() -> bytes:
    """The picture, three bytes for a pixel, row by row."""
    return b"".join(_row(y) for y in range(HEIGHT))


def png() -> bytes:
    """The picture as a PNG file."""
    picture, stride = pixels(), WIDTH * 3
    rows = [picture[start : start + stride] for start in range(0, len(picture), stride)]
    # Filter 2, the difference to the row above: nearly nothing in a gradient.
    filtered = b"".join(
        b"\2" + bytes((here - above) & 0xFF for here, above in zip(row, previous, strict=True))
        for previous, row in zip([bytes(stride), *rows], rows, strict=False)
    )
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(filtered, 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _row(y: int) -> bytes:
    if y < ACCENT_ROWS:
        return bytes(ACCENT) * WIDTH
    down = y / (HEIGHT - 1)
    ground = [top + (bottom - top) * down for top, bottom in zip(TOP, BOTTOM, strict=True)]
    return b"".join(_pixel(x, y, ground) for x in range(WIDTH))


def _pixel(x: int, y: int, ground: list[float]) -> bytes:
    distance = math.dist((x, y), CENTRE)
    light = sum(strength * _within(distance, inner, outer) for inner, outer, strength in RINGS)
    return bytes(round(base + (accent - base) * light) for base, accent in zip(ground, ACCENT, strict=True))


def _within(distance: float, inner: float, outer: float) -> float:
    """1 inside the ring, 0 outside, and in between over one pixel at its edges."""
    return max(0.0, min(1.0, distance - inner + 0.5, outer - distance + 0.5))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(png())
