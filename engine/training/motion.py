"""How layers move: affine trajectories and growing smooth deformations, as sampling grids."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class MotionRange:
    """Sizes of movement per frame, as fractions of the half frame; rotation in radians, zoom as a logarithm."""

    slowest: float = 0.008
    fastest: float = 0.2
    rotation: float = 0.15
    zoom: float = 0.06
    deformation: float = 0.05


def trajectories(clips: int, layers: int, frames: int, limits: MotionRange, generator: torch.Generator) -> Tensor:
    """Affine maps (clips, layers, frames, 2, 3) from frame to moved frame, both in [-1, 1]; frame 0 is the identity.

    Each layer has its own speed, log-uniform between the limits, a heading that persists with some jitter, and a slow
    rotation, zoom and shear in proportion to the speed.
    """
    device = generator.device
    shape = (clips, layers, 1)
    low, high = math.log(limits.slowest), math.log(limits.fastest)
    speed = torch.exp(low + (high - low) * _uniform(shape, generator))
    heading = 2 * math.pi * _uniform(shape, generator)
    wander = _normal((clips, layers, frames), generator) * 0.5
    direction = heading + wander.cumsum(2)
    moving = torch.ones(frames, device=device)
    moving[0] = 0
    x = (speed * direction.cos() * moving).cumsum(2)
    y = (speed * direction.sin() * moving).cumsum(2)
    share = (speed / limits.fastest).sqrt()
    steps = [_normal(shape, generator) + 0.5 * _normal((clips, layers, frames), generator) for _ in range(3)]
    turn = (limits.rotation * share * steps[0] * moving).cumsum(2)
    zoom = torch.exp((limits.zoom * share * steps[1] * moving).cumsum(2))
    shear = (limits.zoom * share * steps[2] * moving).cumsum(2)
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    rows = [torch.stack([cos, shear - sin, x], -1), torch.stack([sin, cos, y], -1)]
    return torch.stack(rows, -2)


def deformations(count: int, frames: int, size: int, strength: float, generator: torch.Generator) -> Tensor:
    """Smooth displacement fields that grow from frame to frame, (count, frames, size, size, 2), zero at frame 0."""
    steps = _normal((count, frames, 2, 4, 4), generator)
    steps[:, 0] = 0
    each = strength * _uniform((count, 1, 1, 1, 1), generator) ** 2
    fields = (each * steps).cumsum(1).flatten(0, 1)
    fields = F.interpolate(fields, size=(size, size), mode="bicubic", align_corners=False)
    return fields.permute(0, 2, 3, 1).unflatten(0, (count, frames))


def sampling_grid(affine: Tensor, placement: Tensor, deformation: Tensor) -> Tensor:
    """Where each pixel of a frame reads a layer's canvas.

    affine (N, T, 2, 3), placement (N, 3): x, y of the layer's centre in the first frame and its half extent,
    deformation (N, T, S, S, 2) -> (N, T, S, S, 2) in [-1, 1] of the canvas. Layers turn and zoom about their centre.
    """
    size = deformation.shape[2]
    line = torch.linspace(-1 + 1 / size, 1 - 1 / size, size, device=affine.device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    pixels = torch.stack([x, y], -1)[None, None]
    centre = placement[:, None, None, None, :2]
    shifted = pixels - centre - affine[:, :, None, None, :, 2]
    turned = torch.einsum("ntij,nthwj->nthwi", affine[..., :2], shifted)
    return turned / placement[:, None, None, None, 2:] + deformation


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)
