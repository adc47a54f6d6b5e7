"""Forward-backward consistency of optical flow, and masks carried along by it.

Flow fields are float32 (2, H, W) in pixels, x first, from the frame they are named after to the other one. Sampling is
bilinear on coordinates normalised to the corners' centres, with zeros outside the frame: this rounding is part of the
method, since masks are cut at exactly one half.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.masks.boxed import BoxedMask
from engine.types import BoolArray, FloatArray

_MASKS_AT_ONCE = 16


def cycle_error(flow: FloatArray, inverse: FloatArray) -> FloatArray:
    """How far from its start each pixel lands that goes there and back, in pixels: (H, W).

    Where the way there leaves the frame, there is no way back and the error is the length of the flow itself.
    """
    there = torch.from_numpy(flow)
    back = _sample(torch.from_numpy(inverse)[None], _grid(there))[0]
    error: FloatArray = torch.linalg.vector_norm(there + back, dim=0).numpy()
    return error


def consistent(flow: FloatArray, inverse: FloatArray, threshold: float = 3.0) -> BoolArray:
    """Pixels whose cycle error is below the threshold, bool (H, W)."""
    inside: BoolArray = cycle_error(flow, inverse) < threshold
    return inside


def warp(masks: Sequence[BoxedMask], inverse: FloatArray, keep: BoolArray | None = None) -> list[BoxedMask]:
    """Masks of one frame carried to the next. inverse: flow from the next frame back. keep: pixels that may be read.

    Warping backwards: each pixel of the next frame reads where the inverse flow points, and is set above one half.
    """
    height, width = inverse.shape[1:]
    grid = _grid(torch.from_numpy(inverse))
    carried: list[BoxedMask] = []
    for start in range(0, len(masks), _MASKS_AT_ONCE):
        planes = np.stack([mask.whole(height, width) for mask in masks[start : start + _MASKS_AT_ONCE]])
        if keep is not None:
            planes &= keep
        moved = _sample(torch.from_numpy(planes).float()[None], grid)[0] > 0.5
        carried += [BoxedMask.of(plane) for plane in moved.numpy()]
    return carried


def _grid(flow: Tensor) -> Tensor:
    """Where each pixel of the flow's frame points to, in coordinates from -1 to 1: (1, H, W, 2)."""
    height, width = flow.shape[1:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = x + flow[0], y + flow[1]
    return torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], -1)[None]


def _sample(planes: Tensor, grid: Tensor) -> Tensor:
    """(1, C, H, W) read at the grid's places."""
    return F.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
