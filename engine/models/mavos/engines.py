"""More objects than one engine has identities: labels shared out among engines, scores put together again."""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.mavos.config import IDENTITIES

_LEAST = 1e-5


def engines_for(objects: int) -> int:
    """Engines that so many objects need, at least one."""
    return max(1, -(-objects // IDENTITIES))


def counts(objects: int) -> list[int]:
    """Objects of each engine: ten, and what is left in the last one."""
    return [min(IDENTITIES, objects - IDENTITIES * at) for at in range(engines_for(objects))]


def one_hot(label: Tensor, objects: int) -> Tensor:
    """Labels (H, W) in 0..objects -> (engines, 11, H, W) float; what belongs to another engine is background."""
    engines = engines_for(objects)
    first = torch.arange(engines, device=label.device).view(-1, 1, 1) * IDENTITIES
    local = label.long()[None] - first
    local = torch.where((local >= 1) & (local <= IDENTITIES), local, 0)
    return F.one_hot(local, IDENTITIES + 1).permute(0, 3, 1, 2).float()


def probabilities(scores: Tensor) -> Tensor:
    """Scores (engines, 11, H, W), unused channels suppressed -> (1 + 10 engines, H, W), background first, sum 1.

    With several engines the background is what all of them call so, and the rest competes by log odds.
    """
    if len(scores) == 1:
        return scores[0].softmax(0)
    return aggregated(scores).softmax(0)


def aggregated(scores: Tensor) -> Tensor:
    """Log odds (1 + 10 engines, H, W) of background and objects of several engines."""
    own = scores.softmax(1)
    together = torch.cat([own[:, 0].prod(0, keepdim=True), own[:, 1:].flatten(0, 1)]).clamp(_LEAST, 1 - _LEAST)
    return torch.log(together / (1 - together))
