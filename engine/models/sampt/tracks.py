"""What every point tracker looks like to those who use it, and what became of each point.

`window` and `stride` say how a tracker is used on a video that never ends: on the last `window` frames, the oldest
`stride` of which are forgotten once there are more.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from engine.types import BoolArray, FloatArray, UInt8Array

VISIBLE, HIDDEN, OUTSIDE = 1, 0, -2
_RIM = 0.01  # share of the frame along its border in which points are not trusted


class Tracks(NamedTuple):
    """Points through T frames: xy (T, P, 2) in pixels, visible (T, P)."""

    xy: FloatArray
    visible: BoolArray


class PointTracker(Protocol):
    """Follows points through some frames."""

    window: int
    stride: int

    def track(self, frames: Sequence[UInt8Array], queries: FloatArray) -> Tracks:
        """frames: uint8 (H, W, 3) RGB of one size; queries: (P, 3) frame, x, y. In both directions from each query."""
        ...


def codes(tracks: Tracks, size: tuple[int, int]) -> FloatArray:
    """1 where a point is seen, 0 where not, -2 at the rim of a frame of size (H, W): (T, P)."""
    share = tracks.xy / np.array([size[1], size[0]])
    rim = ((share < _RIM) | (share > 1 - _RIM)).any(-1)
    found: FloatArray = np.where(rim, OUTSIDE, np.where(tracks.visible, VISIBLE, HIDDEN)).astype(np.float64)
    return found
