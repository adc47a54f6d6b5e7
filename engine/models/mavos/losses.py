"""The two losses of MAVOS on the scores of one sample, and how they are mixed (docs/mavos.md, "Training")."""

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = 255


def hardest_cross_entropy(scores: Tensor, label: Tensor, kept: float) -> Tensor:
    """scores (C, H, W), label (H, W) in 0..C-1 or IGNORED: the mean over the share `kept` of the hardest pixels."""
    each = F.cross_entropy(scores[None], label[None], ignore_index=IGNORED, reduction="none").flatten()
    return each.topk(max(int(kept * each.numel()), 1)).values.mean()


def soft_jaccard(scores: Tensor, label: Tensor) -> Tensor:
    """1 - IoU of probabilities (C, H, W) and label, the mean over the classes that the label holds."""
    counted = (label != IGNORED).float()
    p = scores.softmax(0) * counted
    present = [c for c in range(len(scores)) if bool((label == c).any())]
    losses = []
    for c in present:
        g = (label == c).float()
        overlap = (p[c] * g).sum()
        losses.append(1 - overlap / (overlap + (p[c] * (1 - g)).sum() + ((counted - p[c]) * g).sum() + 1e-6))
    return torch.stack(losses).mean() if losses else scores.sum() * 0


def sample_loss(scores: Tensor, label: Tensor, kept: float) -> Tensor:
    """Half of each, for scores of the channels in use."""
    return (hardest_cross_entropy(scores, label, kept) + soft_jaccard(scores, label)) / 2
