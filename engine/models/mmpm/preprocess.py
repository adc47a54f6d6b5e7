"""From a video frame to the network's input and back (docs/mmpm.md).

Frames are resized by their long side, padded with black at the bottom and right, and only then normalised: padding
holds -mean/std, not 0, which differs from SAM and is what the published training and evaluation do.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from engine.types import BoolArray, UInt8Array

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


def target_size(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) after the long side became `side`, rounded half up."""
    scale = side / max(height, width)
    return int(height * scale + 0.5), int(width * scale + 0.5)


def resize_image(image: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    """uint8 (H, W, 3) -> uint8 (*size, 3), PIL's anti-aliased bilinear filter."""
    if image.shape[:2] == size:
        return image
    resized = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)


def resize_there(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """`resize_image` for a uint8 (H, W, 3) on any device -> uint8 (*size, 3); a value may differ by rounding, by 1."""
    if pixels.shape[:2] == size:
        return pixels
    planes = pixels.permute(2, 0, 1)[None].float()
    resized = F.interpolate(planes, size=size, mode="bilinear", align_corners=False, antialias=True)
    return resized[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) of any integer or boolean kind -> the same at `size`, OpenCV's nearest neighbour."""
    if labels.shape == size:
        return labels
    plain = labels.astype(np.uint8) if labels.dtype == np.bool_ else labels
    resized = cv2.resize(plain, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
    return resized.astype(labels.dtype)


def resize_masks(masks: BoolArray, size: tuple[int, int]) -> BoolArray:
    """bool (N, H, W) -> bool (N, *size), nearest; a mask too thin to be met keeps the pixel at its centre."""
    if masks.shape[1:] == size:
        return masks
    resized = np.zeros((len(masks), *size), dtype=np.bool_)
    for mask, small in zip(masks, resized, strict=True):
        small[:] = resize_labels(mask, size)
        if not small.any() and mask.any():
            centre = np.argwhere(mask)[np.count_nonzero(mask) // 2]
            small[tuple(int(i * n // m) for i, n, m in zip(centre, size, mask.shape, strict=True))] = True
    return resized


def padded_size(size: tuple[int, int], side: int, square: bool, multiple: int) -> tuple[int, int]:
    """Height and width of the padded input: a square of `side`, or the next multiples."""
    if square:
        return side, side
    height, width = (-(-length // multiple) * multiple for length in size)
    return height, width


def pad_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Zeros at the bottom and right of (..., H, W)."""
    return F.pad(x, (0, size[1] - x.shape[-1], 0, size[0] - x.shape[-2]))


def normalise(image: Tensor) -> Tensor:
    """Values 0..255 of (..., 3, H, W), already padded -> zero mean and unit variance per channel."""
    mean = torch.tensor(PIXEL_MEAN, dtype=image.dtype, device=image.device).view(3, 1, 1)
    std = torch.tensor(PIXEL_STD, dtype=image.dtype, device=image.device).view(3, 1, 1)
    return (image - mean) / std
