"""What MMPM is trained with: bootstrapped cross-entropy and dice (docs/mmpm.md)."""

import torch.nn.functional as F
from torch import Tensor

HARDEST = 0.15


def kept_fraction(iteration: int, start_warm: int, end_warm: int) -> float:
    """Share of pixels that count: all before `start_warm`, the hardest 15 % after `end_warm`, linear between."""
    if iteration < start_warm:
        return 1.0
    if iteration > end_warm:
        return HARDEST
    return HARDEST + (1 - HARDEST) * (end_warm - iteration) / (end_warm - start_warm)


def bootstrapped_cross_entropy(logits: Tensor, labels: Tensor, counts: list[int], fraction: float) -> Tensor:
    """Mean over samples of the cross-entropy over each one's hardest pixels.

    logits (B, n + 1, H, W) aggregated, labels (B, H, W) in 0..n, counts: objects of each sample; only the first
    counts[i] + 1 entries of sample i take part. fraction: share of pixels kept, 1 for all.
    """
    total = logits.new_zeros(())
    for sample, label, objects in zip(logits, labels, counts, strict=True):
        loss = F.cross_entropy(sample[None, : objects + 1], label[None].long(), reduction="none").flatten()
        if fraction < 1:
            loss = loss.topk(int(loss.numel() * fraction), sorted=False).values
        total = total + loss.mean()
    return total / len(counts)


def dice_loss(masks: Tensor, truth: Tensor) -> Tensor:
    """Mean over samples and object slots of 1 - (2 sum(m g) + 1) / (sum m + sum g + 1).

    masks (B, n, H, W) in [0, 1], truth (B, n, H, W) 0/1. Empty slots count.
    """
    masks, truth = masks.flatten(2), truth.flatten(2)
    overlap = 2 * (masks * truth).sum(2) + 1
    return (1 - overlap / (masks.sum(2) + truth.sum(2) + 1)).mean()
