"""Differences with their intervals as one SVG: which of them leave out zero is seen at a glance.

Knows names and numbers. Knows nothing of what is compared.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

SURE, UNSURE = "#0072b2", "#888888"
_ROW, _TOP, _FOOT = 26, 8, 22
_NAMES, _PLOT, _NUMBERS = 300, 420, 170
_LONGEST_NAME = 44


@dataclass(frozen=True)
class Interval:
    """A value with its bounds, NaN where there are none; `sure`: the interval leaves out zero."""

    name: str
    value: float
    low: float
    high: float
    sure: bool


def interval_chart(intervals: Sequence[Interval]) -> str:
    """One row each around a line at zero: a dot at the value, a bar from bound to bound, the numbers beside it.

    Bars that leave out zero are blue, the others grey.
    """
    ends = [x for one in intervals for x in (one.value, one.low, one.high, 0.0) if isfinite(x)]
    low, high = min(ends), max(ends)
    scale = (_PLOT - 20) / ((high - low) or 1)

    def across(x: float) -> float:
        return _NAMES + 10 + (x - low) * scale

    bottom = _TOP + _ROW * len(intervals)
    zero = f'<line x1="{across(0):.1f}" x2="{across(0):.1f}" y1="{_TOP}" y2="{bottom}" stroke="currentColor"/>'
    rows = "".join(_row(one, _TOP + _ROW * at + _ROW // 2, across) for at, one in enumerate(intervals))
    foot = f'<text x="{across(0):.1f}" y="{bottom + 15}" text-anchor="middle">0</text>'
    size = f'width="{_NAMES + _PLOT + _NUMBERS}" height="{bottom + _FOOT}"'
    return f'<svg class="chart" {size} role="img">{zero}{rows}{foot}</svg>'


def _row(one: Interval, y: int, across: Callable[[float], float]) -> str:
    colour = SURE if one.sure else UNSURE
    parts = [f'<text x="{_NAMES - 6}" y="{y + 4}" text-anchor="end">{escape(_short(one.name))}</text>']
    numbers = f"{one.value:+.1f}"
    if isfinite(one.low) and isfinite(one.high):
        ends = f'x1="{across(one.low):.1f}" x2="{across(one.high):.1f}"'
        parts.append(f'<line {ends} y1="{y}" y2="{y}" stroke="{colour}" stroke-width="5" stroke-linecap="round"/>')
        numbers += f" [{one.low:+.1f}, {one.high:+.1f}]"
    parts.append(f'<circle cx="{across(one.value):.1f}" cy="{y}" r="5.5" fill="{colour}"/>')
    parts.append(f'<text x="{_NAMES + _PLOT + 8}" y="{y + 4}">{numbers}</text>')
    return "".join(parts)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :]
