"""From frames to the network's input: sizes, anti-aliased resizing, normalisation, padding (docs/sgmg.md).

The weights were trained on pictures resized by PIL; other resizing changes the result.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from engine.errors import UsageError
from engine.types import UInt8Array

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SMALLEST_SIDE = 129
VIDEO_MULTIPLE = 16
LOADER_MULTIPLE = 32


def video_size(height: int, width: int, short_side: int = 360) -> tuple[int, int]:
    """(height, width) with the short side given and the long one rounded down: how whole videos are resized."""
    if height < width:
        return short_side, int(short_side * width / height)
    return int(short_side * height / width), short_side


def picture_size(height: int, width: int, short_side: int = 360, longest: int = 640) -> tuple[int, int]:
    """The same, but the long side is at most `longest`: how single annotated frames are resized."""
    short, long = min(height, width), max(height, width)
    if long / short * short_side > longest:
        short_side = round(longest * short / long)
    return video_size(height, width, short_side)


def resized(image: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    """uint8 (H, W, 3) -> uint8 (*size, 3), PIL's anti-aliased bilinear filter."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR), dtype=np.uint8)


def normalised(images: Sequence[UInt8Array]) -> Tensor:
    """T images uint8 (H, W, 3) of one size -> (T, 3, H, W) with zero mean and unit variance per channel."""
    values = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return normalise(values)


def normalise(values: Tensor) -> Tensor:
    """Values 0..1 of (..., 3, H, W) -> zero mean and unit variance per channel."""
    return (values - values.new_tensor(MEAN).view(3, 1, 1)) / values.new_tensor(STD).view(3, 1, 1)


def padded(clips: Sequence[Tensor], multiple: int) -> tuple[Tensor, Tensor]:
    """B clips (T, 3, h, w) of equal length, normalised -> (B, T, 3, H, W) and bool (B, T, H, W), True on padding.

    Zeros at the right and bottom, up to the largest clip and a multiple. Raises UsageError below 129 pixels a side.
    """
    sides = [max(clip.shape[axis] for clip in clips) for axis in (2, 3)]
    height, width = (-(-side // multiple) * multiple for side in sides)
    if min(height, width) < SMALLEST_SIDE:
        raise UsageError(
            f"pictures of {sides[1]}x{sides[0]} are too small for SgMg", f"use sides of at least {SMALLEST_SIDE} pixels"
        )
    padding = torch.ones((len(clips), clips[0].shape[0], height, width), dtype=torch.bool, device=clips[0].device)
    for row, clip in enumerate(clips):
        padding[row, :, : clip.shape[2], : clip.shape[3]] = False
    grown = [F.pad(clip, (0, width - clip.shape[3], 0, height - clip.shape[2])) for clip in clips]
    return torch.stack(grown), padding
