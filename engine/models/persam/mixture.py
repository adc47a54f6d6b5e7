"""PerSAM-F's two numbers a track: how much of each of SAM's three masks makes the object (PerSAM, section 3.3).

Everything but the numbers is fixed, so SAM answers once and the fit sees its logits only.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.models.sam.prompting import Embedding
from engine.types import BoolArray

ALPHA, GAMMA = 0.25, 2.0


@dataclass(frozen=True)
class Fit:
    """How the numbers are found: AdamW over `steps`, its rate falling to 0 like a cosine."""

    steps: int = 1000
    rate: float = 1e-3


def fit_weights(logits: Tensor, mask: Tensor, fit: Fit) -> Tensor:
    """Weights (3,), which sum to one, of logits (3, H, W) that meet a mask, bool (H, W)."""
    with torch.inference_mode(False), torch.enable_grad():
        given, target = logits.flatten(1).clone(), mask.flatten().to(logits.dtype).clone()
        free = torch.full((2, 1), 1 / 3, device=logits.device, requires_grad=True)
        optimizer = torch.optim.AdamW([free], lr=fit.rate, eps=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, fit.steps)
        for _ in range(fit.steps):
            dice, focal = losses((whole(free) * given).sum(0), target)
            optimizer.zero_grad()
            (dice + focal).backward()
            optimizer.step()
            schedule.step()
        return whole(free.detach())[:, 0]


def fit_all(embedding: Embedding, logits: Tensor, masks: BoolArray, fit: Fit) -> Tensor:
    """Weights (N, 3) of N tracks from low-resolution logits (N, 3, rows, columns) and bool masks (N, H, W)."""
    targets = torch.from_numpy(masks).to(logits.device)
    found = [fit_weights(embedding.upsampler.full(low), mask, fit) for low, mask in zip(logits, targets, strict=True)]
    return torch.stack(found)


def mixed(logits: Tensor, weights: Tensor) -> Tensor:
    """(N, 3, rows, columns) and (N, 3) -> (N, rows, columns)."""
    return (weights[:, :, None, None] * logits).sum(1)


def whole(free: Tensor) -> Tensor:
    """(2, 1) -> (3, 1): the first mask has what the others leave."""
    return torch.cat([1 - free.sum(0, keepdim=True), free])


def losses(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Dice and focal loss of logits (n,) against 0 and 1."""
    likely = logits.sigmoid()
    dice = 1 - (2 * (likely * target).sum() + 1) / (likely.sum() + target.sum() + 1)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    right = likely * target + (1 - likely) * (1 - target)
    balance = ALPHA * target + (1 - ALPHA) * (1 - target)
    return dice, (balance * (1 - right) ** GAMMA * entropy).mean()
