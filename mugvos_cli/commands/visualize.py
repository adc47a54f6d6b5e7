"""`mugvos visualize`: reads options, pairs masks with their video, and has engine.rendering draw and write."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import MugvosError, OutputError, PartialError, UsageError
from mugvos_cli import console
from mugvos_cli.options import Clip, Format, Output, Overwrite, Video
from mugvos_cli.targets import refuse_inputs

if TYPE_CHECKING:
    from engine.rendering.bands import Layout
    from engine.rendering.film import Span, Style
    from engine.rendering.scene import Scene
    from engine.rendering.stage import Stage
    from engine.store.source import MaskSource


def visualize(
    tracks: Annotated[str, typer.Argument(metavar="TRACKS", help="A mask store, a tree of PNGs, JSON, or -.")],
    video: Video = None,
    output: Output = None,
    clip: Clip = None,
    track: Annotated[
        list[int] | None, typer.Option("--track", metavar="ID", help="Only this track; may be repeated.")
    ] = None,
    level: Annotated[
        int | None, typer.Option("--level", metavar="N", min=0, help="Only tracks of this level; 0 are the wholes.")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", min=0.0, max=1.0, help="Opacity of the fill.")] = 0.5,
    contour: Annotated[bool, typer.Option("--contour/--no-contour", help="Draw the rim of each mask.")] = True,
    labels: Annotated[bool, typer.Option("--labels", help="Write each track's name on it.")] = False,
    side_by_side: Annotated[bool, typer.Option("--side-by-side", help="The bare frame to the left.")] = False,
    split: Annotated[bool, typer.Option("--split", help="The left half stays bare.")] = False,
    cut_out: Annotated[
        bool, typer.Option("--cut-out", help="Only what the masks cover; the rest is transparent (.webm .webp folder).")
    ] = False,
    animation: Annotated[bool, typer.Option("--animation", help="A .webp is a film, not a sheet.")] = False,
    truth: Annotated[
        Path | None, typer.Option("--gt", metavar="TRUTH", help="For a report: J and F over time against these masks.")
    ] = None,
    start: Annotated[int, typer.Option("--start", metavar="N", min=0, help="First frame, counted from 0.")] = 0,
    stop: Annotated[int | None, typer.Option("--stop", metavar="N", min=1, help="Frame to stop before.")] = None,
    step: Annotated[int, typer.Option("--step", metavar="N", min=1, help="Draw every N-th frame.")] = 1,
    fps: Annotated[
        float | None, typer.Option("--fps", metavar="RATE", help="Frames a second; the video's if not given.")
    ] = None,
    max_width: Annotated[
        int | None, typer.Option("--max-width", metavar="PIXELS", min=16, help="Scale wider pictures down to this.")
    ] = None,
    columns: Annotated[int, typer.Option("--columns", metavar="N", min=1, help="Frames side by side on a sheet.")] = 4,
    rows: Annotated[
        int | None, typer.Option("--rows", metavar="N", min=1, help="Rows a clip on a sheet; 3 for a single clip.")
    ] = None,
    per_track: Annotated[bool, typer.Option("--per-track", help="A strip for each track on a sheet.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Show one frame in the terminal.")] = False,
    blank: Annotated[bool, typer.Option("--blank", help="Draw on grey, without the video.")] = False,
    format: Format = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw mask tracks over their video.

    What is made follows from the name of the output: a film (.mp4 .mov .mkv .webm .gif), a contact sheet (.png .jpg
    .webp), a report (.html), or, without a suffix, a folder of one PNG a frame.

    Examples:
      mugvos visualize bear.h5 -o bear-overlay.mp4
      mugvos visualize bear.h5 -o sheet.png --per-track
      mugvos visualize Annotations/480p --video JPEGImages/480p -o sheet.png
      mugvos visualize bear.h5 -o report.html --gt truth/
      mugvos visualize bear.h5 --cut-out --track 1 -o bear.webm
    """
    from engine.rendering.bands import Layout
    from engine.rendering.files import PICTURE_SUFFIXES
    from engine.rendering.film import Span, Style
    from engine.rendering.stage import Stage

    _check_streams(tracks, video, output, blank)
    _check_looks(side_by_side, split, cut_out)
    style = Style(alpha, contour, labels, side_by_side, split, cut_out, max_width)
    span = Span(start, stop, step)
    with _masks(tracks, format) as masks:
        stage = Stage(masks, tracks, clip, track, video, blank, level)
        if preview:
            _preview(stage, span, style)
        if preview and output is None:
            return
        target = output or _default_output(stage)
        if target.suffix.lower() in (".html", ".htm"):
            _write_report(stage, target, span, style, Layout(columns, rows or 2, 1600), truth, overwrite)
        elif truth is not None:
            raise UsageError("--gt is for a report", "name an .html with -o, or see mugvos evaluate")
        elif target.suffix.lower() in PICTURE_SUFFIXES and not (animation or cut_out):
            single = len(stage.clips) == 1 and not per_track
            layout = Layout(columns, rows or (3 if single else 1), max_width or 1600)
            _write_sheet(stage, target, span, style, layout, per_track, overwrite)
        elif per_track:
            raise UsageError("--per-track makes strips on a sheet", "name a .png with -o")
        else:
            _write_films(stage, target, span, style, fps, overwrite)


