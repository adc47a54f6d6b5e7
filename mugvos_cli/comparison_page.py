"""The part of the page of `mugvos evaluate --compare --html` that sets predictions against each other.

First what the differences mean, in words and as intervals around zero; then who is better where. Knows reports and the
pieces of a page.
"""

import math
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING

from mugvos_cli.evaluation_text import MEASURES

if TYPE_CHECKING:
    from engine.evaluation import Comparison, Report, TrackScore
    from engine.evaluation.comparison import Difference, Estimate
    from engine.rendering.page import Markup

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of predictions in charts, told apart by colour-blind readers too (Okabe and Ito, 2008)."""


def comparison(found: "Comparison", reports: "dict[str, Report]") -> list[str]:
    """Every difference in words, as a picture and in numbers; what keeps scores from covering the whole truth."""
    from engine.rendering import page
    from engine.rendering.interval_chart import Interval, interval_chart

    rows = [(name, *(_interval(by[m]) for m in MEASURES)) for name, by in found.scores.items()]
    changes = [
        (
            f"{d.second} less {d.first}",
            *(_interval(d.by[m], "+") for m in MEASURES),
            "yes" if d.by["J&F"].sure else "no",
        )
        for d in found.differences
    ]
    short = _last_parts(list(found.scores))
    bars = [
        Interval(f"{short[d.second]} less {short[d.first]}", *_points(d.by["J&F"]), sure=d.by["J&F"].sure)
        for d in found.differences
    ]
    return [
        page.heading("Comparison"),
        *(page.paragraph(in_words(d)) for d in found.differences),
        *(page.paragraph(note) for note in found.notes),
        page.heading("Differences in J&F, points of 100", 3),
        interval_chart(bars),
        page.key(
            [("the interval leaves out 0: the difference means something", COLOURS[0]), ("it does not", "#888888")]
        ),
        page.table(("prediction", *MEASURES), rows),
        page.table(("difference", *MEASURES, "J&F differs"), changes),
        *(page.paragraph(f"{name}: {one.text}") for name, report in reports.items() for one in report.problems),
    ]


def in_words(difference: "Difference") -> str:
    """What a difference in J&F says, in a sentence."""
    found, first, second = difference.by["J&F"], difference.first, difference.second
    value, low, high = _points(found)
    if math.isnan(low):
        return f"{second} less {first}: J&F {value:+.1f} points, no interval could be drawn."
    bounds = f"95 % interval {low:+.1f} to {high:+.1f}"
    if found.sure:
        better, worse = (second, first) if value > 0 else (first, second)
        return f"{better} is better than {worse}: J&F {value:+.1f} points, {second} less {first} ({bounds})."
    return f"{second} and {first} cannot be told apart here: J&F {value:+.1f} points ({bounds}, which has 0 in it)."


def by_clip(reports: "dict[str, Report]") -> list[str]:
    """J&F of every clip under every prediction, the best in bold."""
    from engine.rendering import page

    tracks = {name: {clip.name: clip.mean.j_and_f for clip in report.clips} for name, report in reports.items()}
    rows = [
        (clip, *_best_in_bold([scores.get(clip, math.nan) for scores in tracks.values()]))
        for clip in dict.fromkeys(clip for scores in tracks.values() for clip in scores)
    ]
    return [page.heading("J&F by clip"), page.table(("clip", *reports), rows)]


def by_group(reports: "dict[str, Report]") -> list[str]:
    """J&F of every group of tracks under every prediction, the best in bold."""
    from engine.evaluation.report import breakdown
    from engine.rendering import page

    scores = {
        name: {(by, group.name): group for by, groups in breakdown(report.tracks).items() for group in groups}
        for name, report in reports.items()
    }
    rows = []
    for by, name in dict.fromkeys(key for of in scores.values() for key in of):
        found = [of.get((by, name)) for of in scores.values()]
        tracks = max(group.tracks for group in found if group is not None)
        values = [math.nan if group is None else group.mean.j_and_f for group in found]
        rows.append((by, name, tracks, *_best_in_bold(values)))
    return [page.heading("J&F by granularity"), page.table(("by", "group", "tracks", *reports), rows)]


def charts(reports: "dict[str, Report]", most: int) -> list[str]:
    """(J + F) / 2 of every track over its frames, a line for each prediction."""
    from engine.rendering import page

    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(reports)}
    tracks = {
        name: {(clip.name, track.id): track for clip in report.clips for track in clip.tracks}
        for name, report in reports.items()
    }
    sections = [page.heading("(J + F) / 2 over time"), page.key(list(colours.items()))]
    clip = ""
    keys = list(dict.fromkeys(key for of in tracks.values() for key in of))
    for key in keys[:most]:
        if key[0] != clip:
            clip = key[0]
            sections.append(page.heading(clip, 3))
        sections.append(_chart({name: of[key] for name, of in tracks.items() if key in of}, colours))
    return [*sections, *([page.paragraph(f"only the first {most} tracks are drawn")] if len(keys) > most else [])]


def _chart(tracks: "dict[str, TrackScore]", colours: dict[str, str]) -> str:
    from engine.rendering import page

    lines = [
        page.Series(name, track.frames, ((track.J + track.F) / 2).tolist(), colours[name])
        for name, track in tracks.items()
    ]
    means = ", ".join(f"{100 * track.mean.j_and_f:.1f}" for track in tracks.values())
    return page.line_chart(f"{next(iter(tracks.values())).name}: J&F {means}", lines)


def _best_in_bold(values: list[float]) -> "list[Markup]":
    from engine.rendering.page import Markup

    shown = ["–" if math.isnan(value) else f"{100 * value:.1f}" for value in values]
    best = max((value for value in values if not math.isnan(value)), default=math.nan)
    return [
        Markup(f"<b>{escape(text)}</b>" if value == best and len(set(shown)) > 1 else escape(text))
        for value, text in zip(values, shown, strict=True)
    ]


def _last_parts(paths: list[str]) -> dict[str, str]:
    """Each path by its last part, where these differ."""
    lasts = [PurePath(path).name for path in paths]
    return dict(zip(paths, lasts if len(set(lasts)) == len(paths) else paths, strict=True))


def _points(estimate: "Estimate") -> tuple[float, float, float]:
    return 100 * estimate.value, 100 * estimate.low, 100 * estimate.high


def _interval(estimate: "Estimate", sign: str = "") -> str:
    value, low, high = _points(estimate)
    return f"{value:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"
