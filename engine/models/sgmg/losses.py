"""What SgMg is trained to: the query that matches a sentence's object best, and the losses of its score, box and masks.

One object a clip, so matching is the cheapest query. Knows tensors. Section 3.6 of the paper; costs and weights as
published. B clips of T frames with Q queries, pictures padded to (H, W).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_EPSILON = 1e-6
_ALPHA = 0.25
WEIGHTS = {
    "loss_ce": 2.0,
    "loss_bbox": 5.0,
    "loss_giou": 2.0,
    "loss_mask": 2.0,
    "loss_dice": 5.0,
    "loss_mask_low": 2.0,
    "loss_dice_low": 5.0,
}


class Targets(NamedTuple):
    """boxes (B, T, 4), cx, cy, w, h in [0, 1] of the unpadded picture, zeros where the object is absent; masks
    (B, T, H, W) in {0, 1}; valid (B, T), whether the object is there."""

    boxes: Tensor
    masks: Tensor
    valid: Tensor

    @property
    def low(self) -> Tensor:
        """The masks at half the resolution."""
        return self.masks[..., 1::2, 1::2]

    @property
    def there(self) -> float:
        """Frames with the object, at least 1."""
        return max(float(self.valid.sum()), 1.0)


class LayerOutput(NamedTuple):
    """Of one decoder layer: logits (B, T, Q), boxes (B, T, Q, 4), low masks (B, T, Q, H / 2, W / 2)."""

    logits: Tensor
    boxes: Tensor
    low: Tensor


@torch.no_grad()
def match(output: LayerOutput, targets: Targets) -> Tensor:
    """The cheapest query of each clip, int64 (B,)."""
    return matching_costs(output, targets).argmin(1)


def matching_costs(output: LayerOutput, targets: Targets) -> Tensor:
    """(B, Q)."""
    wanted = targets.boxes.unsqueeze(2).expand_as(output.boxes)
    far = (output.boxes - wanted).abs().sum(-1).mean(1)
    apart = -generalised_iou(output.boxes, wanted).mean(1)
    low = targets.low.unsqueeze(2).expand_as(output.low)
    focal = focal_loss(output.low, low).mean((1, 3, 4))
    alike = _dice(output.low, low, (1, 3, 4))
    return 2 * _score_cost(output.logits, targets.valid) + 5 * far + 2 * apart + 2 * focal - 5 * alike


def _score_cost(logits: Tensor, valid: Tensor) -> Tensor:
    """(B, Q): mean over the frames that have the object."""
    p = logits.sigmoid()
    found = _ALPHA * (1 - p) ** 2 * -(p + 1e-8).log()
    missed = (1 - _ALPHA) * p**2 * -(1 - p + 1e-8).log()
    there = valid.to(p.dtype).unsqueeze(-1)
    return ((found - missed) * there).sum(1) / there.sum(1).clamp(min=1)


def layer_losses(output: LayerOutput, refined: Tensor, matched: Tensor, targets: Targets) -> dict[str, Tensor]:
    """The losses of one decoder layer, by name. refined: mask logits (B, T, H, W) of the matched queries."""
    rows = torch.arange(len(matched), device=matched.device)
    n = targets.there
    scores = torch.zeros_like(output.logits)
    scores[rows, :, matched] = targets.valid.to(scores.dtype)
    boxes = output.boxes[rows, :, matched]
    low = output.low[rows, :, matched]
    return {
        "loss_ce": focal_loss(output.logits, scores).sum() / n,
        "loss_bbox": (boxes - targets.boxes).abs().sum() / n,
        "loss_giou": (1 - generalised_iou(boxes, targets.boxes)).sum() / n,
        "loss_mask": focal_loss(refined, targets.masks).mean((1, 2, 3)).sum() / n,
        "loss_dice": (1 - _dice(refined, targets.masks, (1, 2, 3))).sum() / n,
        "loss_mask_low": focal_loss(low, targets.low).mean((1, 2, 3)).sum() / n,
        "loss_dice_low": (1 - _dice(low, targets.low, (1, 2, 3))).sum() / n,
    }


def all_losses(
    outputs: Sequence[LayerOutput], refined: Sequence[Tensor], matched: Sequence[Tensor], targets: Targets
) -> dict[str, Tensor]:
    """Of all decoder layers; those before the last carry their number: `loss_ce_0`."""
    losses: dict[str, Tensor] = {}
    for layer, given in enumerate(zip(outputs, refined, matched, strict=True)):
        suffix = "" if layer == len(outputs) - 1 else f"_{layer}"
        losses |= {f"{name}{suffix}": loss for name, loss in layer_losses(*given, targets).items()}
    return losses


def weight_of(name: str) -> float:
    """By the name of a loss, with or without a layer's number."""
    return WEIGHTS[name.rstrip("0123456789").removesuffix("_")]


def focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Focal loss of each logit, alpha 0.25, gamma 2 (Lin et al., 2017)."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p = logits.sigmoid()
    missed = p + targets - 2 * p * targets
    return (_ALPHA * targets + (1 - _ALPHA) * (1 - targets)) * missed**2 * entropy


def _dice(logits: Tensor, targets: Tensor, over: tuple[int, ...]) -> Tensor:
    """Dice coefficient, smoothed by 1."""
    p = logits.sigmoid()
    return (2 * (p * targets).sum(over) + 1) / (p.sum(over) + targets.sum(over) + 1)


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """Of boxes (..., 4) as cx, cy, w, h (Rezatofighi et al., 2019)."""
    a, b = _corners(first), _corners(second)
    both = (torch.minimum(a[1], b[1]) - torch.maximum(a[0], b[0])).clamp(min=0).prod(-1)
    union = first[..., 2:].prod(-1) + second[..., 2:].prod(-1) - both
    around = (torch.maximum(a[1], b[1]) - torch.minimum(a[0], b[0])).clamp(min=0).prod(-1)
    return (both + _EPSILON) / (union + _EPSILON) - (around - union + _EPSILON) / (around + _EPSILON)


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    half = boxes[..., 2:] / 2
    return boxes[..., :2] - half, boxes[..., :2] + half
