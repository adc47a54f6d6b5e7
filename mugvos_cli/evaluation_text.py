"""Reports of `mugvos evaluate` for people: tables on standard output, percent with one decimal."""

import math
from typing import TYPE_CHECKING

from mugvos_cli import console

if TYPE_CHECKING:
    from engine.evaluation import Comparison, Report
    from engine.evaluation.comparison import Estimate

CLIP_COLUMNS = ("clip", "tracks", "frames", "J&F", "J", "F")
TRACK_COLUMNS = ("clip", "track", "frames", "J&F", "J", "F")
MEASURES = ("J&F", "J", "F")
NOT_PERCENT = ("V",)
SEPARATE = ("referring", "lvos", "youtube-vos")
"""Protocols whose further figures are what their papers print."""


def print_report(report: "Report", per_track: bool, worst: int | None, by_group: bool) -> None:
    """The table, the worst tracks, the breakdown where asked for, the protocol's own figures, the headline."""
    if "mAP 0.5:0.95" in report.metrics:
        print_metrics(report)
        return
    if worst is None:
        console.table(TRACK_COLUMNS if per_track else CLIP_COLUMNS, report.table_rows(per_track))
    else:
        print_worst(report, worst)
    if by_group:
        console.result("")
        print_breakdowns({"": report})
    if report.protocol.startswith(SEPARATE):
        console.result("")
        print_metrics(report)
    console.result(headline(report))


def headline(report: "Report") -> str:
    """The last line: protocol, means, what they are over."""
    mean, tracks = report.mean, report.tracks
    judged = sum(len(track.frames) for track in tracks)
    return (
        f"{report.protocol}: J&F {100 * mean.j_and_f:.1f}  J {100 * mean.J:.1f}  F {100 * mean.F:.1f}"
        f"  ({len(tracks)} track{'' if len(tracks) == 1 else 's'}, {judged} judged frames)"
    )


def print_worst(report: "Report", count: int) -> None:
    """The tracks of lowest J&F, and the frame in which each is worst."""
    rows = []
    for clip, track in report.worst(count):
        at = min(range(len(track.frames)), key=lambda i: track.J[i] + track.F[i])
        scores = (round(100 * x, 1) for x in (track.mean.j_and_f, track.mean.J, track.mean.F))
        rows.append((clip, track.name, len(track.frames), *scores, track.frames[at]))
    console.table((*TRACK_COLUMNS, "worst frame"), rows)


def print_metrics(report: "Report") -> None:
    """The protocol's figures by the names of its reference tool; V and what is not there (-1) as they are."""
    rows = []
    for name, value in report.metrics.items():
        plain = name.startswith(NOT_PERCENT) or math.isnan(value) or value < 0
        rows.append((name, f"{value:.3f}" if plain else f"{100 * value:.1f}"))
    console.table(("figure", "value"), rows)


def print_breakdowns(reports: "dict[str, Report]") -> None:
    """Means by what kind of track it is, of every prediction by name."""
    from engine.evaluation.report import breakdown

    rows = [
        (
            *([name] if name else []),
            what,
            group.name,
            group.tracks,
            *_percent(group.mean.j_and_f, group.mean.J, group.mean.F),
        )
        for name, report in reports.items()
        for what, groups in breakdown(report.tracks).items()
        for group in groups
    ]
    columns = ("by", "group", "tracks", "J&F", "J", "F")
    console.table(("prediction", *columns) if "" not in reports else columns, rows)


def print_comparison(comparison: "Comparison") -> None:
    """Every prediction with its intervals, then every difference and whether it means anything."""
    rows = [(name, *(_interval(by[measure]) for measure in MEASURES)) for name, by in comparison.scores.items()]
    console.table(("prediction", *MEASURES), rows)
    changes = [
        (f"{d.second} - {d.first}", *(_interval(d.by[m], "+") for m in MEASURES), "yes" if d.by["J&F"].sure else "no")
        for d in comparison.differences
    ]
    console.result("")
    console.table(("difference", *MEASURES, "J&F differs"), changes)
    console.result(f"{comparison.tracks} tracks; {'; '.join(comparison.notes)}")


def _interval(estimate: "Estimate", sign: str = "") -> str:
    value, low, high = (100 * x for x in (estimate.value, estimate.low, estimate.high))
    return f"{value:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def _percent(*values: float) -> tuple[float, ...]:
    return tuple(round(100 * value, 1) for value in values)
