"""What MMPM is trained against: bootstrapped cross-entropy and dice (specification section 8). Knows tensors only."""

import torch.nn.functional as F
from torch import Tensor

FINAL_FRACTION = 0.15


def hard_fraction(iteration: int, start: int, end: int, final: float = FINAL_FRACTION) -> float:
    """The share of pixels that count: all before `start`, `final` of them after `end`, falling linearly between."""
    if iteration < start:
        return 1.0
    if iteration > end:
        return final
    return final + (1 - final) * (end - iteration) / (end - start)


def bootstrapped_cross_entropy(logits: Tensor, labels: Tensor, fraction: float = 1.0) -> Tensor:
    """Mean cross-entropy over the hardest `fraction` of the pixels of one sample.

    logits (n + 1, H, W), background first; labels int64 (H, W) in 0..n.
    """
    losses = F.cross_entropy(logits.unsqueeze(0), labels.unsqueeze(0), reduction="none").flatten()
    if fraction >= 1:
        return losses.mean()
    return losses.topk(int(losses.numel() * fraction)).values.mean()


def dice_loss(masks: Tensor, truth: Tensor) -> Tensor:
    """Mean over samples and object slots, empty ones included, of 1 - (2 sum(m g) + 1) / (sum(m) + sum(g) + 1).

    masks and truth (B, n, H, W) in [0, 1].
    """
    overlap = (masks * truth).sum((2, 3))
    total = masks.sum((2, 3)) + truth.sum((2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


def frame_losses(
    logits: Tensor, masks: Tensor, labels: Tensor, objects: list[int], fraction: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and dice of one frame, on maps cropped to the unpadded size.

    logits (B, n + 1, H, W) after aggregation, masks (B, n, H, W) their softmax without background, labels int64
    (B, H, W), objects: how many of the n slots each sample uses.
    """
    entropies = [
        bootstrapped_cross_entropy(logits[sample, : count + 1], labels[sample], fraction)
        for sample, count in enumerate(objects)
    ]
    slots = labels.new_tensor(range(1, masks.shape[1] + 1)).view(1, -1, 1, 1)
    truth = (labels.unsqueeze(1) == slots).to(masks.dtype)
    return sum(entropies[1:], entropies[0]) / len(entropies), dice_loss(masks, truth)
