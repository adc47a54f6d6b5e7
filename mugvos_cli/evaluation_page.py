"""The page that `mugvos evaluate --html` writes: scores, breakdown, J and F over time, the worst frames in pictures.

Knows reports and the pieces of a page.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from mugvos_cli import comparison_page

if TYPE_CHECKING:
    from engine.evaluation import Comparison, Report, TrackScore
    from engine.evaluation.inputs import Inputs

WORST = 12
MOST_CHARTS = 2000
J_COLOUR, F_COLOUR = "#0072b2", "#d55e00"


def write_page(
    path: Path, reports: "dict[str, Report]", inputs: "Inputs", comparison: "Comparison | None" = None
) -> None:
    """Write the page of one prediction, or a comparison with the first one's worst frames. The file appears whole."""
    from engine.rendering import page
    from engine.store.atomic import publish, remove, temporary_beside

    name, report = next(iter(reports.items()))
    sections = [page.heading(f"mugvos evaluate: {report.protocol}", 1)]
    if comparison is not None:
        sections += [*comparison_page.comparison(comparison, reports), *comparison_page.by_clip(reports)]
        sections += comparison_page.by_group(reports) + comparison_page.charts(reports, MOST_CHARTS)
        sections += [page.heading(name), *scores(report), *_worst(report, inputs)]
    else:
        sections += [page.heading(name), *scores(report), *_breakdown(report), *_worst(report, inputs), *charts(report)]
    temporary = temporary_beside(path)
    try:
        temporary.write_text(page.document(f"mugvos evaluate: {name}", sections), encoding="utf-8")
        publish(temporary, path)
    finally:
        remove(temporary)


def scores(report: "Report") -> list[str]:
    """The headline, a table of clips, remarks."""
    from engine.rendering import page

    mean = report.mean
    line = f"J&F {100 * mean.j_and_f:.1f}, J {100 * mean.J:.1f}, F {100 * mean.F:.1f}; {len(report.tracks)} tracks"
    table = page.table(("clip", "tracks", "frames", "J&F", "J", "F"), report.table_rows())
    remarks = [problem.text for problem in report.problems] + list(report.notes)
    return [page.paragraph(line), table, *(page.paragraph(remark) for remark in remarks)]


def _breakdown(report: "Report") -> list[str]:
    from engine.evaluation.report import breakdown
    from engine.rendering import page

    rows = [
        (what, group.name, group.tracks, *(round(100 * x, 1) for x in (group.mean.j_and_f, group.mean.J, group.mean.F)))
        for what, groups in breakdown(report.tracks).items()
        for group in groups
    ]
    return [page.heading("By granularity"), page.table(("by", "group", "tracks", "J&F", "J", "F"), rows)]


def _worst(report: "Report", inputs: "Inputs") -> list[str]:
    from engine.evaluation.worst import worst_frames
    from engine.rendering import page

    colours = (("right", page.RIGHT), ("too much", page.TOO_MUCH), ("missed", page.MISSED))
    pictures = [
        page.picture(
            page.error_picture(found.predicted, found.truth),
            f"{found.clip} / {found.track}, frame {found.frame}: J {100 * found.J:.1f}, F {100 * found.F:.1f}",
        )
        for found in worst_frames(report, inputs.predictions, inputs.truth, WORST)
    ]
    key = page.key([(name, page.css(colour)) for name, colour in colours])
    return [page.heading("Worst frames of the worst tracks"), key, *pictures]


def charts(report: "Report") -> list[str]:
    """J and F of every track over its frames."""
    from engine.rendering import page

    sections = [page.heading("J and F over time"), page.key([("J", J_COLOUR), ("F", F_COLOUR)])]
    left = MOST_CHARTS
    for clip in report.clips:
        sections.append(page.heading(clip.name, 3))
        sections += [_chart(track) for track in clip.tracks[:left]]
        left = max(0, left - len(clip.tracks))
    return [*sections, *([page.paragraph(f"only the first {MOST_CHARTS} tracks are drawn")] if not left else [])]


def _chart(track: "TrackScore") -> str:
    from engine.rendering import page

    lines = [
        page.Series(letter, track.frames, values.tolist(), colour)
        for letter, values, colour in (("J", track.J, J_COLOUR), ("F", track.F, F_COLOUR))
    ]
    return page.line_chart(f"{track.name}: J&F {100 * track.mean.j_and_f:.1f}", lines)
