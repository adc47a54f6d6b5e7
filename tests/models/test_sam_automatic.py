"""Automatic masks against the recorded ones and against segment-anything's own generator."""

import dataclasses

import cv2
import numpy as np
import pytest
from sam_golden import case, golden_sam, unpacked
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.utils.amg import remove_small_regions

from engine.masks.boxed import BoxedMask, iou
from engine.models.sam.automatic import Proposal, ProposalSettings, nms_of, propose
from engine.models.sam.config import CONFIGS
from engine.models.sam.crops import crops_of, grid_points
from engine.models.sam.prompting import Prompter
from engine.models.sam.regions import without_small_regions

RECORDED = ProposalSettings(points_per_side=6, predicted_iou=0.6, stability=0.9)


@pytest.fixture(scope="module")
def core() -> dict[str, np.ndarray]:
    return case("core")


def test_recorded_masks(core: dict[str, np.ndarray]) -> None:
    found = propose(Prompter(golden_sam()), core["image"], RECORDED)
    masks = unpacked(core["auto_masks_packed"], 96, 128)
    assert len(found) == len(masks)
    for proposal, mask, score, stability, box, point in zip(
        found, masks, core["auto_iou"], core["auto_stability"], core["auto_bbox"], core["auto_points"], strict=True
    ):
        assert np.array_equal(proposal.mask.whole(96, 128), mask)
        assert proposal.score == pytest.approx(score, abs=1e-4)
        assert proposal.stability == pytest.approx(stability, abs=1e-4)
        kept = proposal.mask
        assert (kept.left, kept.top, kept.crop.shape[1] - 1, kept.crop.shape[0] - 1) == tuple(box)
        assert proposal.point == pytest.approx(tuple(point))


@pytest.mark.parametrize("divisor", [1, 2])
def test_crop_layers_are_those_of_the_generator(divisor: int, core: dict[str, np.ndarray]) -> None:
    settings = ProposalSettings(5, 0.4, 0.85, 1.0, 0.9, 1, 0.8, 512 / 1500, divisor)
    reference = SamAutomaticMaskGenerator(
        golden_sam(),
        points_per_side=5,
        pred_iou_thresh=0.4,
        stability_score_thresh=0.85,
        box_nms_thresh=0.9,
        crop_n_layers=1,
        crop_nms_thresh=0.8,
        crop_n_points_downscale_factor=divisor,
    ).generate(core["image"])
    found = propose(Prompter(golden_sam()), core["image"], settings)
    assert len(found) == len(reference) > 5

    def ours(proposal: Proposal) -> tuple[object, ...]:
        return proposal.crop, round(proposal.score, 3), proposal.mask.area

    def theirs(record: dict) -> tuple[object, ...]:
        x, y, w, h = (int(v) for v in record["crop_box"])
        return (x, y, x + w, y + h), round(record["predicted_iou"], 3), record["area"]

    assert sorted(map(ours, found)) == sorted(map(theirs, reference))
    by_key = {theirs(record): record["segmentation"] for record in reference}
    assert all(np.array_equal(p.mask.whole(96, 128), by_key[ours(p)]) for p in found)


@pytest.mark.parametrize("least", [30, 200])
def test_small_regions_go_as_in_the_generator(least: int, core: dict[str, np.ndarray]) -> None:
    settings = ProposalSettings(6, 0.4, 0.8, box_nms=0.9, least_region=least / (96 * 128))
    reference = SamAutomaticMaskGenerator(
        golden_sam(),
        points_per_side=6,
        pred_iou_thresh=0.4,
        stability_score_thresh=0.8,
        box_nms_thresh=0.9,
        min_mask_region_area=least,
    ).generate(core["image"])
    prompter = Prompter(golden_sam())
    found = propose(prompter, core["image"], settings)
    assert len(found) == len(reference) > 5
    by_score = {round(record["predicted_iou"], 4): record["segmentation"] for record in reference}
    for proposal in found:
        assert np.array_equal(proposal.mask.whole(96, 128), by_score[round(proposal.score, 4)])
    rough = propose(prompter, core["image"], dataclasses.replace(settings, least_region=0.0))
    assert sum(p.mask.area for p in rough) != sum(p.mask.area for p in found)


def test_small_regions_of_a_window_are_those_of_the_picture() -> None:
    rng = np.random.default_rng(5)
    for least in (1, 3, 10, 40, 150, 2000):
        for height, width in ((60, 80), (7, 90), (90, 4)):
            noise = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 1.5)
            mask = noise > rng.uniform(0.0, 0.3)
            top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
            mask[:top], mask[:, :left] = False, False
            if not mask.any():
                continue
            expected = remove_small_regions(remove_small_regions(mask, least, "holes")[0], least, "islands")[0]
            found = without_small_regions(BoxedMask.of(mask), (height, width), least)
            assert np.array_equal(found.whole(height, width), expected)


def test_a_known_embedding_is_not_made_again(core: dict[str, np.ndarray]) -> None:
    prompter = Prompter(golden_sam())
    embedding = prompter.embed(core["image"])
    found = propose(prompter, core["image"], RECORDED, embedding)
    assert (prompter.encoder_calls, prompter.decoder_calls) == (1, 1)
    assert len(found) == 4


def test_points_outside_are_not_asked(core: dict[str, np.ndarray]) -> None:
    where = np.zeros((96, 128), np.bool_)
    where[:, :40] = True
    asked: list[int] = []
    found = propose(Prompter(golden_sam()), core["image"], RECORDED, where=where, on_points=asked.append)
    assert sum(asked) == 6 * 2
    assert all(proposal.point[0] < 40 for proposal in found)
    assert propose(Prompter(golden_sam()), core["image"], RECORDED, where=np.zeros((96, 128), np.bool_)) == []


def test_grid_and_crops() -> None:
    assert grid_points(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    crops = crops_of(100, 200, 2, 0.34)
    assert [crop.layer for crop in crops] == [0] + [1] * 4 + [2] * 16
    covered = np.zeros((100, 200), np.int64)
    for crop in crops:
        covered[crop.y0 : crop.y1, crop.x0 : crop.x1] += 1
    assert covered.min() >= 3


def test_masks_alike_go_by_their_pixels(core: dict[str, np.ndarray]) -> None:
    every = ProposalSettings(6, 0.4, 0.8, box_nms=None)
    prompter = Prompter(golden_sam())
    embedding = prompter.embed(core["image"])
    found, kept = (
        propose(prompter, core["image"], dataclasses.replace(every, mask_nms=most), embedding) for most in (None, 0.7)
    )
    assert 3 < len(kept) < len(found)
    values = [p.score * p.stability for p in kept]
    assert values == sorted(values, reverse=True)
    for place, proposal in enumerate(kept):  # small masks are coarse where they are compared
        assert all(iou(proposal.mask, other.mask) < 0.8 for other in kept[:place])
    assert np.array_equal(kept[0].mask.crop, max(found, key=lambda p: p.score * p.stability).mask.crop)


def test_which_test_belongs_to_which_sam() -> None:
    assert nms_of(CONFIGS["sam-vit-b"]) == (0.7, None)
    assert nms_of(CONFIGS["sam-tiny"]) == (None, 0.7)
    assert nms_of(CONFIGS["sam-tiny"], 0.9) == nms_of(CONFIGS["sam-vit-b"], 0.9) == (0.9, None)
