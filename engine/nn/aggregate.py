"""Soft aggregation: from independent object probabilities to a distribution over background and objects."""

import torch
from torch import Tensor

EPSILON = 1e-7


def soft_aggregate(probabilities: Tensor) -> Tensor:
    """Logits over [background, objects] of independent probabilities (STM, equation 4).

    probabilities: (B, n, H, W) in [0, 1] -> logits (B, n + 1, H, W), background first. Their softmax is the joint
    distribution; for one object that equals p² / (p² + (1 - p)²), which leaves the threshold 0.5 where it is.
    """
    background = (1 - probabilities).prod(1, keepdim=True)
    joint = torch.cat([background, probabilities], 1).clamp(EPSILON, 1 - EPSILON)
    return torch.log(joint / (1 - joint))


def aggregate_probabilities(probabilities: Tensor, joint: bool = True) -> Tensor:
    """Independent probabilities (n, H, W) -> those after aggregation (n, H, W), background left out.

    joint: objects compete with each other; otherwise each with its own background only.
    """
    if not len(probabilities):
        return probabilities
    if joint:
        return soft_aggregate(probabilities.unsqueeze(0)).softmax(1)[0, 1:]
    return soft_aggregate(probabilities.unsqueeze(1)).softmax(1)[:, 1]
