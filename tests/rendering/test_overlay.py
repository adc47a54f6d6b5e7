"""Overlays, pixel by pixel."""

import cv2
import numpy as np
import pytest
from rendering_fakes import block

from engine.errors import MaskError
from engine.rendering.colours import DARK, colour_of
from engine.rendering.overlay import line_width, overlay

GREY = np.full((24, 32, 3), 100, np.uint8)


def noise(height: int = 24, width: int = 32) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def mixed(image: int, paint: np.ndarray, alpha: float) -> np.ndarray:
    return np.rint((1 - alpha) * image + alpha * paint)


def test_pixels_outside_masks_and_rings_keep_their_values() -> None:
    image, mask = noise(), block(6, 8, 18, 20)
    drawn = overlay(image, {1: mask})
    reach = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert np.array_equal(drawn[~reach], image[~reach])
    assert (drawn[mask] != image[mask]).any(axis=1).mean() > 0.95


def test_without_contours_nothing_outside_the_masks_changes() -> None:
    image, mask = noise(), block(6, 8, 18, 20)
    drawn = overlay(image, {1: mask}, contour=False)
    assert np.array_equal(drawn[~mask], image[~mask])


def test_image_is_not_changed_in_place() -> None:
    image = noise()
    before = image.copy()
    overlay(image, {1: block(2, 2, 20, 20)}, labels=True)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_fill_is_the_weighted_mean_of_image_and_colour(alpha: float) -> None:
    drawn = overlay(GREY, {4: block(6, 8, 18, 20)}, alpha=alpha, contour=False)
    assert drawn[10, 10] == pytest.approx(mixed(100, np.array(colour_of(4)), alpha), abs=1)


def test_smaller_track_takes_half_of_what_lies_below() -> None:
    masks = {7: block(0, 0, 24, 32), 2: block(4, 4, 20, 24), 9: block(8, 8, 12, 12)}
    drawn = overlay(GREY, masks, alpha=0.6, contour=False)
    outer, middle, inner = (np.array(colour_of(i), float) for i in (7, 2, 9))
    assert drawn[1, 1] == pytest.approx(mixed(100, outer, 0.6), abs=1)
    assert drawn[5, 5] == pytest.approx(mixed(100, outer / 2 + middle / 2, 0.6), abs=2)
    assert drawn[9, 9] == pytest.approx(mixed(100, outer / 4 + middle / 4 + inner / 2, 0.6), abs=2)


def test_order_of_the_mapping_does_not_matter() -> None:
    masks = {7: block(0, 0, 24, 32), 2: block(4, 4, 20, 24), 9: block(8, 8, 12, 12)}
    turned = dict(reversed(masks.items()))
    assert np.array_equal(overlay(noise(), masks), overlay(noise(), turned))


def test_contour_lies_on_the_inner_rim_in_full_colour_with_a_dark_ring() -> None:
    drawn = overlay(GREY, {6: block(6, 8, 18, 20)}, alpha=0.4)
    assert tuple(drawn[6, 12]) == tuple(drawn[17, 12]) == tuple(drawn[12, 8]) == tuple(drawn[12, 19]) == colour_of(6)
    assert tuple(drawn[5, 12]) == tuple(drawn[18, 12]) == tuple(drawn[12, 7]) == tuple(drawn[12, 20]) == DARK
    assert tuple(drawn[7, 12]) not in (colour_of(6), DARK)


def test_contour_of_the_smaller_track_crosses_the_larger_and_both_are_whole() -> None:
    drawn = overlay(GREY, {1: block(4, 2, 20, 24), 2: block(9, 14, 15, 30)})
    assert tuple(drawn[4, 10]) == colour_of(1)
    assert tuple(drawn[12, 23]) == colour_of(1), "the larger track's rim shows inside the smaller"
    assert tuple(drawn[9, 18]) == colour_of(2), "the smaller track's rim shows inside the larger"


def test_coinciding_rims_show_every_track() -> None:
    mask = block(2, 2, 22, 30)
    drawn = overlay(GREY, {1: mask, 2: mask, 3: mask})
    top = {tuple(pixel) for pixel in drawn[2, 2:30].tolist()}
    assert top == {colour_of(1), colour_of(2), colour_of(3)}


def test_no_line_along_the_border_of_the_image() -> None:
    drawn = overlay(GREY, {1: block(0, 0, 24, 16)}, alpha=0.5)
    assert tuple(drawn[10, 0]) == tuple(drawn[0, 5]) == tuple(drawn[10, 5])
    assert tuple(drawn[10, 15]) == colour_of(1)


def test_empty_masks_and_no_masks_leave_the_image() -> None:
    image = noise()
    assert np.array_equal(overlay(image, {}), image)
    assert np.array_equal(overlay(image, {1: np.zeros((24, 32), bool)}, labels=True), image)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (7, 1), (3, 5), (241, 427)])
def test_odd_and_tiny_sizes(height: int, width: int) -> None:
    image = noise(height, width)
    drawn = overlay(image, {0: np.ones((height, width), bool), 1: np.eye(height, width, dtype=bool)}, labels=True)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8


def test_a_mask_of_one_pixel_is_seen() -> None:
    drawn = overlay(GREY, {1: block(10, 10, 11, 11)})
    assert tuple(drawn[10, 10]) == colour_of(1)
    assert tuple(drawn[9, 9]) == DARK


def test_views_that_are_not_contiguous() -> None:
    image, mask = noise(48, 64), block(10, 10, 40, 50, 48, 64)
    view = overlay(image[::2, ::2], {1: mask[::2, ::2]})
    assert np.array_equal(view, overlay(image[::2, ::2].copy(), {1: mask[::2, ::2].copy()}))


def test_masks_that_lie_column_by_column() -> None:
    masks = {1: block(6, 8, 18, 20), 2: block(0, 25, 24, 32), 3: np.zeros((24, 32), bool)}
    turned = {track: np.asfortranarray(mask) for track, mask in masks.items()}
    assert np.array_equal(overlay(noise(), turned), overlay(noise(), masks))


def test_labels_are_written_inside_the_image_near_their_track() -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    masks = {1: block(0, 130, 30, 160, 120, 160)}
    bare, written = overlay(image, masks), overlay(image, masks, labels={1: "a long name"})
    rows, columns = np.nonzero((bare != written).any(axis=2))
    assert rows.max() < 40
    assert columns.min() > 60
    assert columns.size > 100


def test_labels_do_not_cover_each_other() -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    mask = block(10, 10, 110, 150, 120, 160)
    extents = []
    for name in ({1: "one"}, {1: "one", 2: "two"}):
        masks = dict.fromkeys(name, mask)
        extents.append((overlay(image, masks, labels=name) != overlay(image, masks)).any(axis=2).sum())
    assert extents[1] > 1.5 * extents[0]


def test_mask_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(MaskError, match=r"track 8: its mask is 30x24, the image is 32x24"):
        overlay(GREY, {8: np.ones((24, 30), bool)})


@pytest.mark.parametrize(("shape", "expected"), [((24, 32, 3), 1), ((480, 854, 3), 2), ((1080, 1920, 3), 3)])
def test_lines_grow_with_the_image(shape: tuple[int, ...], expected: int) -> None:
    assert line_width(np.zeros(shape, np.uint8)) == expected
