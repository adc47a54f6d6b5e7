"""One image as text for a terminal: half blocks in true colour, or letters of rising weight without colour.

Knows arrays and strings; whoever prints them decides whether colour is wanted.
"""

import cv2
import numpy as np

from engine.types import UInt8Array

RAMP = " .:-=+*#%@"


def half_blocks(image: UInt8Array, columns: int = 80) -> str:
    """`image`, uint8 (H, W, 3), as lines of `columns` half blocks: each shows two pixels, one above the other."""
    pixels = _shrunk(image, columns, rows_per_line=2)
    lines = []
    for upper, lower in zip(pixels[0::2].tolist(), pixels[1::2].tolist(), strict=True):
        pairs = (f"\x1b[38;2;{r};{g};{b};48;2;{s};{h};{c}m▀" for (r, g, b), (s, h, c) in zip(upper, lower, strict=True))
        lines.append("".join(pairs) + "\x1b[0m")
    return "\n".join(lines)


def grey_letters(image: UInt8Array, columns: int = 80) -> str:
    """`image` as lines of plain ASCII, bright pixels as heavy letters; for terminals without colour."""
    pixels = _shrunk(image, columns, rows_per_line=1)
    steps = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(int) * len(RAMP) // 256
    return "\n".join("".join(RAMP[step] for step in row) for row in steps)


def _shrunk(image: UInt8Array, columns: int, rows_per_line: int) -> UInt8Array:
    """uint8 (lines x rows_per_line, columns, 3); a character is taken to be twice as high as wide."""
    height, width = image.shape[:2]
    columns = max(1, columns)
    lines = max(1, round(columns * height / width / 2))
    return np.asarray(cv2.resize(image, (columns, lines * rows_per_line), interpolation=cv2.INTER_AREA), np.uint8)
