"""Images as MAVOS wants them: sides that fit its strides, cubic, normalised as for ImageNet."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.types import UInt8Array

LONGEST = 1040
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def network_size(height: int, width: int, align_corners: bool, longest: int = LONGEST) -> tuple[int, int]:
    """The size that an image is brought to: at most `longest`, then 16 n + 1 with aligned corners, else 16 n.

    Halves are rounded to even, and no side is below one patch.
    """
    scale = min(1.0, longest / max(height, width))
    sides = (int(height * scale), int(width * scale)) if scale < 1 else (height, width)
    extra = 1 if align_corners else 0
    fitted = [max(round((side - extra) / 16), 1) * 16 + extra for side in sides]
    return fitted[0], fitted[1]


def prepared(image: UInt8Array, size: tuple[int, int]) -> Tensor:
    """uint8 (H, W, 3) RGB -> float32 (1, 3, *size). Cubic resizing overshoots 0..255; that is not cut, as published."""
    pixels = image.astype(np.float32)
    if image.shape[:2] != size:
        pixels = cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return normalised(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None] / 255)


def prepared_there(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """`prepared` for a uint8 (H, W, 3) on any device, up to rounding."""
    planes = pixels.permute(2, 0, 1)[None].float()
    if planes.shape[2:] != size:
        planes = F.interpolate(planes, size=size, mode="bicubic", align_corners=False)
    return normalised(planes / 255)


def normalised(images: Tensor) -> Tensor:
    """(..., 3, H, W) in [0, 1] -> the same with ImageNet's mean and deviation taken out."""
    mean, std = (images.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std
