"""The page that `mugvos visualize -o report.html` writes: clips in pictures, tracks by level, statistics, J and F.

Knows stages, scenes and the pieces of a page. One file that needs nothing else; pictures and charts are inside.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.evaluation import Report
    from engine.rendering.bands import Layout
    from engine.rendering.film import Span, Style
    from engine.rendering.scene import Scene
    from engine.store.source import MaskSource
    from engine.types import MaskRecord, Track

MOST_STRIPS = 120
CUTS = 6
REVIEWS = {"": "", "accepted": "accepted", "rejected": "rejected", "mended": "mended by hand"}


def clip_sections(scene: "Scene", span: "Span", style: "Style", layout: "Layout") -> list[str]:
    """One clip: its contact sheet, what it holds, and its tracks level by level."""
    from engine.rendering import page
    from engine.rendering.bands import sheet_band
    from engine.rendering.sheet import contact_sheet

    tracks = [track for track in scene.clip.tracks if track.id in scene.names]
    rows = {track.id: list(scene.clip.records(track=track.id)) for track in tracks}
    sheet = contact_sheet([sheet_band(scene, span, style, layout)], layout.columns, layout.width)
    sections = [page.heading(scene.clip.name), page.photo(sheet), page.cards(_numbers(scene, rows))]
    strips = _strips(scene, span, style, tracks)
    for level in sorted({track.level for track in tracks}):
        here = [track for track in tracks if track.level == level]
        sections.append(page.heading(f"Level {level}: {_count(len(here), 'track')}", 3))
        sections.append(_table(here, rows, scene))
        sections += [page.group([strips[t.id], _area_chart(t, rows[t.id])]) for t in here if t.id in strips]
    if len(tracks) > MOST_STRIPS:
        sections.append(page.paragraph(f"pictures of the first {MOST_STRIPS} tracks only"))
    return sections


def score_sections(
    masks: "MaskSource", truth: str, clips: list[str], protocol: str, on_progress: Callable[..., Any] | None
) -> list[str]:
    """J and F of the tracks against the truth, over time. Raises EvaluationError where they cannot be compared."""
    from engine.evaluation import evaluate
    from engine.rendering import page
    from engine.store import open_source
    from mugvos_cli.evaluation_page import charts, scores

    with open_source(truth) as true:
        judged = [name for name in clips if name in true.clips]
        report: Report = evaluate(masks, true, protocol, clips=judged or None, on_progress=on_progress)
    return [page.heading(f"Against the truth ({protocol})"), *scores(report), *charts(report)]


def write_report(path: Path, title: str, sections: list[str]) -> None:
    """Write the page. The file appears whole."""
    from engine.rendering import page
    from engine.store.atomic import publish, remove, temporary_beside

    temporary = temporary_beside(path)
    try:
        body = [page.heading(title, 1), *sections]
        temporary.write_text(page.document(title, body), encoding="utf-8")
        publish(temporary, path)
    finally:
        remove(temporary)


def _numbers(scene: "Scene", rows: "dict[int, list[MaskRecord]]") -> list[tuple[str, str]]:
    from engine.evaluation.dataset_statistics import Counts, count_clip

    counts: Counts = count_clip(scene.clip)
    size = f"{scene.clip.width}\u00d7{scene.clip.height}"
    seen = sum(any(row.area for row in of_track) for of_track in rows.values())
    return [
        ("tracks", str(seen)),
        ("masks", f"{sum(row.area > 0 for of_track in rows.values() for row in of_track):,}"),
        ("masks a frame", f"{counts.masks_per_frame:.1f}"),
        ("of a frame is covered", f"{100 * counts.density:.0f} %"),
        ("frames", str(len(scene.clip.frames))),
        ("pixels", size),
    ]


def _table(tracks: "list[Track]", rows: "dict[int, list[MaskRecord]]", scene: "Scene") -> str:
    from engine.rendering import page
    from engine.rendering.colours import colour_of

    pixels = scene.clip.width * scene.clip.height
    names = scene.names
    lines = []
    for track in tracks:
        seen = [row for row in rows[track.id] if row.area]
        mean = sum(row.area for row in seen) / (pixels * len(seen)) if seen else 0.0
        scores = [row.score for row in seen if row.score == row.score]
        lines.append(
            (
                page.swatch(colour_of(track.id), track.name or str(track.id)),
                track.id,
                "" if track.parent is None else names.get(track.parent, str(track.parent)),
                f"{seen[0].frame} to {seen[-1].frame}" if seen else "never",
                len(seen),
                f"{100 * mean:.2f} %",
                f"{sum(scores) / len(scores):.2f}" if scores else "",
                REVIEWS[track.review],
            )
        )
    columns = ("track", "id", "part of", "seen in frames", "masks", "mean size", "mean score", "review")
    return page.table(columns, lines)


def _strips(scene: "Scene", span: "Span", style: "Style", tracks: "list[Track]") -> dict[int, str]:
    """A strip of cuts for each track that is seen."""
    from engine.rendering import page
    from engine.rendering.bands import Layout, track_bands
    from engine.rendering.sheet import contact_sheet

    layout = Layout(CUTS, 1, 1080)
    strips = {}
    for band in track_bands(scene, span, style, layout)[:MOST_STRIPS]:
        width = layout.width * len(band.cells) // CUTS  # cells of all strips have one size
        strips[band.track or 0] = page.photo(contact_sheet([band], CUTS, width))
    return strips


def _area_chart(track: "Track", rows: "list[MaskRecord]") -> str:
    from engine.rendering import page
    from engine.rendering.colours import colour_of

    largest = max((row.area for row in rows), default=0)
    if len(rows) < 2 or not largest:
        return ""
    colour = page.css(colour_of(track.id))
    lines = [page.Series("size", [row.frame for row in rows], [row.area / largest for row in rows], colour)]
    judged = [row for row in rows if row.score == row.score]
    if len(judged) > 1:
        scores = [min(1.0, max(0.0, row.score)) for row in judged]
        lines.append(page.Series("score", [row.frame for row in judged], scores, "#888"))
    return page.line_chart("size, of its largest; grey: score", lines, width=640, height=90)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
