"""Contact sheets: a grid of frames with their numbers, a band for each clip or track, a legend of the tracks.

Knows images, words and track ids. Knows nothing of videos or files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from engine.errors import UsageError
from engine.rendering.colours import DARK, LIGHT, RGB, colour_of
from engine.rendering.text import draw_text, shorten, text_size
from engine.types import UInt8Array

PAPER: RGB = (24, 25, 29)
FAINT: RGB = (168, 171, 180)
GAP = 6  # pixels between cells and round the sheet
CAPTION = 14  # height of letters
TITLE = 18
LINE = 24  # height of a line of title or legend
LEGEND_LINES = 3  # further tracks are only counted


@dataclass(frozen=True)
class Band:
    """One band of a sheet. `cells`: (image, caption) each, images uint8 (H, W, 3) of one shape.

    `legend`: track id -> name, shown in the track's colour below the cells. `track`: the one track that the whole band
    is about, whose colour stands before the title.
    """

    title: str
    cells: Sequence[tuple[UInt8Array, str]]
    legend: Mapping[int, str] = field(default_factory=dict)
    track: int | None = None


def contact_sheet(bands: Sequence[Band], columns: int = 4, width: int = 1600) -> UInt8Array:
    """All bands below each other, uint8 (H, width, 3); a band of more cells than columns takes several rows.

    Raises UsageError without cells, and where the columns leave a cell less than 16 pixels.
    """
    if not any(band.cells for band in bands):
        raise UsageError("nothing to show on the sheet", "choose a clip, tracks or frames that exist")
    columns = min(columns, max(len(band.cells) for band in bands))
    cell = cell_width(columns, width)
    return np.concatenate([_draw_band(band, columns, cell, width) for band in bands if band.cells])


def cell_width(columns: int, width: int) -> int:
    """Pixels that a cell is wide. Raises UsageError where that is less than 16."""
    cell = (width - GAP * (columns + 1)) // columns
    if cell < 16:
        raise UsageError(f"{columns} columns do not fit into a sheet {width} pixels wide", "raise --max-width")
    return cell


def evenly_spaced(numbers: Sequence[int], count: int) -> list[int]:
    """`count` of the numbers with the first and the last among them, the middle one for a count of 1; all if fewer."""
    if count >= len(numbers):
        return list(numbers)
    if count == 1:
        return [numbers[len(numbers) // 2]]
    return [numbers[round(i * (len(numbers) - 1) / (count - 1))] for i in range(count)]


def _draw_band(band: Band, columns: int, cell: int, width: int) -> UInt8Array:
    legend = _lines_of_legend(band.legend, width - 2 * GAP)
    height = max(1, round(cell * band.cells[0][0].shape[0] / band.cells[0][0].shape[1]))
    rows = -(-len(band.cells) // columns)
    grid_top = GAP + LINE
    legend_top = grid_top + rows * (height + GAP)
    sheet = np.full((legend_top + LINE * len(legend) + GAP, width, 3), PAPER, np.uint8)
    _draw_title(sheet, band, width)
    for i, (image, caption) in enumerate(band.cells):
        row, column = divmod(i, columns)
        _draw_cell(sheet, image, caption, GAP + column * (cell + GAP), grid_top + row * (height + GAP), (cell, height))
    for i, entries in enumerate(legend):
        _draw_legend_line(sheet, entries, legend_top + i * LINE)
    return sheet


def _draw_title(sheet: UInt8Array, band: Band, width: int) -> None:
    left = GAP
    if band.track is not None:
        _draw_swatch(sheet, band.track, left, GAP + 4)
        left += CAPTION + 6
    draw_text(sheet, shorten(band.title, TITLE, width - left - GAP), left, GAP - 2, TITLE, halo=None)


def _draw_swatch(sheet: UInt8Array, track: int, x: int, y: int) -> None:
    sheet[y : y + CAPTION, x : x + CAPTION] = colour_of(track)


def _draw_cell(sheet: UInt8Array, image: UInt8Array, caption: str, x: int, y: int, size: tuple[int, int]) -> None:
    shrinks = size[0] < image.shape[1]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    draw_text(small, shorten(caption, CAPTION, size[0] - 6), 3, 1, CAPTION)
    sheet[y : y + size[1], x : x + size[0]] = small


def _lines_of_legend(legend: Mapping[int, str], width: int) -> list[list[tuple[int | None, str, int]]]:
    """Entries (track, text, x) filled into lines; where LEGEND_LINES are full, the rest is counted in the last one."""
    lines: list[list[tuple[int | None, str, int]]] = []
    x = width
    for done, (track, name) in enumerate(legend.items()):
        text = _entry(track, name)
        taken = CAPTION + 6 + text_size(text, CAPTION)[0] + 16
        rest = text_size(_and_more(len(legend)), CAPTION)[0] if len(lines) == LEGEND_LINES else 0
        if x + taken + rest > width:
            if len(lines) == LEGEND_LINES:
                lines[-1].append((None, _and_more(len(legend) - done), x))
                break
            lines.append([])
            x = 0
        lines[-1].append((track, text, x))
        x += taken
    return lines


def _entry(track: int, name: str) -> str:
    return shorten(str(track) if name in ("", str(track)) else f"{track} {name}", CAPTION, 240)


def _and_more(count: int) -> str:
    return f"and {count} more"


def _draw_legend_line(sheet: UInt8Array, entries: Sequence[tuple[int | None, str, int]], y: int) -> None:
    for track, text, x in entries:
        left = GAP + x
        if track is not None:
            _draw_swatch(sheet, track, left, y + 3)
            left += CAPTION + 4
        draw_text(sheet, text, left, y, CAPTION, ink=LIGHT if track is not None else FAINT, halo=DARK)
