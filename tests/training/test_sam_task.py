"""Promptable training: simulated users, scenes with several masks, and a loss that teaches."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from training_toys import OneScene, sam_settings, sam_task

from engine.models.sam.loading import load_sam
from engine.training.loop import Trainer
from engine.training.pictures import HEIGHT, WIDTH, load_pictures
from engine.training.prompts import error_points, inner_points, loose_boxes
from engine.training.run import open_data, train
from engine.training.sam_task import FOCAL_WEIGHT, _mask_losses, judge_first, regions_under
from engine.training.scenes import SceneSource
from engine.training.settings import TrainSettings
from engine.training.synthesis import SynthesisConfig
from engine.training.views import draw_views


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def squares() -> Tensor:
    """Three masks of 64 x 64: a large square, a small one, one pixel."""
    masks = torch.zeros(3, 64, 64)
    masks[0, 8:56, 4:40] = 1
    masks[1, 20:26, 50:60] = 1
    masks[2, 63, 0] = 1
    return masks


def test_points_lie_inside_their_masks() -> None:
    masks = squares()
    for seed in range(20):
        x, y = inner_points(masks, generator(seed)).long().unbind(1)
        assert masks[torch.arange(3), y, x].tolist() == [1, 1, 1]


def test_half_of_the_points_are_near_the_middle() -> None:
    mask = squares()[:1].expand(400, -1, -1)
    offset = inner_points(mask, generator()) - torch.tensor([21.5, 31.5])
    near = (offset.abs() < torch.tensor([10.0, 13.0])).all(1).float().mean()
    assert 0.55 < near < 0.85  # a quarter of the uniform half falls there as well


def test_boxes_are_exact_for_half_and_loose_for_the_others() -> None:
    masks = squares()[:1].expand(200, -1, -1)
    boxes = loose_boxes(masks, generator())
    exact = (boxes == torch.tensor([4.0, 8.0, 39.0, 55.0])).all(1).float().mean()
    assert 0.35 < exact < 0.65
    assert boxes.min() >= 0
    assert boxes.max() <= 63
    assert (boxes - torch.tensor([4.0, 8.0, 39.0, 55.0])).abs().max() <= 20
    assert loose_boxes(squares()[2:], generator())[0].tolist() == [0.0, 63.0, 0.0, 63.0]


def test_corrections_point_at_errors_and_say_which() -> None:
    truth = squares()[:2]
    predicted = truth.clone()
    predicted[0, 8:12] = 0  # missed
    predicted[1, 40:50, 10:20] = 1  # wrong
    for seed in range(10):
        points, labels = error_points(predicted, truth, generator(seed))
        x, y = points.long().unbind(1)
        assert labels.tolist() == [1, 0]
        assert 8 <= y[0] < 12
        assert 40 <= y[1] < 50
        assert 10 <= x[1] < 20
    points, labels = error_points(truth, truth, generator())
    assert labels.tolist() == [1, 1]


def pictures(folder: Path) -> Path:
    """Two pictures of two halves each, with a coarse and a fine partition."""
    import cv2

    folder.mkdir()
    for name in ("a", "b"):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        picture[:, WIDTH // 2 :] = 200
        cv2.imwrite(str(folder / f"{name}.png"), picture)
        coarse = np.ones((HEIGHT, WIDTH), np.uint8)
        coarse[:, WIDTH // 2 :] = 2
        fine = coarse.copy()
        fine[: HEIGHT // 2] += 2
        np.savez(folder / f"{name}.npz", segmentations=np.stack([coarse, fine]))
    return folder


def test_scenes_have_visible_masks_that_fit_the_picture(tmp_path: Path) -> None:
    pool = load_pictures(pictures(tmp_path / "p"))
    config = SynthesisConfig(size=64, frames=2)
    images, masks, layers = SceneSource(config, 3, pool, generator()).batch(12)
    assert images.shape == (12, 3, 64, 64)
    assert masks.shape == (12, 3, 64, 64)
    assert images.min() >= 0
    assert images.max() <= 1
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert (masks.mean((2, 3)) >= 0.004).all()
    again = SceneSource(config, 3, pool, generator()).batch(12)
    assert torch.equal(images, again[0])
    assert torch.equal(masks, again[1])
    assert torch.equal(layers, again[2])
    for mask, maps in zip(masks.flatten(0, 1), layers.repeat_interleave(3, 0), strict=True):
        labels = maps.flatten(1)[:, mask.flatten().argmax()]
        same = ((maps == labels[:, None, None]) == (mask > 0.5)).flatten(1).all(1)
        assert (same & (labels > 0)).any()  # whatever is asked for is one of the things that its points may mean


def test_whole_pictures_end_where_their_padding_begins() -> None:
    grid, outside = draw_views(200, 48, generator())
    share = outside.float().mean((1, 2))
    whole = share > 0
    assert 0.3 < whole.float().mean() < 0.5
    assert share[whole].min() > 0.2
    assert share[whole].max() < 0.43
    at_edge = outside[whole][:, -1, -1]
    assert at_edge.all()
    looked_at = grid[whole][~outside[whole]]
    assert looked_at.min() > -1.01
    assert looked_at.max() < 1.01


def test_natural_regions_follow_the_borders_of_the_picture(tmp_path: Path) -> None:
    pool = load_pictures(pictures(tmp_path / "p"))
    images, masks, _ = SceneSource(SynthesisConfig(size=64, frames=2), 4, pool, generator())._natural(8)
    grey = images.mean(1, keepdim=True).expand_as(masks)
    for image in range(8):
        for mask, shade in zip(masks[image], grey[image], strict=True):
            inside = shade[mask > 0.5]
            assert min((inside < 0.2).float().mean(), (inside > 0.6).float().mean()) < 0.1  # one of the halves only


def test_scenes_without_pictures_are_drawn() -> None:
    images, masks, _ = SceneSource(SynthesisConfig(size=64, frames=2), 2, None, generator()).batch(4)
    assert images.std() > 0.02
    assert masks.flatten(2).sum(2).min() > 0


def test_a_point_is_judged_by_its_best_mask_and_a_box_by_the_single_one() -> None:
    truth = squares()[:2]
    good, bad = 20 * (2 * truth - 1), -20 * (2 * truth - 1)
    logits = torch.stack([bad, bad, good, bad], 1)
    quality = torch.tensor([[0.0, 0.0, 1.0, 0.0]]).expand(2, -1)
    nothing = torch.zeros(2, 3, 64, 64)
    loss, answer = judge_first(logits, quality, truth, torch.tensor([False, True]), nothing)
    assert torch.equal(answer[0, 0], good[0])
    assert torch.equal(answer[1, 0], bad[1])
    assert loss[0] < loss[1]
    all_good = good.unsqueeze(1).expand(-1, 4, -1, -1)
    none, _ = judge_first(all_good, torch.ones(2, 4), truth, torch.tensor([False, True]), nothing)
    assert none.abs().max() < 1e-3


def test_a_point_is_to_be_answered_by_everything_that_it_may_mean() -> None:
    large, small = squares()[:2]
    both, sure = torch.stack([large, small])[None], 20 * (2 * squares()[:2] - 1)
    points, quality = torch.tensor([False]), torch.zeros(1, 4)
    one = torch.stack([sure[0], sure[0], sure[0], sure[0]])[None]
    two = torch.stack([sure[0], sure[0], sure[1], sure[0]])[None]
    loss_of_one, _ = judge_first(one, quality, large[None], points, both)
    loss_of_two, answer = judge_first(two, quality, large[None], points, both)
    assert torch.equal(answer[0, 0], sure[0])
    assert loss_of_one - loss_of_two > 0.4  # half of what is meant was missed, and dice alone is 1 there


def test_regions_under_a_point_are_one_of_each_map() -> None:
    layers = torch.zeros(1, 3, 64, 64, dtype=torch.int16)
    layers[0, 0, :32] = 7
    layers[0, 1, :, :16] = 2
    found = regions_under(torch.tensor([[10.0, 5.0]]), layers, 2)
    assert found.shape == (1, 3, 32, 32)
    assert found.sum((2, 3)).tolist() == [[32 * 16, 32 * 8, 0]]


def test_losses_of_all_pairs_are_those_of_each_pair() -> None:
    logits, truth = torch.randn(2, 3, 8, 8, generator=generator()), torch.randint(2, (2, 2, 8, 8)).float()
    found = _mask_losses(logits, truth)
    for prompt, mask, target in np.ndindex(2, 3, 2):
        x, t = logits[prompt, mask], truth[prompt, target]
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none")
        dice = 1 - (2 * (x.sigmoid() * t).sum() + 1) / (x.sigmoid().sum() + t.sum() + 1)
        expected = FOCAL_WEIGHT * ((1 - torch.exp(-entropy)) ** 2 * entropy).mean() + dice
        assert abs(found[prompt, mask, target] - expected) < 1e-5


def test_one_scene_is_learned(tmp_path: Path) -> None:
    settings = sam_settings(steps=120)
    task, scene = sam_task(settings), OneScene(settings.clips)
    before = task.step(scene.held, generator(2), 1)
    Trainer(task, scene, settings, tmp_path / "run.pt").run()
    after = task.step(scene.held, generator(2), 1)
    assert after.loss < 0.75 * before.loss
    assert after.iou > 0.6
    assert after.parts["corrected IoU"] > before.parts["corrected IoU"] + 0.1


def test_a_run_from_pictures_to_a_file(tmp_path: Path) -> None:
    settings = TrainSettings(
        model="sam-tiny", steps=2, batch=2, warmup=1, targets=2, clips=SynthesisConfig(size=64, frames=2)
    )
    source = open_data([str(pictures(tmp_path / "p"))], settings, torch.device("cpu"))
    output = tmp_path / "sam.safetensors"
    train(settings, source, output)
    network, config = load_sam(output)
    assert config.name == "sam-tiny"
    assert config.image_side == 448  # trained at 64, used at its own side
    assert network.image_encoder.img_size == 448
    assert dataclasses.asdict(settings.clips)["size"] == 64
