"""Procedural pictures and shapes: what synthetic clips are made of where no photographs are given.

All functions take a torch.Generator, so that the same seed gives the same clip, and work on whole batches.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def smooth_noise(batch: int, channels: int, cells: int, size: int, generator: torch.Generator) -> Tensor:
    """Standard normal noise on a grid of `cells`, bicubically enlarged: (batch, channels, size, size)."""
    grid = torch.randn(batch, channels, cells, cells, generator=generator, device=generator.device)
    return F.interpolate(grid, size=(size, size), mode="bicubic", align_corners=False)


def texture(batch: int, size: int, generator: torch.Generator) -> Tensor:
    """Coloured noise over four octaves plus stripes, (batch, 3, size, size) in [0, 1]."""
    picture = _uniform((batch, 3, 1, 1), generator)
    for cells, strength in ((3, 0.25), (8, 0.2), (24, 0.15), (64, 0.1)):
        amount = strength * _uniform((batch, 1, 1, 1), generator)
        picture = picture + amount * smooth_noise(batch, 3, cells, size, generator)
    angle = math.pi * _uniform((batch, 1, 1), generator)
    frequency = 4 + 36 * _uniform((batch, 1, 1), generator)
    y, x = _grid(size, generator.device)
    waves = torch.sin(frequency * (x * angle.cos() + y * angle.sin())).sign() * 0.5
    colour = 0.25 * torch.randn(batch, 3, 1, 1, generator=generator, device=generator.device)
    striped = (_uniform((batch, 1, 1, 1), generator) < 0.35).float()
    return (picture + striped * colour * waves.unsqueeze(1)).clamp(0, 1)


def blob(batch: int, size: int, generator: torch.Generator) -> Tensor:
    """Closed shapes around the centre, (batch, size, size) in {0, 1}: a radius that varies with the angle.

    From discs over smooth stars to thin, branched figures; their half extent is about 0.8 of the half side.
    """
    y, x = _grid(size, generator.device)
    angle = torch.atan2(y, x)
    radius = torch.full((batch, size, size), 0.62, device=generator.device)
    for order in range(1, 8):
        amplitude = 0.35 / order**0.8 * _uniform((batch, 1, 1), generator)
        phase = 2 * math.pi * _uniform((batch, 1, 1), generator)
        radius = radius + amplitude * torch.sin(order * angle + phase)
    squeeze = 0.35 + 0.65 * _uniform((batch, 1, 1), generator)
    distance = torch.sqrt(x**2 + (y / squeeze) ** 2)
    return (distance < radius.clamp(0.12, 0.95)).float()


def parts(batch: int, size: int, generator: torch.Generator) -> Tensor:
    """Where a part of a whole might lie: level sets of smooth noise, (batch, size, size) in {0, 1}."""
    field = smooth_noise(batch, 1, 4, size, generator)[:, 0]
    level = _uniform((batch, 1, 1), generator) - 0.3
    return (field > level).float()


def _grid(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    line = torch.linspace(-1, 1, size, device=device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return y[None], x[None]


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)
