"""What kind of track was judged: its size, motion and visibility, measured on the true masks alone.

Knows areas and overlaps. Sizes are COCO's (pixels of the mask), motion is the mean IoU of a true mask with that of the
judged frame before it, cut as in Zhu et al., "Flow-Guided Feature Aggregation" (ICCV 2017): above 0.9 slow, below 0.7
fast. Occlusion: whether the track vanishes between its first and last sight, or shrinks below half its median area.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.types import UInt8Array

SIZES = ("small", "medium", "large")
MOTIONS = ("slow", "medium", "fast")
OCCLUSIONS = ("visible", "shrinks", "vanishes")
_SMALL, _LARGE = 32**2, 96**2
_SLOW, _FAST = 0.9, 0.7


@dataclass(frozen=True)
class Traits:
    """`area`: mean pixels of the true masks that are not empty, NaN where all are.

    `steadiness`: mean IoU of consecutive true masks, NaN where there are no two. `occlusion`: one of OCCLUSIONS.
    """

    area: float
    steadiness: float
    occlusion: str

    @property
    def size(self) -> str:
        """One of SIZES; "" where the track is never to be seen."""
        if np.isnan(self.area):
            return ""
        return "small" if self.area < _SMALL else "medium" if self.area < _LARGE else "large"

    @property
    def motion(self) -> str:
        """One of MOTIONS; "" where it cannot be told."""
        if np.isnan(self.steadiness):
            return ""
        return "slow" if self.steadiness > _SLOW else "medium" if self.steadiness >= _FAST else "fast"


def traits_of(areas: Sequence[int], overlaps: Sequence[int]) -> Traits:
    """areas: pixels of each true mask in time order. overlaps: pixels that each shares with the one before it."""
    area, shared = np.asarray(areas, np.int64), np.asarray(overlaps, np.int64)
    seen = area > 0
    if not seen.any():
        return Traits(float("nan"), float("nan"), OCCLUSIONS[0])
    both = seen[1:] & seen[:-1]
    union = area[1:] + area[:-1] - shared[1:]
    steadiness = float(np.mean(shared[1:][both] / union[both])) if both.any() else float("nan")
    return Traits(float(area[seen].mean()), steadiness, _occlusion(area, seen))


def _occlusion(area: np.ndarray, seen: np.ndarray) -> str:
    first, last = np.flatnonzero(seen)[[0, -1]]
    if not seen[first : last + 1].all():
        return "vanishes"
    within = area[first : last + 1]
    return "shrinks" if within.min() < np.median(within) / 2 else "visible"


def shared_pixels(first: UInt8Array, second: UInt8Array) -> np.ndarray:
    """Pixels that packed masks have in common, pair by pair: uint8 (N, H, bytes) twice, int64 (N,)."""
    both = first & second
    rows = both.any(axis=(0, 2))
    return np.bitwise_count(both[:, rows]).sum(axis=(1, 2), dtype=np.int64)
