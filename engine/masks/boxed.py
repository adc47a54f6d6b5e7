"""Masks without their empty border: what is held and compared where there are hundreds on one frame.

Knows arrays. A mask of a few thousand pixels then costs these pixels, whatever the size of the frame.
"""

from dataclasses import dataclass

import numpy as np

from engine.types import BoolArray


@dataclass(frozen=True)
class BoxedMask:
    """`crop`: bool (h, w), its top left pixel at row `top`, column `left` of the frame; 0 x 0 where it is empty."""

    top: int
    left: int
    crop: BoolArray

    @classmethod
    def of(cls, mask: BoolArray, top: int = 0, left: int = 0) -> "BoxedMask":
        """The smallest box around the object in bool (H, W), whose own corner is at (top, left) of the frame."""
        rows = np.flatnonzero(mask.any(1))
        if len(rows) == 0:
            return cls(0, 0, np.zeros((0, 0), np.bool_))
        columns = np.flatnonzero(mask.any(0))
        crop = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return cls(top + int(rows[0]), left + int(columns[0]), np.ascontiguousarray(crop))

    @property
    def area(self) -> int:
        """Number of object pixels."""
        return int(np.count_nonzero(self.crop))

    @property
    def bottom(self) -> int:
        """The row below the last one."""
        return self.top + self.crop.shape[0]

    @property
    def right(self) -> int:
        """The column behind the last one."""
        return self.left + self.crop.shape[1]

    def whole(self, height: int, width: int) -> BoolArray:
        """The mask on its frame, bool (height, width)."""
        mask = np.zeros((height, width), np.bool_)
        mask[self.top : self.bottom, self.left : self.right] = self.crop
        return mask

    def within(self, other: BoolArray) -> BoolArray:
        """What of `other`, bool (H, W) of the frame, lies in this mask: bool of the crop's size."""
        inside: BoolArray = self.crop & other[self.top : self.bottom, self.left : self.right]
        return inside

    def overlap(self, other: "BoxedMask") -> int:
        """Number of pixels that both have."""
        top, bottom = max(self.top, other.top), min(self.bottom, other.bottom)
        left, right = max(self.left, other.left), min(self.right, other.right)
        if top >= bottom or left >= right:
            return 0
        mine = self.crop[top - self.top : bottom - self.top, left - self.left : right - self.left]
        theirs = other.crop[top - other.top : bottom - other.top, left - other.left : right - other.left]
        return int(np.count_nonzero(mine & theirs))


def iou(first: BoxedMask, second: BoxedMask) -> float:
    """Intersection over union in [0, 1]; 1 if both are empty."""
    overlap = first.overlap(second)
    union = first.area + second.area - overlap
    return overlap / union if union else 1.0
