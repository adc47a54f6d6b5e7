"""How a picture of the pool is looked at in training: crops, turned and mirrored a little, and whole pictures.

Whole pictures are placed as SAM's preprocessing places them: the longer side fills the input, the rest lies outside of
the picture. Knows sampling grids in [-1, 1] of the pool's pictures.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.training.pictures import HEIGHT, WIDTH

WHOLE_SHARE = 0.4
UPRIGHT_SHARE = 0.25


class Views(NamedTuple):
    """grid (N, S, S, 2): where each pixel of a view looks; outside bool (N, S, S): beyond the end of the picture."""

    grid: Tensor
    outside: Tensor


def draw_views(count: int, size: int, generator: torch.Generator) -> Views:
    """Views of `size` pixels; a quarter has its axes exchanged, as the pool turned portraits."""
    whole = _uniform(count, generator) < WHOLE_SHARE
    rows = torch.where(whole[:, None, None], _whole(count, generator), _crops(count, generator))
    grid = F.affine_grid(rows, [count, 3, size, size], align_corners=False)
    outside = whole[:, None, None] & (grid[..., 1] > 1)
    upright = _uniform(count, generator) < UPRIGHT_SHARE
    grid = torch.where(upright[:, None, None, None], grid.transpose(1, 2), grid)
    return Views(grid, torch.where(upright[:, None, None], outside.transpose(1, 2), outside))


def _whole(count: int, generator: torch.Generator) -> Tensor:
    """(N, 2, 3): the width fills the view, top aligned; the height is stretched by up to a seventh."""
    half_y = WIDTH / HEIGHT * torch.exp(0.3 * (_uniform(count, generator) - 0.5))
    mirror = _sign(count, generator)
    none = torch.zeros_like(half_y)
    return torch.stack([torch.stack([mirror, none, none], 1), torch.stack([none, half_y, half_y - 1], 1)], 1)


def _crops(count: int, generator: torch.Generator) -> Tensor:
    """(N, 2, 3): squares of half to all of the height, turned up to 0.2 rad, some mirrored."""
    half = 0.5 + 0.6 * _uniform(count, generator)
    aspect = torch.exp(0.5 * (_uniform(count, generator) - 0.5))
    angle = 0.4 * (_uniform(count, generator) - 0.5)
    mirror = _sign(count, generator)
    half_x, half_y = half * HEIGHT / WIDTH * aspect, half / aspect
    centre_x = (_uniform(count, generator) * 2 - 1) * (1 - half_x).clamp(min=0)
    centre_y = (_uniform(count, generator) * 2 - 1) * (1 - half_y).clamp(min=0)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack(
        [
            torch.stack([mirror * half_x * cos, -half_x * sin, centre_x], 1),
            torch.stack([mirror * half_y * sin, half_y * cos, centre_y], 1),
        ],
        1,
    )


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator, device=generator.device)


def _sign(count: int, generator: torch.Generator) -> Tensor:
    return (_uniform(count, generator) < 0.5).float() * 2 - 1
