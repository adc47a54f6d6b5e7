"""A step with several objects a clip: golden masks, slots that are not used, and one object as before."""

import copy

import numpy as np
import pytest
import torch
from golden_files import largest
from mmpm_golden import case, golden_network
from torch import Tensor

from engine.models.mmpm.losses import kept_fraction
from engine.models.mmpm.preprocess import normalise, pad_to
from engine.training.mmpm_task import MMPMTask
from engine.training.settings import TrainSettings
from engine.training.step import propagate_clip, training_step


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    return case("train_step")


def padded(frames: np.ndarray) -> Tensor:
    return pad_to(torch.tensor(frames).float(), (256, 256))


def slots_of(data: dict[str, np.ndarray]) -> Tensor:
    """(2, 3, 2, 256, 256): the label maps taken apart, frame 0 as it was given."""
    labels = padded(data["in_cls_gt"][:, :, 0])
    slots = torch.stack([labels == 1, labels == 2], 2).float()
    slots[:, 0] = padded(data["in_first_frame_gt"][:, 0])
    return slots


Frames = list[tuple[Tensor, Tensor]]


@pytest.fixture(scope="module")
def propagated(data: dict[str, np.ndarray]) -> Frames:
    """Two samples of two slots, the second slot of the second sample switched off."""
    selector = torch.tensor([[1.0, 1], [1, 0]])
    frames = normalise(padded(data["in_frames"]))
    with torch.no_grad():
        return propagate_clip(golden_network(), frames, slots_of(data)[:, 0], [True] * 3, selector)


def test_two_objects_and_a_selector_as_published(data: dict[str, np.ndarray], propagated: Frames) -> None:
    assert largest(propagated[1][1][..., :192, :][..., 1::4, 1::4], data["out_masks_2"]) < 1e-4


@torch.no_grad()
def test_the_selector_follows_from_the_first_frame(data: dict[str, np.ndarray], propagated: Frames) -> None:
    """The published losses are sums over the frames, on maps cropped to 192 rows; here clips are square."""
    slots = slots_of(data)
    kept = kept_fraction(150, 100, 200)
    ours = training_step(golden_network(), padded(data["in_frames"]) / 255, slots, [True] * 3, kept)
    dice = 0.0
    for t, (_, masks) in enumerate(propagated, 1):
        overlap = 2 * (masks * slots[:, t]).sum((2, 3)) + 1
        dice += float((1 - overlap / (masks.sum((2, 3)) + slots[:, t].sum((2, 3)) + 1)).mean()) / 2
    assert ours.dice == pytest.approx(dice, rel=1e-5)
    assert 0 < ours.cross_entropy < 10
    assert 0 <= ours.iou <= 1


@torch.no_grad()
def test_one_slot_is_one_object(data: dict[str, np.ndarray]) -> None:
    images, slots = padded(data["in_frames"])[:1, :2] / 255, slots_of(data)[:1, :2, :1]
    one = training_step(golden_network(), images, slots, [True, False])
    flat = training_step(golden_network(), images, slots[:, :, 0], [True, False])
    assert one.loss == flat.loss
    assert one.iou == flat.iou


def test_clips_are_brought_to_the_side_that_the_network_needs() -> None:
    model = copy.deepcopy(golden_network())
    task = MMPMTask(model, TrainSettings())
    images, masks = torch.rand(1, 2, 3, 64, 64), torch.zeros(1, 2, 64, 64)
    masks[:, :, 16:32, 8:24] = 1
    fitted, flat = task._fitted(images, masks)
    assert fitted.shape == (1, 2, 3, 256, 256)
    assert flat.shape == (1, 2, 256, 256)
    assert set(flat.unique().tolist()) == {0.0, 1.0}
    assert flat.sum() == 16 * masks.sum()
    several = task._fitted(images, masks.unsqueeze(2).expand(-1, -1, 3, -1, -1))[1]
    assert several.shape == (1, 2, 3, 256, 256)
    assert torch.equal(several[:, :, 1], flat)
    with torch.no_grad():
        outcome = task.step((images, masks), torch.Generator().manual_seed(0), 0)
    assert torch.isfinite(outcome.loss)