@contextmanager
def _masks(tracks: str, format: str | None) -> Iterator["MaskSource"]:
    from engine.store import open_source

    masks = open_source(tracks, format)
    try:
        yield masks
    finally:
        if hasattr(masks, "close"):
            masks.close()


def _check_streams(tracks: str, video: str | None, output: Path | None, blank: bool) -> None:
    if tracks == "-" and video == "-":
        raise UsageError("masks and video cannot both come from standard input", "give one of them as a file")
    if blank and video is not None:
        raise UsageError("--blank and --video exclude each other", "leave one of them out")
    if output is not None and str(output) == "-":
        raise UsageError("pictures are not written to standard output", "name a file with -o, or use --preview")


def _check_looks(side_by_side: bool, split: bool, cut_out: bool) -> None:
    if side_by_side + split + cut_out > 1:
        raise UsageError("--side-by-side, --split and --cut-out exclude each other", "choose one of them")


def _default_output(stage: "Stage") -> Path:
    """`<masks>.mp4` in the current folder, `<masks>-tracks.mp4` where the first is the video itself."""
    if len(stage.clips) > 1:
        raise UsageError(
            f"{stage.path}: holds {len(stage.clips)} clips",
            "choose one with --clip, or name a sheet (-o sheet.png) or a folder (-o overlays)",
        )
    stem = stage.clips[0] if stage.path == "-" else Path(stage.path).absolute().stem
    target = Path(f"{stem}.mp4")
    footage = stage.footage(stage.clips[0])
    if footage is not None and target.exists() and Path(footage).exists() and target.samefile(footage):
        return Path(f"{stem}-tracks.mp4")
    return target


def _check_free(target: Path, overwrite: bool) -> None:
    """Refuse to replace what exists unless asked to; an empty folder is free."""
    if target.exists() and not overwrite and not (target.is_dir() and not any(target.iterdir())):
        raise OutputError(f"{target}: exists already", "pass --overwrite to replace it, or choose another output")


