"""Promptable training: simulated users, scenes with several masks, and a loss that teaches."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.models.sam.config import SAMConfig
from engine.models.sam.loading import load_sam
from engine.models.sam.network import build_sam
from engine.training.loop import Trainer
from engine.training.pictures import HEIGHT, WIDTH, load_pictures
from engine.training.prompts import error_points, inner_points, loose_boxes
from engine.training.run import open_data, train
from engine.training.sam_task import SAMTask, judge_first
from engine.training.scenes import SceneSource
from engine.training.settings import TrainSettings
from engine.training.synthesis import SynthesisConfig

SMALL = SAMConfig(
    "sam-small",
    "conv",
    image_side=64,
    stride=8,
    prompt_dim=32,
    mlp_dim=64,
    widths=(8, 16, 24, 32, 32),
    mask_in_chans=4,
    drawn_prompts=True,
)


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
    images, masks = SceneSource(config, 3, pool, generator()).batch(12)
    assert images.shape == (12, 3, 64, 64)
    assert masks.shape == (12, 3, 64, 64)
    assert images.min() >= 0
    assert images.max() <= 1
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert (masks.mean((2, 3)) >= 0.004).all()
    again = SceneSource(config, 3, pool, generator()).batch(12)
    assert torch.equal(images, again[0])
    assert torch.equal(masks, again[1])


def test_natural_regions_follow_the_borders_of_the_picture(tmp_path: Path) -> None:
    pool = load_pictures(pictures(tmp_path / "p"))
    images, masks = SceneSource(SynthesisConfig(size=64, frames=2), 4, pool, generator())._natural(8)
    grey = images.mean(1, keepdim=True).expand_as(masks)
    for image in range(8):
        for mask, shade in zip(masks[image], grey[image], strict=True):
            inside = shade[mask > 0.5]
            assert min((inside < 0.2).float().mean(), (inside > 0.6).float().mean()) < 0.1  # one of the halves only


def test_scenes_without_pictures_are_drawn() -> None:
    images, masks = SceneSource(SynthesisConfig(size=64, frames=2), 2, None, generator()).batch(4)
    assert images.std() > 0.02
    assert masks.flatten(2).sum(2).min() > 0


def test_a_point_is_judged_by_its_best_mask_and_a_box_by_the_single_one() -> None:
    truth = squares()[:2]
    good, bad = 20 * (2 * truth - 1), -20 * (2 * truth - 1)
    logits = torch.stack([bad, bad, good, bad], 1)
    quality = torch.tensor([[0.0, 0.0, 1.0, 0.0]]).expand(2, -1)
    loss, answer = judge_first(logits, quality, truth, torch.tensor([False, True]))
    assert torch.equal(answer[0, 0], good[0])
    assert torch.equal(answer[1, 0], bad[1])
    assert loss[0] < loss[1]
    none, _ = judge_first(good.unsqueeze(1).expand(-1, 4, -1, -1), torch.ones(2, 4), truth, torch.tensor([False, True]))
    assert none.abs().max() < 1e-3


class OneScene:
    """The same pictures and masks for ever."""

    def __init__(self, config: SynthesisConfig) -> None:
        self.generator = generator(1)
        self.held = SceneSource(config, 3, None, self.generator).batch(2)

    def batch(self, clips: int) -> tuple[Tensor, Tensor]:
        return self.held


def test_one_scene_is_learned(tmp_path: Path) -> None:
    settings = TrainSettings(
        model="sam-tiny",
        steps=120,
        batch=2,
        learning_rate=3e-3,
        warmup=10,
        targets=3,
        checkpoint_every=1000,
        clips=SynthesisConfig(size=64, frames=2),
    )
    torch.manual_seed(0)
    task, scene = SAMTask(build_sam(SMALL), SMALL, settings), OneScene(settings.clips)
    before = task.step(scene.held, generator(2), 0)
    Trainer(task, scene, settings, tmp_path / "run.pt").run()
    after = task.step(scene.held, generator(2), 0)
    assert after.loss < 0.75 * before.loss
    assert after.iou > 0.6
    assert after.parts["corrected IoU"] > before.parts["corrected IoU"] + 0.3


def test_a_run_from_pictures_to_a_file(tmp_path: Path) -> None:
    settings = TrainSettings(
        model="sam-tiny", steps=2, batch=2, warmup=1, targets=2, clips=SynthesisConfig(size=64, frames=2)
    )
    source = open_data([str(pictures(tmp_path / "p"))], settings, torch.device("cpu"))
    output = tmp_path / "sam.safetensors"
    train(settings, source, output)
    network, config = load_sam(output)
    assert config.name == "sam-tiny"
    assert config.image_side == 384  # trained at 64, used at its own side
    assert network.image_encoder.img_size == 384
    assert dataclasses.asdict(settings.clips)["size"] == 64
