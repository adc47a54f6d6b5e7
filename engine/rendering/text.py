"""Small words on images: labels, captions, legends.

Knows arrays and strings. Letters come from the typeface inside Pillow, so that every machine draws the same ones.
"""

from functools import lru_cache

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
    height, width = _coverage(text, size)[0].shape
    return width, height


def shorten(text: str, size: int, width: int) -> str:
    """`text`, or its beginning with an ellipsis where it is wider than `width` pixels; "" where nothing fits."""
    if text_size(text, size)[0] <= width:
        return text
    for end in range(len(text) - 1, 0, -1):
        candidate = text[:end].rstrip() + "…"
        if text_size(candidate, size)[0] <= width:
            return candidate
    return ""


@lru_cache(maxsize=2048)
def _coverage(text: str, size: int) -> tuple[UInt8Array, UInt8Array]:
    """Coverage of the letters and of the letters with their outline, both uint8 (h, w) with one common origin."""
    font = ImageFont.load_default(size=float(size))
    stroke = max(1, size // 8)
    left, _, right, bottom = font.getbbox(text)
    shape = (max(1, int(right - left)) + 2 * stroke, max(1, size + size // 4, int(bottom)) + 2 * stroke)
    layers = []
    for width in (0, stroke):
        layer = Image.new("L", shape)
        ImageDraw.Draw(layer).text((stroke - left, stroke), text, fill=255, font=font, stroke_width=width)
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
