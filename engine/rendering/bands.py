"""Bands of contact sheets from scenes: evenly spaced frames of a clip, or a strip of cuts for each of its tracks.

Knows scenes, and which frames to choose. Laying bands out is sheet.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.rendering.film import Span, Style, draw
from engine.rendering.scene import Scene, Shot
from engine.rendering.sheet import Band, cell_width, evenly_spaced
from engine.types import UInt8Array

CROP_MARGIN = 0.2  # of a track's extent, on each side of it
SMALLEST_CROP = 0.2  # of the frame's width and height
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Layout:
    """A sheet `width` pixels wide with `columns` cells in a row and `rows` rows a band."""

    columns: int = 4
    rows: int = 3
    width: int = 1600

    @property
    def count(self) -> int:
        """Cells of a band."""
        return self.columns * self.rows

    def style(self, style: Style, cells: int) -> Style:
        """The style with pictures as wide as a cell, where a band has so many of them."""
        return replace(style, max_width=cell_width(max(1, min(self.columns, cells)), self.width))


def sheet_band(scene: Scene, span: Span, style: Style, layout: Layout) -> Band:
    """Evenly spaced frames among those that the clip holds in the span."""
    indices = scene.indices(scene.clip.frames, span.start, span.stop, span.step)
    chosen = evenly_spaced(indices, layout.count)
    small = layout.style(style, len(chosen))
    cells = [(draw(shot, scene, small), str(shot.number)) for shot in scene.chosen(chosen)]
    return Band(scene.clip.name, cells, scene.names)


def track_bands(scene: Scene, span: Span, style: Style, layout: Layout) -> list[Band]:
    """A band for each track: evenly spaced frames of those it is seen in, cut to where it goes; that track alone.

    All cuts have the proportions of the frame. Tracks that are not seen in the span are left out.
    """
    strips = [strip for track in scene.names if (strip := _strip(scene, track, span, layout.count)).indices]
    small = layout.style(style, max((len(strip.indices) for strip in strips), default=1))
    cells: dict[int, list[tuple[UInt8Array, str]]] = {strip.track: [] for strip in strips}
    for shot in scene.chosen({index for strip in strips for index in strip.indices}):
        for strip in strips:
            if shot.index in strip.indices:
                cells[strip.track].append((draw(strip.cut(shot), scene, small), str(shot.number)))
    return [Band(_title(scene, track), cells[track], track=track) for track in cells]


def _title(scene: Scene, track: int) -> str:
    name = scene.names[track]
    return f"{scene.clip.name}: track {track}" + (f" {name}" if name not in ("", str(track)) else "")


@dataclass(frozen=True)
class _Strip:
    """Frames that show one track, and the window (rows, columns) they are cut to."""

    track: int
    indices: Sequence[int]
    window: tuple[slice, slice]

    def cut(self, shot: Shot) -> Shot:
        return Shot(shot.index, shot.number, shot.image[self.window], {self.track: shot.masks[self.track][self.window]})


def _strip(scene: Scene, track: int, span: Span, count: int) -> _Strip:
    seen = {row.frame: row.box for row in scene.clip.records(track=track) if row.area > 0}
    indices = evenly_spaced(scene.indices(seen, span.start, span.stop, span.step), count)
    boxes = [seen[scene.number_of(index)] for index in indices]
    return _Strip(track, indices, _window(boxes, scene.clip.width, scene.clip.height))


def _window(boxes: Sequence[Box], width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns round all boxes with a margin, in the proportions of the frame and inside it."""
    left, top = min((b[0] for b in boxes), default=0), min((b[1] for b in boxes), default=0)
    right, bottom = max((b[0] + b[2] for b in boxes), default=0), max((b[1] + b[3] for b in boxes), default=0)
    share = max((right - left) / width, (bottom - top) / height) * (1 + 2 * CROP_MARGIN)
    share = min(1.0, max(SMALLEST_CROP, share))
    w, h = max(1, round(width * share)), max(1, round(height * share))
    x = max(0, min((left + right - w) // 2, width - w))
    y = max(0, min((top + bottom - h) // 2, height - h))
    return slice(y, y + h), slice(x, x + w)
