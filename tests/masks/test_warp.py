"""Masks moved along flow: whole pixels exactly, halves bilinearly, nothing from outside."""

import numpy as np
import pytest

from engine.masks.warp import warp_backward


def shifted(x: float, y: float, size: tuple[int, int] = (6, 8)) -> np.ndarray:
    return np.stack([np.full(size, x, np.float32), np.full(size, y, np.float32)])


def test_no_flow_changes_nothing() -> None:
    masks = np.random.default_rng(0).random((3, 6, 8), np.float32)
    assert np.array_equal(warp_backward(masks, shifted(0, 0)), masks)


@pytest.mark.parametrize(("x", "y"), [(1, 0), (0, 1), (2, -3), (-1, 2)])
def test_whole_pixels_are_read_where_the_flow_points(x: int, y: int) -> None:
    mask = np.random.default_rng(1).random((6, 8), np.float32)
    expected = np.zeros_like(mask)
    for row in range(6):
        for column in range(8):
            if 0 <= row + y < 6 and 0 <= column + x < 8:
                expected[row, column] = mask[row + y, column + x]
    assert np.allclose(warp_backward(mask[None], shifted(x, y))[0], expected)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    mask = np.zeros((1, 6, 8), np.float32)
    mask[0, 2, 4] = 1
    moved = warp_backward(mask, shifted(0.5, 0))[0]
    assert np.allclose(moved[2, 2:6], [0, 0.5, 0.5, 0])


def test_masks_stay_between_0_and_1_and_the_input_stays_as_it_is() -> None:
    rng = np.random.default_rng(2)
    masks = (rng.random((2, 6, 8)) > 0.5).astype(np.float32)
    before = masks.copy()
    moved = warp_backward(masks, rng.normal(0, 3, (2, 6, 8)).astype(np.float32))
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert np.array_equal(masks, before)


def test_no_tracks_give_no_tracks() -> None:
    assert warp_backward(np.zeros((0, 6, 8), np.float32), shifted(1, 1)).shape == (0, 6, 8)
