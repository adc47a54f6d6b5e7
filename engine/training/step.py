"""One training step of MMPM: a clip is propagated as in use, and every frame after the first is judged."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.mmpm.losses import bootstrapped_cross_entropy, dice_loss
from engine.models.mmpm.network import MMPM, Key, probabilities
from engine.models.mmpm.preprocess import normalise


class StepResult(NamedTuple):
    """`loss` to differentiate; its parts and the region similarity of the prediction as plain numbers."""

    loss: Tensor
    cross_entropy: float
    dice: float
    iou: float


def propagate_clip(model: MMPM, frames: Tensor, first: Tensor, deep: Sequence[bool]) -> list[tuple[Tensor, Tensor]]:
    """Propagate one mask a clip from frame 0 through all frames (docs/train.md).

    frames (B, T, 3, H, W) normalised; first (B, 1, H, W) in {0, 1}; deep: flag of each frame's value encoding.
    Returns (aggregated logits (B, 2, H, W), probabilities (B, 1, H, W)) of frames 1.. .
    """
    batch, count = frames.shape[:2]
    features = model.encode_image(frames.flatten(0, 1))
    keys = model.project(features)
    hidden = model.empty_hidden(batch, 1, (frames.shape[-2], frames.shape[-1]))
    masks = first
    values: list[Tensor] = []
    results: list[tuple[Tensor, Tensor]] = []
    for t in range(count):
        at = type(features)(
            features.coarse.unflatten(0, (batch, count))[:, t],
            tuple(fine.unflatten(0, (batch, count))[:, t] for fine in features.fine),
        )
        if t > 0:
            read = _read(model, [_key_of(keys, batch, i) for i in range(t + 1)], values)
            logits, updated = model.decode(at, read, hidden, update=t < count - 1)
            hidden = hidden if updated is None else updated
            aggregated, masks = probabilities(logits)
            results.append((aggregated, masks))
        if t < count - 1:
            value, hidden = model.encode_value(frames[:, t], at, hidden, masks, deep[t])
            values.append(value)
    return results


def _key_of(keys: Key, batch: int, t: int) -> Key:
    """Frame t of projections that were made for whole clips."""
    return Key(*(part.unflatten(0, (batch, -1))[:, t] for part in keys))


def _read(model: MMPM, keys: list[Key], values: list[Tensor]) -> Tensor:
    """Read all frames before the last of `keys`; where the model reads nearby as well, both side by side."""
    query, past = keys[-1], keys[:-1]
    key = torch.cat([k.key for k in past], 2)
    shrinkage = torch.cat([k.shrinkage for k in past], 2)
    memory = torch.cat([value.flatten(3) for value in values], 3)
    read = model.read(query, key, shrinkage, memory).unflatten(3, values[0].shape[-2:])
    if not model.config.local_read:
        return read
    return torch.cat([read, model.read_near(query, past[-1], values[-1])], 2)


def training_step(model: MMPM, images: Tensor, masks: Tensor, deep: Sequence[bool], kept: float = 1.0) -> StepResult:
    """Loss of a batch: the mean over frames after the first of bootstrapped cross-entropy and dice.

    images (B, T, 3, H, W) in [0, 1], masks (B, T, H, W) in {0, 1}, kept: share of the hardest pixels that count.
    """
    frames = normalise(images * 255).contiguous()  # not by chance channels-last, see docs/decisions
    results = propagate_clip(model, frames, masks[:, :1], deep)
    batch = images.shape[0]
    entropy = dice = images.new_zeros(())
    overlap, union = images.new_zeros(batch), images.new_zeros(batch)
    for t, (aggregated, predicted) in enumerate(results, 1):
        truth = masks[:, t]
        entropy = entropy + bootstrapped_cross_entropy(aggregated, truth, [1] * batch, kept)
        dice = dice + dice_loss(predicted, truth[:, None])
        found = predicted.detach()[:, 0] > 0.5
        overlap += (found & (truth > 0.5)).sum((1, 2))
        union += (found | (truth > 0.5)).sum((1, 2))
    entropy, dice = entropy / len(results), dice / len(results)
    iou = ((overlap + 1) / (union + 1)).mean()
    return StepResult(entropy + dice, entropy.item(), dice.item(), iou.item())
