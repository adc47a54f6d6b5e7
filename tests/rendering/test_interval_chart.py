"""Intervals around zero: where bars lie, which are told apart by colour, what is left out."""

import math
import re

from engine.rendering.interval_chart import SURE, UNSURE, Interval, interval_chart


def test_bars_lie_on_their_side_of_zero_and_say_whether_they_leave_it_out() -> None:
    chart = interval_chart([Interval("b less a", 4.0, 2.0, 6.0, True), Interval("c less a", -0.5, -2.0, 1.0, False)])
    zero = float(re.findall(r'x1="([0-9.]+)" x2="\1"', chart)[0])
    bars = [
        (float(a), float(b), c)
        for a, b, c in re.findall(r'x1="([0-9.]+)" x2="([0-9.]+)" y1="\d+" y2="\d+" stroke="(#\w+)"', chart)
    ]
    assert [colour for *_, colour in bars] == [SURE, UNSURE]
    assert zero < bars[0][0] < bars[0][1] and bars[1][0] < zero < bars[1][1]
    assert "+4.0 [+2.0, +6.0]" in chart and "-0.5 [-2.0, +1.0]" in chart


def test_names_are_escaped_and_shortened_and_a_missing_interval_has_no_bar() -> None:
    chart = interval_chart([Interval("<b>" + "x" * 80, 0.0, math.nan, math.nan, False)])
    assert "<b>" not in chart and "…" in chart and "stroke-width" not in chart and ">+0.0<" in chart
