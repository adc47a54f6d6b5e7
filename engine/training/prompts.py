"""Simulated users: points, boxes and corrections drawn from true masks (Segment Anything, appendix A).

Knows masks and predictions as tensors, one row a prompt; coordinates are (x, y) in pixels of the input.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CENTRAL_SHARE = 0.5


def inner_points(masks: Tensor, generator: torch.Generator) -> Tensor:
    """A point inside each mask (P, S, S): anywhere or, for half of them, near its middle. Returns (P, 2)."""
    coarse = F.avg_pool2d(masks.unsqueeze(1), 4)
    window = masks.shape[-1] // 64 * 2 + 1
    depth = coarse
    for _ in range(3):
        depth = F.avg_pool2d(depth, window, 1, window // 2) * coarse
    depth = F.interpolate(depth, size=masks.shape[-2:], mode="bilinear", align_corners=False)[:, 0] * masks
    deepest = depth.flatten(1).amax(1)[:, None, None].clamp(min=1e-6)
    central = torch.rand(len(masks), 1, 1, generator=generator, device=masks.device) < CENTRAL_SHARE
    weights = torch.where(central, (depth / deepest) ** 12 + 1e-6, torch.ones_like(masks)) * masks
    return _drawn(weights, generator)


def loose_boxes(masks: Tensor, generator: torch.Generator) -> Tensor:
    """The bounding box of each mask (P, S, S), each side moved by noise of a tenth of its length, at most 20 pixels.

    Returns (P, 4): x0, y0, x1, y1, within the picture.
    """
    side = masks.shape[-1]
    columns, rows = masks.amax(1) > 0.5, masks.amax(2) > 0.5
    line = torch.arange(side, device=masks.device)

    def ends(occupied: Tensor) -> tuple[Tensor, Tensor]:
        low = torch.where(occupied, line, side).amin(1)
        high = torch.where(occupied, line, -1).amax(1)
        return low.clamp(max=side - 1), torch.maximum(high, low.clamp(max=side - 1))

    (x0, x1), (y0, y1) = ends(columns), ends(rows)
    box = torch.stack([x0, y0, x1, y1], 1).float()
    sides = torch.stack([x1 - x0, y1 - y0], 1).float().repeat(1, 2)
    noise = torch.randn(len(masks), 4, generator=generator, device=masks.device) * 0.1 * sides
    loose = torch.rand(len(masks), 1, generator=generator, device=masks.device) < 0.5
    return (box + torch.where(loose, noise.clamp(-20, 20), 0)).clamp(0, side - 1)


def error_points(predicted: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A point where prediction and truth (both bool-like (P, S, S)) differ, or inside where they agree everywhere.

    Returns points (P, 2) and labels (P,): 1 for missed pixels, 0 for wrong ones.
    """
    wrong = ((predicted > 0.5) != (masks > 0.5)).float()
    none = wrong.flatten(1).sum(1)[:, None, None] == 0
    points = _drawn(torch.where(none, masks, wrong), generator)
    index = points.long()
    return points, masks[torch.arange(len(masks), device=masks.device), index[:, 1], index[:, 0]].long()


def _drawn(weights: Tensor, generator: torch.Generator) -> Tensor:
    """A pixel of each (P, S, S) with a chance in proportion to its weight, as (x, y)."""
    picked = torch.multinomial(weights.flatten(1) + 1e-12, 1, generator=generator)[:, 0]
    side = weights.shape[-1]
    return torch.stack([picked % side, picked // side], 1).float()
