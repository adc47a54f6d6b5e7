"""Soft aggregation: from independent object probabilities to a distribution over background and objects."""

import math

import torch
from torch import Tensor

EPSILON = 1e-7
_FURTHEST = math.log((1 - EPSILON) / EPSILON)  # the logit of 1 - EPSILON


def soft_aggregate(probabilities: Tensor) -> Tensor:
    """Logits over [background, objects] of independent probabilities (STM, equation 4).

    probabilities: (B, n, H, W) in [0, 1] -> logits (B, n + 1, H, W), background first. Their softmax is the joint
    distribution; for one object that equals p² / (p² + (1 - p)²), which leaves the threshold 0.5 where it is.
    """
    background = (1 - probabilities).prod(1, keepdim=True)
    joint = torch.cat([background, probabilities], 1).clamp(EPSILON, 1 - EPSILON)
    return torch.log(joint / (1 - joint))


def alone(logits: Tensor) -> Tensor:
    """What soft aggregation makes of logits of any shape whose objects are each alone with their background.

    Background and object have opposite logits there, and the softmax of two numbers is the sigmoid of their difference.
    """
    return logits.clamp(-_FURTHEST, _FURTHEST).mul_(2).sigmoid_()


def aggregate_probabilities(probabilities: Tensor, joint: bool = True) -> Tensor:
    """Independent probabilities (n, H, W) -> those after aggregation (n, H, W), background left out.

    joint: objects compete with each other; otherwise each with its own background only.
    """
    if not len(probabilities):
        return probabilities
    if joint:
        return soft_aggregate(probabilities.unsqueeze(0)).softmax(1)[0, 1:]
    return soft_aggregate(probabilities.unsqueeze(1)).softmax(1)[:, 1]


def against_rivals(probabilities: Tensor) -> Tensor:
    """What is > 0.5 exactly where an object is the likeliest of all, background included: p / (p + the next best).

    probabilities: (n, H, W) of the objects of one distribution, whose rest is background. Unchanged for one object.
    """
    if len(probabilities) < 2:
        return probabilities
    background = (1 - probabilities.sum(0, keepdim=True)).clamp(min=0)
    best, second = torch.cat([background, probabilities]).topk(2, 0).values
    rival = torch.where(probabilities == best, second, best)
    return probabilities / (probabilities + rival).clamp(min=EPSILON)
