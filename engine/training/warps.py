"""Whole pictures moved, bent and coloured anew for every frame, in batches on whatever device they are on.

The geometry is a homography and a thin-plate spline a frame, drawn by a generator and applied by one sampling of the
pictures. Coordinates are those of a square canvas, in [-1, 1]. Knows tensors only.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FILL = (124 / 255, 116 / 255, 104 / 255)
CONTROL_POINTS = 12


@dataclass(frozen=True)
class WarpRange:
    """How far a frame may be turned and sheared (degrees, either way), zoomed (factors) and tilted (standard deviation
    of the two perspective terms); `bent`: share of frames with a thin-plate spline, whose control points move by
    `bend` (standard deviation, of the whole side)."""

    rotation: float
    shear: float
    zoom: tuple[float, float] = (1.0, 1.0)
    tilt: float = 0.0
    bent: float = 0.0
    bend: float = 0.02


def homographies(batch: int, frames: int, limits: WarpRange, generator: torch.Generator) -> Tensor:
    """(B, T, 3, 3) from a place in a frame to the place it shows, drawn for each frame by itself."""
    device = generator.device

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, frames, generator=generator, device=device)

    turn = uniform(-limits.rotation, limits.rotation) * math.pi / 180
    shear_x, shear_y = (torch.tan(uniform(-limits.shear, limits.shear) * math.pi / 180) for _ in range(2))
    zoom = uniform(*limits.zoom)
    tilt = limits.tilt * torch.randn(batch, frames, 2, generator=generator, device=device)
    cos, sin = turn.cos() / zoom, turn.sin() / zoom
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = [
        torch.stack([cos + shear_x * sin, -sin + shear_x * cos, zero], -1),
        torch.stack([sin + shear_y * cos, cos - shear_y * sin, zero], -1),
        torch.stack([tilt[..., 0], tilt[..., 1], one], -1),
    ]
    return torch.stack(rows, -2)


def bends(batch: int, frames: int, size: int, limits: WarpRange, generator: torch.Generator) -> Tensor:
    """Displacements (B, T, S, S, 2) by thin-plate splines through moved control points; zero for frames not bent."""
    count, device = batch * frames, generator.device
    places = torch.rand(count, CONTROL_POINTS, 2, generator=generator, device=device) * 2 - 1
    moves = 2 * limits.bend * torch.randn(count, CONTROL_POINTS, 2, generator=generator, device=device)
    bent = torch.rand(count, 1, 1, generator=generator, device=device) < limits.bent
    coarse = max(size // 8, 8)
    field = _thin_plate(places, moves * bent, coarse).permute(0, 3, 1, 2)
    fine = F.interpolate(field, size=(size, size), mode="bicubic", align_corners=False)
    return fine.permute(0, 2, 3, 1).unflatten(0, (batch, frames))


def _thin_plate(places: Tensor, moves: Tensor, size: int) -> Tensor:
    """The smoothest displacement (N, size, size, 2) that moves each of `places` (N, K, 2) by `moves` (N, K, 2)."""
    count, points = places.shape[:2]
    affine = torch.cat([torch.ones_like(places[..., :1]), places], 2)
    system = places.new_zeros(count, points + 3, points + 3)
    system[:, :points, :points] = _radial(places, places) + 1e-3 * torch.eye(points, device=places.device)
    system[:, :points, points:] = affine
    system[:, points:, :points] = affine.transpose(1, 2)
    wanted = torch.cat([moves, moves.new_zeros(count, 3, 2)], 1)
    weights = torch.linalg.solve(system, wanted)
    grid = plane(size, places.device).flatten(0, 1).expand(count, -1, -1)
    basis = torch.cat([_radial(grid, places), torch.ones_like(grid[..., :1]), grid], 2)
    return (basis @ weights).unflatten(1, (size, size))


def _radial(a: Tensor, b: Tensor) -> Tensor:
    """r² log r² of all distances, (N, A, 2) and (N, B, 2) -> (N, A, B)."""
    squared = (a.unsqueeze(2) - b.unsqueeze(1)).square().sum(-1)
    return squared * torch.log(squared + 1e-9)


def plane(size: int, device: torch.device) -> Tensor:
    """The places (x, y) of all pixels of a square, (size, size, 2)."""
    line = torch.linspace(-1 + 1 / size, 1 - 1 / size, size, device=device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], -1)


def looked_at(maps: Tensor, bend: Tensor | None, centre: Tensor, half: Tensor, size: int) -> Tensor:
    """Sampling grids (B, T, S, S, 2): maps (B, T, 3, 3) and `bend` within a square view of each clip's canvas, which
    lies round `centre` (B, 2) and reaches `half` (B,) to each side. A negative half mirrors left and right."""
    pixels = plane(size, maps.device)
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1)
    seen = torch.einsum("btij,hwj->bthwi", maps, homogeneous)
    places = seen[..., :2] / seen[..., 2:].clamp(min=0.2)
    if bend is not None:
        places = places + bend
    scale = torch.stack([half, half.abs()], -1)
    return centre[:, None, None, None] + scale[:, None, None, None] * places


def sampled(pictures: Tensor, masks: Tensor, grids: Tensor) -> tuple[Tensor, Tensor]:
    """Look at pictures (B, T, 3, H, W) in [0, 1] and masks (B, T, n, H, W) in {0, 1} through grids (B, T, S, S, 2).

    What lies outside is filled with SAM's mean colour, and is no part of any mask.
    """
    fill = torch.tensor(FILL, device=pictures.device).view(3, 1, 1)
    planes = torch.cat([pictures - fill, masks.to(pictures.dtype)], 2).flatten(0, 1)
    seen = F.grid_sample(planes, grids.flatten(0, 1), padding_mode="zeros", align_corners=False)
    seen = seen.unflatten(0, pictures.shape[:2])
    return (seen[:, :, :3] + fill).clamp(0, 1), (seen[:, :, 3:] > 0.5).to(pictures.dtype)


def jittered(clips: Tensor, strengths: tuple[float, float, float], each: bool, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation of (B, T, 3, H, W) in [0, 1] changed by factors in 1 -/+ strength.

    each: drawn for every frame, else once a clip.
    """
    shape = (3, clips.shape[0], clips.shape[1] if each else 1, 1, 1, 1)
    draws = 2 * torch.rand(shape, generator=generator, device=generator.device) - 1
    brightness, contrast, saturation = (1 + s * draw for s, draw in zip(strengths, draws, strict=True))
    clips = clips * brightness
    middle = clips.mean((2, 3, 4), keepdim=True)
    clips = middle + contrast * (clips - middle)
    grey = clips.mean(2, keepdim=True)
    return (grey + saturation * (clips - grey)).clamp(0, 1)
