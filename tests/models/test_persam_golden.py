"""PerSAM and PerSAM-F against recordings of the published scripts, decode by decode."""

import numpy as np
import pytest
import torch
from published_sam import EACH, ComparedAsker
from sam_golden import case, golden_sam, unpacked

from engine.models.persam import image_form, video_form
from engine.models.persam.concept import VIDEO_VALUE, foreground
from engine.models.persam.mixture import Fit, losses
from engine.models.persam.prior import highest
from engine.models.persam.video_form import Largest
from engine.models.sam.prompting import Prompter

SIZE = (96, 128)
DRIFT = 5e-2  # of logits after up to three decodes in a row; their scale is 50 to 150


@pytest.fixture
def asker() -> ComparedAsker:
    return ComparedAsker(Prompter(golden_sam()))


@pytest.mark.parametrize(("letter", "fit"), [("p", None), ("f", image_form.FIT)])
@torch.inference_mode()
def test_pictures(asker: ComparedAsker, letter: str, fit: Fit | None) -> None:
    recorded = case("persam_image")
    reference = asker.prompter.embed(recorded["frames"][0])
    concepts = image_form.learn_concepts(asker, reference, (recorded["mask"] > 0)[None], fit)
    assert np.allclose(concepts.directions, recorded[f"{letter}_target_feat"], atol=1e-5)
    if concepts.weights is None:
        assert np.allclose(concepts.means[0], recorded["p_target_embedding"], atol=1e-4)
    else:
        assert np.allclose(concepts.weights[0, 1:, None], recorded["f_weights"], atol=1e-4)
    for t, frame in enumerate(recorded["frames"]):
        asker.log.clear()
        logits = image_form.segment(asker, asker.prompter.embed(frame), concepts)
        assert len(asker.log) == 3
        for s, (question, answers) in enumerate(asker.log):
            name = f"{letter}_{t}_{s}"
            which = slice(1) if name.startswith("p") and s == 0 else slice(1, None)
            assert np.allclose(answers.logits[0, which, ::2, ::2], recorded[f"{name}_low"], atol=DRIFT if s else EACH)
            assert np.allclose(answers.scores[0, which], recorded[f"{name}_scores"], atol=1e-4)
            assert np.array_equal(question.points[0], recorded[f"{name}_points"])
            assert np.array_equal(question.labels[0], recorded[f"{name}_labels"])
            if question.boxes is not None:
                assert np.array_equal(question.boxes, recorded[f"{name}_box"])
        assert np.array_equal(logits[0] > 0, unpacked(recorded[f"{letter}_final_packed"], *SIZE)[t])
    assert asker.furthest < EACH


@pytest.mark.parametrize(("letters", "fit"), [("v", None), ("vf", video_form.FIT)])
@torch.inference_mode()
def test_videos(asker: ComparedAsker, letters: str, fit: Fit | None) -> None:
    recorded = case("persam_video")
    masks = np.stack([recorded["first_mask"] == label for label in (1, 2)])
    concepts = video_form.learn_concepts(asker, asker.prompter.embed(recorded["frames"][0]), masks, fit)
    if concepts.weights is not None:
        assert np.allclose(concepts.weights[:, 1:, None], recorded["vf_weights"], atol=1e-4)
        question = asker.log[0][0]
        assert np.array_equal(question.points[0], recorded["vf_train0_points"])
        assert np.array_equal(question.boxes[[1]], recorded["vf_train1_box"])
    boxes = video_form.asked_boxes(masks)[0]
    for t, frame in enumerate(recorded["frames"][1:]):
        asker.log.clear()
        logits = video_form.segment(asker, asker.prompter.embed(frame), concepts, boxes, Largest(modulo=True))
        for s, (question, answers) in enumerate(asker.log):
            for row in range(2):
                track = f"{letters}_{2 * t + row}"
                low = answers.logits[row, 1:, ::4, ::4]
                assert np.allclose(low, recorded[f"{track}_{s}_low"], atol=DRIFT if s else EACH)
                assert np.allclose(answers.scores[row, 1:], recorded[f"{track}_{s}_scores"], atol=1e-4)
                assert np.array_equal(question.points[row], recorded[f"{track}_points"])
                assert (question.boxes is None) == (f"{track}_{s}_box" not in recorded)
                if question.boxes is not None:
                    assert np.array_equal(question.boxes[[row]], recorded[f"{track}_{s}_box"])
        labels = torch.cat([torch.zeros(1, *SIZE), logits]).argmax(0).numpy()
        assert np.array_equal(labels, recorded[f"{letters}_pred"][t])
        boxes = video_form.asked_boxes(np.stack([labels == 1, labels == 2]))[0]
    assert asker.furthest < EACH


def test_the_largest_mask_and_the_one_with_the_largest_remainder() -> None:
    masks = torch.zeros(1, 3, 32, 32, dtype=torch.bool)
    for index, area in enumerate((100, 300, 250)):
        masks[0, index].view(-1)[:area] = True
    assert Largest().choose(masks).tolist() == [1]
    assert Largest(modulo=True).choose(masks).tolist() == [2]  # 300 counts as 44


def test_a_picture_of_one_pixel_has_one_likeliest_pixel() -> None:
    assert highest(torch.zeros(2, 1, 1), 2).tolist() == [[[0, 0]]] * 2


def test_a_mask_smaller_than_a_cell_has_one_cell(asker: ComparedAsker) -> None:
    image = case("persam_video")["frames"][0]
    mask = np.zeros(SIZE, np.bool_)
    mask[50, 90] = True
    cells = foreground(asker.prompter, asker.prompter.embed(image), mask, VIDEO_VALUE)
    assert int(cells.sum()) == 1
    assert bool(cells[int(50.5 * 2 / 16), int(90.5 * 2 / 16)])


@torch.inference_mode()
def test_a_concept_that_is_nowhere_gives_an_empty_mask(asker: ComparedAsker) -> None:
    image = case("persam_video")["frames"][0]
    embedding = asker.prompter.embed(image)
    masks = case("persam_video")["first_mask"][None] == 1
    concepts = video_form.learn_concepts(asker, embedding, masks, None)
    asker.prompter.threshold = 1e6  # nothing is above
    logits = video_form.segment(asker, embedding, concepts, video_form.asked_boxes(masks)[0])
    assert bool(torch.isneginf(logits).all())


def test_losses_begin_where_the_published_ones_do(asker: ComparedAsker) -> None:
    recorded = case("persam_image")
    mask = torch.from_numpy(recorded["mask"] > 0).float().flatten()
    with torch.inference_mode():
        embedding = asker.prompter.embed(recorded["frames"][0])
        image_form.learn_concepts(asker, embedding, (recorded["mask"] > 0)[None], Fit(1))
        full = embedding.upsampler.full(asker.log[0][1].logits[0, 1:]).flatten(1)
    assert np.allclose(asker.log[0][1].logits[0, 1:, ::2, ::2], recorded["f_train_low"], atol=EACH)
    for step, weights in ((0, torch.full((3,), 1 / 3)), (-1, None)):
        if weights is None:
            last = torch.from_numpy(recorded["f_weights"][:, 0])
            weights = torch.cat([1 - last.sum(0, keepdim=True), last])
        found = torch.stack(losses((weights[:, None] * full).sum(0), mask))
        assert np.allclose(found, recorded["f_loss_dice_focal"][step], atol=1e-4)
