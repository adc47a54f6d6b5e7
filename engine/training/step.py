"""One training step of MMPM: a clip is propagated as in use, and every frame after the first is judged."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from engine.models.mmpm.losses import bootstrapped_cross_entropy, dice_loss
from engine.models.mmpm.network import MMPM, Key, probabilities
from engine.models.mmpm.preprocess import normalise

Result = TypeVar("Result")


class StepResult(NamedTuple):
    """`loss` to differentiate; its parts and the region similarity of the prediction as plain numbers."""

    loss: Tensor
    cross_entropy: float
    dice: float
    iou: float


def propagate_clip(
    model: MMPM, frames: Tensor, first: Tensor, deep: Sequence[bool], selector: Tensor | None = None
) -> list[tuple[Tensor, Tensor]]:
    """Propagate the masks of frame 0 through all frames of a clip (docs/train.md).

    frames (B, T, 3, H, W) normalised; first (B, n, H, W) in {0, 1}; deep: flag of each frame's value encoding;
    selector (B, n) in {0, 1}: which object slots are in use, None for all.
    Returns (aggregated logits (B, n + 1, H, W), probabilities (B, n, H, W)) of frames 1.. .
    """
    batch, count = frames.shape[:2]
    with torch.set_grad_enabled(torch.is_grad_enabled() and _encoder_learns(model)):
        features = model.encode_image(frames.flatten(0, 1))
    keys = model.project(features)
    hidden = model.empty_hidden(batch, first.shape[1], (frames.shape[-2], frames.shape[-1]))
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
            aggregated, masks = _exactly(lambda x: probabilities(x, selector), logits)
            results.append((aggregated, masks))
        if t < count - 1:
            value, hidden = model.encode_value(frames[:, t], at, hidden, masks, deep[t])
            values.append(value)
    return results


def _encoder_learns(model: MMPM) -> bool:
    return any(parameter.requires_grad for parameter in model.image_encoder.parameters())


def _key_of(keys: Key, batch: int, t: int) -> Key:
    """Frame t of projections that were made for whole clips."""
    return Key(*(part.unflatten(0, (batch, -1))[:, t] for part in keys))


def _exactly(work: Callable[..., Result], *tensors: Tensor) -> Result:
    """Run in float32 whatever autocast says: similarities and probabilities do not bear few digits."""
    with torch.autocast(tensors[0].device.type, enabled=False):
        return work(*(tensor.float() for tensor in tensors))


def _read(model: MMPM, keys: list[Key], values: list[Tensor]) -> Tensor:
    """Read all frames before the last of `keys`; where the model reads nearby as well, both side by side."""
    query, past = Key(*(part.float() for part in keys[-1])), keys[:-1]
    key = torch.cat([k.key for k in past], 2)
    shrinkage = torch.cat([k.shrinkage for k in past], 2)
    memory = torch.cat([value.flatten(3) for value in values], 3)
    read = _exactly(lambda *parts: model.read(query, *parts), key, shrinkage, memory)
    read = read.unflatten(3, values[0].shape[-2:])
    if not model.config.local_read:
        return read
    near = _exactly(lambda value, *last: model.read_near(query, Key(*last), value), values[-1], *past[-1])
    return torch.cat([read, near], 2)


def training_step(model: MMPM, images: Tensor, masks: Tensor, deep: Sequence[bool], kept: float = 1.0) -> StepResult:
    """Loss of a batch: the mean over frames after the first of bootstrapped cross-entropy and dice.

    images (B, T, 3, H, W) in [0, 1]; masks (B, T, H, W) in {0, 1} of one object, or (B, T, n, H, W) of n slots that do
    not overlap, those in use first; kept: share of the hardest pixels that count.
    """
    frames = normalise(images * 255).contiguous()  # not by chance channels-last, see docs/decisions
    slots = masks if masks.ndim == 5 else masks.unsqueeze(2)
    counts, selector = _slots_in_use(slots[:, 0])
    results = propagate_clip(model, frames, slots[:, 0], deep, selector)
    entropy = dice = images.new_zeros(())
    overlap, union = (images.new_zeros(slots.shape[0], slots.shape[2]) for _ in range(2))
    for t, (aggregated, predicted) in enumerate(results, 1):
        truth = slots[:, t]
        entropy = entropy + bootstrapped_cross_entropy(aggregated, _labels(truth), counts, kept)
        dice = dice + dice_loss(predicted, truth)
        found = predicted.detach() > 0.5
        overlap += (found & (truth > 0.5)).sum((2, 3))
        union += (found | (truth > 0.5)).sum((2, 3))
    entropy, dice = entropy / len(results), dice / len(results)
    scores = (overlap + 1) / (union + 1)
    iou = scores.mean() if selector is None else (scores * selector).sum() / selector.sum()
    return StepResult(entropy + dice, entropy.item(), dice.item(), iou.item())


def _slots_in_use(first: Tensor) -> tuple[list[int], Tensor | None]:
    """Objects of each sample, at least one, and the selector (B, n); None where there is one slot only."""
    batch, slots = first.shape[:2]
    if slots == 1:
        return [1] * batch, None
    counts = (first.flatten(2).amax(2) > 0).sum(1).clamp(min=1)
    selector = torch.arange(slots, device=first.device)[None] < counts[:, None]
    return counts.tolist(), selector.float()


def _labels(truth: Tensor) -> Tensor:
    """Slots (B, n, H, W) in {0, 1} -> label map (B, H, W) in 0..n."""
    if truth.shape[1] == 1:
        return truth[:, 0]
    numbers = torch.arange(1, truth.shape[1] + 1, device=truth.device, dtype=truth.dtype)
    return (truth * numbers[:, None, None]).sum(1)
