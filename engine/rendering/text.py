"""Small words on images: labels, captions, legends.

Knows arrays and strings. Letters come from the typeface inside Pillow, so that every machine draws the same ones.
"""

from bisect import bisect_right
from functools import lru_cache
from math import ceil

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.rendering.colours import DARK, LIGHT, RGB
from engine.types import UInt8Array


def draw_text(
    image: UInt8Array, text: str, x: int, y: int, size: int, ink: RGB = LIGHT, halo: RGB | None = DARK
) -> None:
    """Write `text` into `image`, uint8 (H, W, 3), its top left corner at (x, y); what sticks out is cut off.

    size: height of the letters in pixels. halo: colour of the outline round them, None for no outline.
    """
    letters, outline = _coverage(text, size)
    if halo is not None:
        _blend(image, outline, x, y, halo)
    _blend(image, letters, x, y, ink)


def text_size(text: str, size: int) -> tuple[int, int]:
    """(width, height) in pixels that `draw_text` takes, outline included."""
    left, right = _extent(text, size)
    return max(1, right - left) + 2 * _stroke(size), size + size // 4 + 2 * _stroke(size)


def shorten(text: str, size: int, width: int) -> str:
    """`text`, or its beginning with an ellipsis where it is wider than `width` pixels; "" where nothing fits."""
    if text_size(text, size)[0] <= width:
        return text
    fitting = bisect_right(range(1, len(text)), width, key=lambda end: text_size(text[:end] + "…", size)[0])
    return text[:fitting].rstrip() + "…" if fitting else ""


def _stroke(size: int) -> int:
    return max(1, size // 8)


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=float(size))


def _extent(text: str, size: int) -> tuple[int, int]:
    """Where the ink of a line begins and ends, from its origin."""
    left, _, right, _ = _font(size).getbbox(text)
    return int(left), ceil(right)


@lru_cache(maxsize=2048)
def _coverage(text: str, size: int) -> tuple[UInt8Array, UInt8Array]:
    """Coverage of the letters and of the letters with their outline, both uint8 (h, w) with one common origin."""
    stroke = _stroke(size)
    origin = (stroke - _extent(text, size)[0], stroke)
    layers = []
    for width in (0, stroke):
        layer = Image.new("L", text_size(text, size))
        ImageDraw.Draw(layer).text(origin, text, fill=255, font=_font(size), stroke_width=width)
        layers.append(np.asarray(layer))
    return layers[0], layers[1]


def _blend(image: UInt8Array, coverage: UInt8Array, x: int, y: int, colour: RGB) -> None:
    top, left = max(0, y), max(0, x)
    bottom, right = min(image.shape[0], y + coverage.shape[0]), min(image.shape[1], x + coverage.shape[1])
    if top >= bottom or left >= right:
        return
    part = coverage[top - y : bottom - y, left - x : right - x, None].astype(np.int32)
    region = image[top:bottom, left:right].astype(np.int32)
    mixed = (region * (255 - part) + np.array(colour, np.int32) * part + 127) // 255
    image[top:bottom, left:right] = mixed.astype(np.uint8)
