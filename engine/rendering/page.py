"""Pieces of one HTML page that needs nothing else: tables, line charts, pictures, all inside the one file.

Knows text, numbers and pixels. Knows nothing of what is reported. Nothing is fetched when the page is opened: styles
are inline, charts are SVG, pictures are data URIs.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from engine.types import BoolArray, UInt8Array

RIGHT, TOO_MUCH, MISSED = (200, 200, 200), (213, 94, 0), (0, 114, 178)
"""Colours of an error picture, told apart by colour-blind readers too (Okabe and Ito, 2008)."""

_BACKGROUND = (24, 24, 24)
_MOST_POINTS = 400
_WIDEST = 640
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a;
  background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
table { border-collapse: collapse; margin: .6rem 0; } th, td { padding: .2rem .7rem; text-align: left; }
th { border-bottom: 2px solid #888; } td { border-bottom: 1px solid #ddd; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { display: inline-block; margin: .4rem .8rem .8rem 0; vertical-align: top; }
figure img { max-width: 20rem; display: block; border: 1px solid #888; } figcaption { font-size: .85rem; }
.chart { display: inline-block; margin: .3rem 1rem .3rem 0; } .chart text { font-size: 11px; fill: currentColor; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }
.cards div { border: 1px solid #8885; border-radius: .5rem; padding: .5rem 1rem; min-width: 7rem; }
.cards b { display: block; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
.cards span { font-size: .85rem; opacity: .75; }
.photo { display: block; margin: .6rem 0; } .photo img { max-width: 100%; border: 0; border-radius: .3rem; }
.group { border-top: 1px solid #8885; padding: .6rem 0; }
.key { border-radius: .2em;
  display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .9em; }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #e6e6e6; } td { border-color: #3a3a3a; } }
"""


@dataclass(frozen=True)
class Markup:
    """HTML made here, for a cell of a table."""

    html: str


@dataclass(frozen=True)
class Series:
    """A line of a chart: positions (ascending) and values in [0, 1]; `colour` is a CSS colour."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str


def document(title: str, sections: Sequence[str]) -> str:
    """The whole page."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(sections)
    return f'<!doctype html>\n<html lang="en"><head>{head}{viewport}</head>\n<body>\n{body}\n</body></html>\n'


def heading(text: str, level: int = 2) -> str:
    """A heading; level 1 is the page's."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str) -> str:
    """Plain text."""
    return f"<p>{escape(text)}</p>"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; numbers stand to the right."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def line_chart(title: str, series: Sequence[Series], width: int = 420, height: int = 110) -> str:
    """Values over positions as SVG, the vertical axis from 0 to 1. Long series show the lowest value of a stretch."""
    left, top, bottom = 30, 16, 16
    ends = [x for one in series for x in (one.x[0], one.x[-1]) if len(one.x)]
    low, high = min(ends, default=0), max(ends, default=1)
    across, down = (width - left - 6) / max(high - low, 1), height - top - bottom
    lines = [
        f'<polyline fill="none" stroke="{one.colour}" stroke-width="1.5" points="'
        + " ".join(f"{left + (x - low) * across:.1f},{top + (1 - y) * down:.1f}" for x, y in _thinned(one))
        + f'"><title>{escape(one.name)}</title></polyline>'
        for one in series
    ]
    grid = "".join(
        f'<line x1="{left}" x2="{width}" y1="{top + (1 - level) * down:.1f}" y2="{top + (1 - level) * down:.1f}" '
        f'stroke="#8884"/><text x="2" y="{top + (1 - level) * down + 4:.1f}">{level:g}</text>'
        for level in (0, 0.5, 1)
    )
    foot = height - 3
    axis = f'<text x="{left}" y="{foot}">{low:g}</text><text x="{width}" y="{foot}" text-anchor="end">{high:g}</text>'
    caption = f'<text x="{left}" y="11">{escape(title)}</text>'
    return f'<svg class="chart" width="{width}" height="{height}">{caption}{grid}{axis}{"".join(lines)}</svg>'


def cards(entries: Sequence[tuple[str, str]]) -> str:
    """A few numbers in large type: (what, value)."""
    inner = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in entries)
    return f'<div class="cards">{inner}</div>'


def group(parts: Sequence[str]) -> str:
    """Parts that stay together."""
    return f'<section class="group">{"".join(parts)}</section>'


def swatch(colour: tuple[int, int, int], text: str) -> Markup:
    """Text behind a spot of a colour."""
    return Markup(f'<span class="key" style="background:{css(colour)}"></span>{escape(text)}')


def photo(image: UInt8Array, caption: str = "") -> str:
    """An image uint8 (H, W, 3), kept inside the page as JPEG, as wide as the page."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=86)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    text = escape(caption)
    words = f"<figcaption>{text}</figcaption>" if text else ""
    return f'<figure class="photo"><img src="data:image/jpeg;base64,{data}" alt="{text or "pictures"}">{words}</figure>'


def key(entries: Sequence[tuple[str, str]]) -> str:
    """A legend: (name, CSS colour)."""
    items = "".join(f'<span class="key" style="background:{colour}"></span>{escape(name)}' for name, colour in entries)
    return f"<p>{items}</p>"


def picture(image: UInt8Array, caption: str) -> str:
    """An image uint8 (H, W, 3) with a caption, kept inside the page as PNG, at most 640 pixels wide."""
    found = Image.fromarray(image)
    if found.width > _WIDEST:
        found = found.resize((_WIDEST, max(1, found.height * _WIDEST // found.width)), Image.Resampling.BOX)
    stream = io.BytesIO()
    found.save(stream, "PNG", optimize=True)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    text = escape(caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def error_picture(predicted: BoolArray, truth: BoolArray) -> UInt8Array:
    """uint8 (H, W, 3): grey where masks (H, W) agree, orange where too much is predicted, blue where some is missed."""
    image = np.full((*truth.shape, 3), _BACKGROUND, np.uint8)
    image[predicted & truth] = RIGHT
    image[predicted & ~truth] = TOO_MUCH
    image[~predicted & truth] = MISSED
    return image


def css(colour: tuple[int, int, int]) -> str:
    """A colour as CSS writes it."""
    return "#" + "".join(f"{part:02x}" for part in colour)


def _cell(value: object) -> str:
    if isinstance(value, Markup):
        return f"<td>{value.html}</td>"
    number = isinstance(value, int | float)
    return f"<td{' class=number' if number else ''}>{escape(str(value))}</td>"


def _thinned(series: Series) -> list[tuple[float, float]]:
    """At most 400 points, of each stretch the lowest: a failure of one frame stays to be seen."""
    stretch = -(-len(series.x) // _MOST_POINTS)
    starts = range(0, len(series.x), max(1, stretch))
    lowest = [min(range(s, min(s + stretch, len(series.x))), key=lambda at: series.y[at]) for s in starts]
    return [(series.x[at], series.y[at]) for at in lowest]
