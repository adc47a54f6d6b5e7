"""Sine encodings of places in a picture and of words in a sentence. No parameters (Vaswani et al., 2017; DETR)."""

import math

import torch
from torch import Tensor

_TEMPERATURE = 10_000.0
_EPSILON = 1e-6


def position_2d(padding: Tensor, channels: int) -> Tensor:
    """padding: bool (N, h, w), True outside the picture -> (N, channels, h, w), rows first, then columns."""
    inside = (~padding).float()
    down, right = inside.cumsum(1), inside.cumsum(2)
    down = (down - 0.5) / (down[:, -1:] + _EPSILON) * 2 * math.pi
    right = (right - 0.5) / (right[:, :, -1:] + _EPSILON) * 2 * math.pi
    return torch.cat([_waves(down, channels // 2), _waves(right, channels // 2)], -1).permute(0, 3, 1, 2)


def position_1d(padding: Tensor, channels: int) -> Tensor:
    """padding: bool (B, L), True behind the sentence -> (B, L, channels)."""
    count = (~padding).float().cumsum(1)
    return _waves(count / (count[:, -1:] + _EPSILON) * 2 * math.pi, channels)


def _waves(angle: Tensor, features: int) -> Tensor:
    """Sines on even and cosines on odd features, of ever longer waves."""
    k = torch.arange(features, device=angle.device)
    scaled = angle.unsqueeze(-1) / _TEMPERATURE ** (2 * (k // 2) / features)
    return torch.where(k % 2 == 0, scaled.sin(), scaled.cos())
