"""SgMg's matcher, losses and gradients against the published training code, on recorded inputs."""

import numpy as np
import pytest
import torch
from golden_files import normal
from sgmg_golden import case, close, golden_network, manifest, uniform
from torch import Tensor

from engine.models.sgmg.losses import LayerOutput, Targets, all_losses, match, weight_of
from engine.models.sgmg.preprocess import LOADER_MULTIPLE, normalised, padded
from engine.models.sgmg.supervision import supervise


def targets_of(data: dict[str, np.ndarray], size: tuple[int, int]) -> Targets:
    masks = torch.zeros(2, len(data["masks0"]), *size)
    for row in range(2):
        given = torch.from_numpy(data[f"masks{row}"]).float()
        masks[row, :, : given.shape[1], : given.shape[2]] = given
    boxes, valid = (
        torch.stack([torch.from_numpy(data[f"{name}{row}"]) for row in range(2)]) for name in ("boxes", "valid")
    )
    return Targets(boxes, masks, valid)


def check_losses(losses: dict[str, Tensor], data: dict[str, np.ndarray]) -> None:
    names = data["loss_names"].tolist()
    assert sorted(losses) == sorted(names)
    for name, value, weight in zip(names, data["loss_values"], data["loss_weights"], strict=True):
        assert float(losses[name].detach()) == pytest.approx(float(value), rel=1e-4, abs=1e-5), name
        assert weight_of(name) == weight


def test_matching_and_losses() -> None:
    data = case("losses")
    targets = targets_of(data, (64, 64))
    outputs = [
        LayerOutput(
            normal(321 + layer, 2, 3, 5, 1)[..., 0],
            uniform(331 + layer, 0.2, 0.5, 2, 3, 5, 4),
            2 * normal(301 + layer, 2, 3, 5, 32, 32),
        )
        for layer in range(4)
    ]
    matched = [match(output, targets) for output in outputs]
    assert np.array_equal(torch.stack(matched), data["matched"])
    refined = [2 * normal(311 + layer, 2, 3, 64, 64) for layer in range(4)]
    check_losses(all_losses(outputs, refined, matched, targets), data)


def test_a_clip_without_the_object_has_finite_losses() -> None:
    targets = Targets(torch.zeros(1, 2, 4), torch.zeros(1, 2, 16, 16), torch.zeros(1, 2))
    output = LayerOutput(normal(1, 1, 2, 3), uniform(2, 0.2, 0.5, 1, 2, 3, 4), normal(3, 1, 2, 3, 8, 8))
    matched = match(output, targets)
    losses = all_losses([output], [normal(4, 1, 2, 16, 16)], [matched], targets)
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_a_training_step() -> None:
    data, network = case("train_step"), golden_network()
    clips = [normalised(data["frames0"]), normalised(data["frames1"])]
    batch, padding = padded(clips, LOADER_MULTIPLE)
    targets = targets_of(data, batch.shape[-2:])
    trained = [p for name, p in network.named_parameters() if not name.startswith("text_encoder.")]
    with torch.enable_grad():
        found = supervise(
            network, batch, padding, torch.from_numpy(data["sizes"]), torch.from_numpy(data["input_ids"]), targets
        )
        total = sum(weight_of(name) * loss for name, loss in found.losses.items())
        gradients = torch.autograd.grad(total, trained)
    assert np.array_equal(found.matched, data["matched"])
    check_losses(found.losses, data)
    assert float(total.detach()) == pytest.approx(float(data["total"]), rel=1e-5)
    rows = torch.arange(2)
    last = found.outputs[-1]
    assert close(last.logits[..., None], data["pred_logits"], 1e-4)
    assert close(last.boxes, data["pred_boxes"], 1e-4)
    assert close(found.masks[..., ::4, ::4], data["pred_masks"], 1e-4)
    assert close(last.low[rows, :, found.matched[-1]][..., ::4, ::4], data["pred_masks_low"], 1e-4)
    names = [name for name, _ in network.named_parameters() if not name.startswith("text_encoder.")]
    norms = {name: float(gradient.norm()) for name, gradient in zip(names, gradients, strict=True)}
    for name, norm in zip(data["grad_names"].tolist(), data["grad_norms"], strict=True):
        assert norms[manifest()["sgmg-t small text"]["aliases"].get(name, name)] == pytest.approx(
            float(norm), rel=1e-3
        ), name
    whole = float(torch.stack([gradient.norm() for gradient in gradients]).norm())
    assert whole == pytest.approx(float(data["total_grad_norm"]), rel=1e-3)