def _write_films(
    stage: "Stage", target: Path, span: "Span", style: "Style", fps: float | None, overwrite: bool
) -> None:
    if len(stage.clips) > 1 and target.suffix and not target.is_dir():
        raise UsageError(
            f"{target}: one film cannot hold {len(stage.clips)} clips", "choose one with --clip, or name a folder"
        )

    from engine.store.formats.base import file_name

    def work(name: str) -> None:
        path = target if len(stage.clips) == 1 else target / file_name(name, "clip")
        refuse_inputs(path, [stage.path, stage.footage(name)])
        _check_free(path, overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        with stage.scene(name) as scene:
            _write_film(scene, path, span, style, fps)

    _sum_up(stage, stage.each(work, _say_failure))


def _write_film(scene: "Scene", path: Path, span: "Span", style: "Style", fps: float | None) -> None:
    from engine.rendering.film import write_film

    total = None if scene.length is None else len(range(scene.length)[span.start : span.stop : span.step])
    with console.progress(f"drawing {scene.clip.name}", total) as progress:
        length = write_film(scene, path, span, style, fps, progress)
    console.info(f"wrote {path}")
    beyond = scene.beyond(span.start + length) if span.stop is None else []
    if beyond:
        console.warn(f"{scene.clip.name}: {len(beyond)} frames with masks, {beyond[0]} the first, are not in the video")


def _write_sheet(
    stage: "Stage", target: Path, span: "Span", style: "Style", layout: "Layout", per_track: bool, overwrite: bool
) -> None:
    from engine.rendering.bands import sheet_band, track_bands
    from engine.rendering.files import write_picture
    from engine.rendering.sheet import Band, contact_sheet

    refuse_inputs(target, [stage.path])
    _check_free(target, overwrite)
    bands: list[Band] = []

    def work(name: str) -> None:
        refuse_inputs(target, [stage.footage(name)])
        with stage.scene(name) as scene:
            bands.extend(
                track_bands(scene, span, style, layout) if per_track else [sheet_band(scene, span, style, layout)]
            )
        progress(len(bands))

    with console.progress("drawing", None if per_track else len(stage.clips)) as progress:
        failed = stage.each(work, _say_failure)
    if len(failed) < len(stage.clips):
        write_picture(contact_sheet(bands, layout.columns, layout.width), target)
        console.info(f"wrote {target}")
    _sum_up(stage, failed)


def _write_report(
    stage: "Stage",
    target: Path,
    span: "Span",
    style: "Style",
    layout: "Layout",
    truth: Path | None,
    overwrite: bool,
) -> None:
    from mugvos_cli.tracks_page import clip_sections, score_sections, write_report

    if style.cut_out:
        raise UsageError("a report shows whole frames", "leave out --cut-out")
    refuse_inputs(target, [stage.path])
    _check_free(target, overwrite)
    sections: list[str] = []

    def work(name: str) -> None:
        with stage.scene(name) as scene:
            sections.extend(clip_sections(scene, span, style, layout))

    with console.progress("drawing", len(stage.clips)):
        failed = stage.each(work, _say_failure)
    if truth is not None:
        with console.progress("scoring") as progress:
            sections += score_sections(stage.masks, str(truth), list(stage.clips), "mug", progress)
    if len(failed) < len(stage.clips):
        write_report(target, f"Tracks of {Path(stage.path).name}", sections)
        console.info(f"wrote {target}")
    _sum_up(stage, failed)


def _say_failure(name: str, fault: MugvosError) -> None:
    console.error(str(fault) if name in str(fault) else f"{name}: {fault}")


def _sum_up(stage: "Stage", failed: Sequence[str]) -> None:
    if failed and len(failed) == len(stage.clips):
        raise UsageError(f"{stage.path}: none of {len(failed)} clips could be drawn", "the lines above say why")
    if failed:
        raise PartialError(f"{len(failed)} of {len(stage.clips)} clips were not drawn: {', '.join(failed)}")


def _preview(stage: "Stage", span: "Span", style: "Style") -> None:
    """The middle one of the frames with masks, of the first clip, as text on standard output."""
    from dataclasses import replace

    from engine.rendering.film import draw
    from engine.rendering.sheet import evenly_spaced
    from engine.rendering.terminal import grey_letters, half_blocks

    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = min(shutil.get_terminal_size().columns, 160)
    with stage.scene(stage.clips[0]) as scene:
        indices = scene.indices(scene.clip.frames, span.start, span.stop, span.step)
        for shot in scene.chosen(evenly_spaced(indices, 1)):
            picture = draw(shot, scene, replace(style, max_width=4 * width, labels=False))
            console.result(half_blocks(picture, width) if coloured else grey_letters(picture, width))
            console.info(f"{scene.clip.name}, frame {shot.number}")
