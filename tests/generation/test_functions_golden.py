"""Each function of the pipeline against what the reference implementation gave."""

import numpy as np
import pytest
from sam_golden import case, unpacked

from engine.generation.cycle import consistent, cycle_error, warp
from engine.generation.sampling import PointSampler, cluster_centres, pixels_of
from engine.generation.suppression import limited, without_duplicates
from engine.masks.boxed import BoxedMask, iou


@pytest.fixture(scope="module")
def functions() -> dict[str, np.ndarray]:
    return case("pipeline_functions")


@pytest.fixture(scope="module")
def masks(functions: dict[str, np.ndarray]) -> list[BoxedMask]:
    _, height, width = functions["shape"]
    return [BoxedMask.of(mask) for mask in unpacked(functions["masks_packed"], height, width)]


def test_cycle_errors(functions: dict[str, np.ndarray]) -> None:
    there, back = functions["flow"], functions["flow_inv"]
    assert np.allclose(cycle_error(there, back), functions["cycle_error"], atol=1e-4)
    assert np.allclose(cycle_error(back, there), functions["cycle_error_inv"], atol=1e-4)
    assert np.array_equal(consistent(there, back), functions["cycle_error"] < 3)


def test_leaving_the_frame_slowly_is_consistent() -> None:
    flow = np.zeros((2, 8, 8), np.float32)
    flow[0] = 2
    assert consistent(flow, -flow).all()
    assert cycle_error(flow, -flow)[0].tolist() == pytest.approx([0, 0, 0, 0, 0, 0, 2, 2])


def test_iou_matrix_and_suppression(functions: dict[str, np.ndarray], masks: list[BoxedMask]) -> None:
    ours = np.array([[iou(a, b) for b in masks] for a in masks])
    assert np.allclose(ours, functions["ious"], atol=1e-6)
    assert without_duplicates(masks, 0.7) == functions["nms_kept"].tolist()
    assert len(functions["nms_kept_greedy_not_reference"]) > len(functions["nms_kept"])


def test_warped_masks(functions: dict[str, np.ndarray], masks: list[BoxedMask]) -> None:
    _, height, width = functions["shape"]
    there, back = functions["flow"], functions["flow_inv"]
    for keep, name in ((consistent(there, back), "warped_packed"), (None, "warped_unfiltered_packed")):
        ours = np.stack([mask.whole(height, width) for mask in warp(masks, back, keep)])
        assert np.array_equal(ours, unpacked(functions[name], height, width))


def test_cluster_centres_are_as_good_as_the_recorded_ones(
    functions: dict[str, np.ndarray], masks: list[BoxedMask]
) -> None:
    pixels = pixels_of(masks[0])
    centres = cluster_centres(pixels, 5)
    inertia = ((pixels[:, None] - centres) ** 2).sum(2).min(1).sum()
    assert inertia <= 1.01 * functions["kmeans_inertia"]
    assert np.array_equal(centres, cluster_centres(pixels, 5))


def test_points_are_pixels_of_the_mask_and_drawn_without_replacement(masks: list[BoxedMask]) -> None:
    drawn = PointSampler(3, "clip")(masks[0], 4, 2, 1)
    assert drawn.shape == (5, 5, 2)
    inside = {tuple(pixel) for pixel in pixels_of(masks[0]).tolist()}
    for prompt in drawn.astype(int).tolist():
        assert len({tuple(point) for point in prompt}) == 5
        assert {tuple(point) for point in prompt} <= inside


def test_draws_depend_on_what_they_are_for_and_on_nothing_else(masks: list[BoxedMask]) -> None:
    first = PointSampler(3, "clip")(masks[0], 4, 2, 1)
    sampler = PointSampler(3, "clip")
    sampler(masks[1], 9, 9, 9)
    assert np.array_equal(sampler(masks[0], 4, 2, 1), first)
    others = [
        PointSampler(4, "clip")(masks[0], 4, 2, 1),
        PointSampler(3, "other")(masks[0], 4, 2, 1),
        sampler(masks[0], 5, 2, 1),
        sampler(masks[0], 4, 3, 1),
        sampler(masks[0], 4, 2, 2),
    ]
    assert all(not np.array_equal(first, other) for other in others)


def test_tiny_masks_give_all_their_pixels_row_by_row_once() -> None:
    mask = np.zeros((10, 10), np.bool_)
    mask[4, [2, 7]] = mask[6, 1] = True
    assert PointSampler(0, "clip")(BoxedMask.of(mask), 1, 0, 1).tolist() == [[[2, 4], [7, 4], [1, 6]]]
    assert PointSampler(0, "clip", method="kmeans")(BoxedMask.of(np.ones((9, 9), np.bool_)), 1, 0, 1).shape == (1, 5, 2)


def _squares(sides: list[int]) -> list[BoxedMask]:
    return [BoxedMask(0, 0, np.ones((side, side), np.bool_)) for side in sides]


def test_large_masks_stay_and_small_ones_fill_up() -> None:
    masks = _squares([5, 20, 6, 30, 7, 8])
    kept = limited(masks, 10_000, np.random.default_rng(0), most=4)
    assert kept.indices[:2] == [1, 3] and kept.dropped_large == 0
    assert len(kept.indices) == len(set(kept.indices)) == 4
    assert limited(masks, 10_000, np.random.default_rng(0), most=6).indices == [0, 1, 2, 3, 4, 5]


def test_more_large_masks_than_allowed_do_no_harm() -> None:
    kept = limited(_squares([20] * 7 + [1]), 10_000, np.random.default_rng(0), most=5)
    assert (kept.indices, kept.dropped_large) == ([0, 1, 2, 3, 4], 2)


def test_exactly_one_percent_is_not_large() -> None:
    masks = _squares([10, 11, 1])
    assert limited(masks, 10_000, np.random.default_rng(0), most=1).indices == [1]
