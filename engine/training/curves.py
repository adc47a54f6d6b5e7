"""The curves of a run as one picture: loss, region similarity in training and validation, learning rate over steps.

Knows rows of metrics and pixels. Three panels under each other, each with labelled axes; loss and rate on scales that
are logarithmic where the values span more than a factor of ten.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from engine.rendering.colours import RGB
from engine.rendering.text import draw_text, text_size
from engine.types import UInt8Array

WIDTH, PANEL, GAP = 960, 240, 56
LEFT, RIGHT, TOP = 76, 24, 40
LETTERS = 14
INK: RGB = (40, 40, 46)
PAPER: RGB = (255, 255, 255)
GRID: RGB = (222, 222, 228)
_PALE, _BLUE, _ORANGE, _GREEN = (184, 204, 236), (38, 92, 190), (214, 106, 20), (40, 140, 80)


@dataclass(frozen=True)
class Line:
    """One curve: the name of its column, what it is called, its colour; `dots` marks the values themselves."""

    column: str
    label: str
    colour: RGB
    dots: bool = False


@dataclass(frozen=True)
class Panel:
    """Curves that share their axes. `span`: fixed ends of the vertical axis, or found from the values."""

    title: str
    lines: tuple[Line, ...]
    span: tuple[float, float] | None = None


PANELS = (
    Panel("loss", (Line("batch_loss", "step", _PALE), Line("loss", "smoothed", _BLUE))),
    Panel("J", (Line("iou", "training", _BLUE), Line("validation", "validation", _ORANGE, True)), (0.0, 1.0)),
    Panel("learning rate", (Line("rate", "", _GREEN),)),
)


def draw_curves(rows: Sequence[dict[str, Any]]) -> UInt8Array:
    """uint8 (H, 960, 3) of rows in order of their "step"; columns that a row lacks are left out of its curve."""
    height = TOP + len(PANELS) * (PANEL + GAP)
    canvas = Image.new("RGB", (WIDTH, height), PAPER)
    last = max((int(row["step"]) for row in rows), default=1)
    texts: list[tuple[str, int, int]] = []
    for index, panel in enumerate(PANELS):
        texts += _draw_panel(ImageDraw.Draw(canvas), panel, rows, last, TOP + index * (PANEL + GAP))
    texts.append(("step", WIDTH - RIGHT - text_size("step", LETTERS)[0], height - LETTERS - 14))
    image = np.array(canvas)
    for text, x, y in texts:
        draw_text(image, text, x, y, LETTERS, INK, None)
    return image


class _Axis:
    """From values to pixels; logarithmic where the values span more than a factor of ten."""

    def __init__(self, values: Sequence[float], span: tuple[float, float] | None, first: int, last: int) -> None:
        low, high = span or (min(values, default=0.0), max(values, default=1.0))
        self.logarithmic = span is None and low > 0 and high / low > 10
        if span is None and not self.logarithmic:
            low = min(low, 0.0)
        self.low, self.high = low, high if high > low else low + max(abs(low), 1.0)
        self._first, self._last = first, last

    def pixel(self, value: float) -> float:
        """Where a value lies; ends of the axis for values beyond them."""
        low, high, at = (self._scaled(v) for v in (self.low, self.high, min(max(value, self.low), self.high)))
        return self._first + (at - low) / (high - low) * (self._last - self._first)

    def ticks(self) -> list[float]:
        """Round values between the ends."""
        if self.logarithmic:
            low, high = (math.log10(v) for v in (self.low, self.high))
            found = [m * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
            inside = [tick for tick in found if self.low <= tick <= self.high]
            return inside if len(inside) <= 7 else [tick for tick in inside if f"{tick:e}"[0] == "1"]
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 2))
        while (self.high - self.low) / step > 6:
            step *= 2.5 if f"{step:e}"[0] == "2" else 2
        return [n * step for n in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def _draw_panel(
    draw: ImageDraw.ImageDraw, panel: Panel, rows: Sequence[dict[str, Any]], last: int, top: int
) -> list[tuple[str, int, int]]:
    """Draw grid and curves; the words that belong there, as (text, x, y)."""
    bottom, right = top + PANEL, WIDTH - RIGHT
    points = {line: _points(rows, line.column) for line in panel.lines}
    across = _Axis([0.0, float(last)], None, LEFT, right)
    across.logarithmic, across.low = False, 0.0
    up = _Axis([value for found in points.values() for _, value in found], panel.span, bottom, top)
    texts = [(panel.title, LEFT, top - LETTERS - 8)]
    for tick in up.ticks():
        y = round(up.pixel(tick))
        draw.line([(LEFT, y), (right, y)], fill=GRID)
        label = f"{tick:.3g}"
        texts.append((label, LEFT - 8 - text_size(label, LETTERS)[0], y - LETTERS // 2 - 2))
    for tick in across.ticks():
        x = round(across.pixel(tick))
        draw.line([(x, top), (x, bottom)], fill=GRID)
        label = f"{tick:.12g}"
        texts.append((label, min(x - text_size(label, LETTERS)[0] // 2, right - 20), bottom + 4))
    for line, found in points.items():
        _draw_line(draw, [(across.pixel(step), up.pixel(value)) for step, value in found], line)
    draw.line([(LEFT, top), (LEFT, bottom), (right, bottom)], fill=INK)
    return texts + _draw_legend(draw, panel, right, top)


def _draw_line(draw: ImageDraw.ImageDraw, places: list[tuple[float, float]], line: Line) -> None:
    if len(places) > 1:
        draw.line(places, fill=line.colour, width=2, joint="curve")
    if line.dots or len(places) == 1:
        for x, y in places:
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=line.colour)


def _draw_legend(draw: ImageDraw.ImageDraw, panel: Panel, right: int, top: int) -> list[tuple[str, int, int]]:
    """Names of the curves above the right corner, each behind a dash of its colour."""
    texts = []
    for line in reversed([line for line in panel.lines if line.label]):
        right -= text_size(line.label, LETTERS)[0]
        texts.append((line.label, right, top - LETTERS - 8))
        y = top - LETTERS // 2 - 6
        draw.line([(right - 26, y), (right - 6, y)], fill=line.colour, width=3)
        right -= 44
    return texts


def _points(rows: Sequence[dict[str, Any]], column: str) -> list[tuple[float, float]]:
    found = [(float(row["step"]), float(row[column])) for row in rows if row.get(column) is not None]
    return [(step, value) for step, value in found if math.isfinite(value)]
