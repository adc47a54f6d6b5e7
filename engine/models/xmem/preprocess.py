"""From a video frame to the input of XMem and DEVA and back (docs/xmem.md).

Frames are normalised first, then resized by their short side, then padded with zeros, the mean colour, on all sides to
multiples of 16. One size serves frames and masks.
"""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.types import BoolArray, UInt8Array

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
Nearest = Literal["corner", "centre"]


def inner_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """(height, width) after the short side became `short_side`; the other one is rounded down."""
    if short_side is None:
        return height, width
    long_side = int(short_side * max(height, width) / min(height, width))
    return (short_side, long_side) if height <= width else (long_side, short_side)


def normalised(frame: UInt8Array | Tensor) -> Tensor:
    """uint8 (H, W, 3) RGB -> (1, 3, H, W) of zero mean and unit variance per channel, where a tensor is."""
    pixels = frame if isinstance(frame, Tensor) else torch.from_numpy(np.ascontiguousarray(frame))
    image = pixels.permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(values, device=image.device).view(3, 1, 1) for values in (MEAN, STD))
    return ((image - mean) / std).unsqueeze(0)


def resized(image: Tensor, size: tuple[int, int], antialias: bool) -> Tensor:
    """(1, C, H, W) -> (1, C, *size), bilinear."""
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=antialias)


def resized_masks(masks: BoolArray, size: tuple[int, int], nearest: Nearest) -> BoolArray:
    """bool (N, H, W) -> bool (N, *size), nearest; a mask too thin to be met keeps the pixel at its centre.

    nearest: which sample a pixel takes, the one at its upper left corner (torch) or at its centre (PIL).
    """
    if masks.shape[1:] == size:
        return masks
    rows, columns = (_sampled(a, b, nearest) for a, b in zip(masks.shape[1:], size, strict=True))
    small = np.ascontiguousarray(masks[:, rows][:, :, columns])
    for mask, result in zip(masks, small, strict=True):
        if not result.any() and mask.any():
            centre = np.argwhere(mask)[np.count_nonzero(mask) // 2]
            result[tuple(int(i * n // m) for i, n, m in zip(centre, size, mask.shape, strict=True))] = True
    return small


def padding(size: tuple[int, int], multiple: int = 16) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) that bring (height, width) to multiples; the larger half comes last."""
    (top, bottom), (left, right) = ((p // 2, p - p // 2) for p in (-length % multiple for length in size))
    return left, right, top, bottom


def padded(x: Tensor) -> Tensor:
    """Zeros around (..., H, W)."""
    return F.pad(x, padding((x.shape[-2], x.shape[-1])))


def unpadded(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse: (..., H', W') -> (..., *size)."""
    left, _, top, _ = padding(size)
    return x[..., top : top + size[0], left : left + size[1]]


def _sampled(inputs: int, outputs: int, nearest: Nearest) -> np.ndarray:
    """Which of `inputs` samples each of `outputs` takes."""
    if nearest == "centre":
        return np.floor((np.arange(outputs) + 0.5) * inputs / outputs).astype(np.int64)
    ramp = torch.arange(inputs, dtype=torch.float64).view(1, 1, -1)
    return F.interpolate(ramp, outputs, mode="nearest")[0, 0].long().numpy()
