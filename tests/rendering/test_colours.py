"""Colours of tracks: fixed, far apart, readable on dark and on light."""

from itertools import combinations

import cv2
import numpy as np
import pytest

from engine.rendering.colours import colour_of, oklch_to_rgb, tint_of


def lab(colours: list[tuple[int, int, int]]) -> np.ndarray:
    """CIE L*a*b* by OpenCV, where a distance of 2.3 is just noticeable."""
    return cv2.cvtColor(np.array([colours], np.float32) / 255, cv2.COLOR_RGB2LAB)[0]


@pytest.mark.parametrize(
    ("track", "expected"), [(0, (81, 187, 0)), (1, (103, 114, 255)), (2, (255, 155, 88)), (7, (241, 40, 72))]
)
def test_colour_never_changes(track: int, expected: tuple[int, int, int]) -> None:
    assert colour_of(track) == expected


def test_neighbouring_ids_differ_clearly() -> None:
    values = lab([colour_of(i) for i in range(200)])
    near = [np.linalg.norm(values[i] - values[j]) for i, j in combinations(range(200), 2) if j - i <= 4]
    assert min(near) > 25


def test_first_hundred_ids_are_all_different() -> None:
    assert len({colour_of(i) for i in range(100)}) == 100


def test_colours_stand_out_on_black_and_on_white() -> None:
    lightness = lab([colour_of(i) for i in range(300)])[:, 0]
    assert lightness.min() > 45
    assert lightness.max() < 85


@pytest.mark.parametrize("track", [-3, 2**40])
def test_any_id_has_a_colour(track: int) -> None:
    assert all(0 <= channel <= 255 for channel in colour_of(track))


def test_greys_of_oklch_are_greys() -> None:
    for lightness in (0.0, 0.25, 0.5, 1.0):
        red, green, blue = oklch_to_rgb(lightness, 0.0, 77.0)
        assert max(red, green, blue) - min(red, green, blue) <= 1
    assert oklch_to_rgb(1.0, 0.2, 0.0) == (255, 255, 255)


def test_pure_red_comes_back_from_its_oklch() -> None:
    assert oklch_to_rgb(0.62796, 0.25768, 29.234) == pytest.approx((255, 0, 0), abs=1)


def test_tint_is_lighter() -> None:
    assert tint_of((0, 100, 255)) == (127, 177, 255)
