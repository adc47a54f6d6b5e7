"""Sizes and borders of BMVOS's inputs."""

import torch.nn.functional as F
from torch import Tensor

SHORT_SIDE = 480
SMALLEST_OBJECT = 1000
"""Pixels; with a smaller object at the usual size, the video keeps its own."""

Border = tuple[int, int, int, int]  # left, right, top, bottom


def usual_size(height: int, width: int) -> tuple[int, int]:
    """The size whose short side is 480, the other rounded down."""
    if height > width:
        return (height, width) if width == SHORT_SIDE else (int(SHORT_SIDE / width * height), SHORT_SIDE)
    return (height, width) if height == SHORT_SIDE else (SHORT_SIDE, int(SHORT_SIDE / height * width))


def border(height: int, width: int) -> Border:
    """What fills both sides up to multiples of 16; the larger half on the left and at the top."""
    rows, columns = -height % 16, -width % 16
    return columns - columns // 2, columns // 2, rows - rows // 2, rows // 2


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 3, H, W) -> (B, 3, *size), cubic; overshoots are not cut, as published."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bicubic", align_corners=False)


def nearest(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, H, W) -> (N, *size)."""
    return masks if tuple(masks.shape[1:]) == size else F.interpolate(masks[None], size=size)[0]


def padded(planes: Tensor, around: Border) -> Tensor:
    """(N, C, H, W), mirrored at the border."""
    return F.pad(planes, around, mode="reflect") if any(around) else planes


def cropped(planes: Tensor, around: Border) -> Tensor:
    """The inverse of `padded` for (..., H, W)."""
    left, right, top, bottom = around
    return planes[..., top : planes.shape[-2] - bottom, left : planes.shape[-1] - right]
