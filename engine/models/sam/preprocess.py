"""A picture as SAM's image encoder wants it, and points of the picture in its coordinates.

The longer side is resized to the side of the square input, then values are normalised and the rest filled with zeros.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from segment_anything.modeling import Sam
from torch import Tensor

from engine.types import FloatArray, UInt8Array


@dataclass(frozen=True)
class Geometry:
    """Sizes of one picture: `original` (H, W), `resized` (h, w) inside the square input of `side` pixels."""

    original: tuple[int, int]
    resized: tuple[int, int]
    side: int

    @classmethod
    def of(cls, height: int, width: int, side: int) -> "Geometry":
        """The longer side becomes `side`; halves are rounded up."""
        scale = side / max(height, width)
        return cls((height, width), (int(height * scale + 0.5), int(width * scale + 0.5)), side)

    def points(self, points: FloatArray) -> FloatArray:
        """(..., 2) x, y in pixels of the picture -> the same in pixels of the input."""
        (height, width), (h, w) = self.original, self.resized
        scaled: FloatArray = points.astype(np.float64) * (w / width, h / height)
        return scaled


def resize_longest_side(image: UInt8Array, geometry: Geometry) -> UInt8Array:
    """uint8 (H, W, 3) -> uint8 (h, w, 3), bilinear with anti-aliasing as Pillow does it."""
    height, width = geometry.resized
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def network_input(sam: Sam, image: UInt8Array, geometry: Geometry) -> Tensor:
    """uint8 (H, W, 3) RGB -> float32 (1, 3, S, S) on the network's device."""
    resized = np.ascontiguousarray(resize_longest_side(image, geometry))
    tensor = torch.tensor(resized, device=sam.pixel_mean.device).permute(2, 0, 1)[None]
    ready: Tensor = sam.preprocess(tensor)
    return ready
