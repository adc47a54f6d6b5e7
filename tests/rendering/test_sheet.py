"""Contact sheets: sizes, places of cells, legends; which frames are chosen."""

import numpy as np
import pytest

from engine.errors import UsageError
from engine.rendering.colours import colour_of
from engine.rendering.sheet import (
    CAPTION,
    GAP,
    LEGEND_LINES,
    LINE,
    PAPER,
    Band,
    cell_width,
    contact_sheet,
    evenly_spaced,
)


def cell(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def count_of(sheet: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((sheet == colour).all(axis=2).sum())


def test_size_of_a_sheet_follows_from_its_rows() -> None:
    band = Band("clip", [(cell(50), str(i)) for i in range(5)], {1: "one"})
    sheet = contact_sheet([band], columns=2, width=318)
    side, height = 150, 112  # cells keep the proportions 64:48
    assert cell_width(2, 318) == side
    assert sheet.shape == (GAP + LINE + 3 * (height + GAP) + LINE + GAP, 318, 3)
    assert sheet.dtype == np.uint8


def test_cells_stand_in_reading_order_and_the_last_row_may_be_short() -> None:
    band = Band("clip", [(cell(60 * i), "") for i in range(1, 4)])
    sheet = contact_sheet([band], columns=2, width=318)
    middle, below = GAP + LINE + 56, GAP + LINE + 112 + GAP + 56
    assert [int(sheet[middle, x, 0]) for x in (GAP + 75, 2 * GAP + 225)] == [60, 120]
    assert int(sheet[below, GAP + 75, 0]) == 180
    assert tuple(sheet[below, 2 * GAP + 225]) == PAPER


def test_bands_stand_below_each_other() -> None:
    bands = [Band("a", [(cell(90), "0")]), Band("b", [(cell(180), "0")]), Band("none", [])]
    sheet = contact_sheet(bands, columns=1, width=200)
    one = contact_sheet(bands[:1], columns=1, width=200)
    assert sheet.shape[0] == 2 * one.shape[0]
    assert np.array_equal(sheet[: len(one)], one)


def test_fewer_cells_than_columns_grow_to_the_width() -> None:
    sheet = contact_sheet([Band("a", [(cell(90), "")])], columns=6, width=212)
    assert count_of(sheet, (90, 90, 90)) == 200 * 150


def test_legend_shows_each_track_in_its_colour() -> None:
    sheet = contact_sheet([Band("a", [(cell(90), "")], {3: "wheel", 8: ""})], columns=1, width=300)
    assert count_of(sheet, colour_of(3)) == CAPTION**2
    assert count_of(sheet, colour_of(8)) == CAPTION**2


def test_long_legends_end_in_a_count() -> None:
    short = contact_sheet([Band("a", [(cell(90), "")])], columns=1, width=300)
    long = contact_sheet([Band("a", [(cell(90), "")], dict.fromkeys(range(500), ""))], columns=1, width=300)
    assert len(long) - len(short) == LEGEND_LINES * LINE
    assert count_of(long, colour_of(0)) == CAPTION**2
    assert count_of(long, colour_of(499)) == 0


def test_caption_is_written_on_the_cell() -> None:
    plain = contact_sheet([Band("a", [(cell(90), "")])], columns=1, width=300)
    captioned = contact_sheet([Band("a", [(cell(90), "00012")])], columns=1, width=300)
    rows, columns = np.nonzero((plain != captioned).any(axis=2))
    assert rows.max() < GAP + LINE + 2 * CAPTION
    assert columns.max() < 80


def test_names_of_any_kind_are_written() -> None:
    band = Band("ein sehr langer Name " * 20, [(cell(90), "0" * 100)], {1: "äöü 漢字 " * 30, 2: "a\nb"})
    assert contact_sheet([band], columns=1, width=200).shape[1] == 200


@pytest.mark.parametrize("bands", [[], [Band("a", [])]])
def test_nothing_to_show_is_an_error(bands: list[Band]) -> None:
    with pytest.raises(UsageError, match="nothing to show"):
        contact_sheet(bands)


def test_too_many_columns_are_an_error() -> None:
    with pytest.raises(UsageError, match="40 columns do not fit into a sheet 300 pixels wide"):
        contact_sheet([Band("a", [(cell(1), "")] * 40)], columns=40, width=300)


@pytest.mark.parametrize(
    ("length", "count", "expected"),
    [(10, 3, [0, 4, 9]), (10, 1, [5]), (3, 8, [0, 1, 2]), (5, 5, [0, 1, 2, 3, 4]), (0, 4, []), (1, 1, [0])],
)
def test_evenly_spaced(length: int, count: int, expected: list[int]) -> None:
    assert evenly_spaced(range(length), count) == expected
