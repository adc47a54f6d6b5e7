"""How well the masks of a track follow from each other: IoU of each with the one before, carried along by optical flow.

Frames and masks are scaled down to 432 pixels, where DIS takes about ten milliseconds; the values differ a little from
those that `generate` stores at full size. Flows of the frames used last are kept.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable

import cv2
import numpy as np

from engine.flow.dis import DISFlow
from engine.masks.warp import warp_backward
from engine.types import BoolArray, FloatArray, UInt8Array

_SIDE = 432
_KEPT = 256


class Agreement:
    """Of one clip. image_of: frames by index; mask_of: (track, index) -> bool (H, W), None where none is known."""

    def __init__(self, image_of: Callable[[int], UInt8Array], mask_of: Callable[[int, int], BoolArray | None]) -> None:
        self._image_of, self._mask_of = image_of, mask_of
        self._flow = DISFlow()
        self._flows: OrderedDict[int, FloatArray] = OrderedDict()
        self._guard = threading.Lock()

    def of(self, track: int, indices: Iterable[int]) -> dict[int, float]:
        """IoU in [0, 1] by index; left out where one of the two masks is not known, or both are empty."""
        found = {}
        for index in indices:
            value = self._value(track, index)
            if value is not None:
                found[index] = value
        return found

    def _value(self, track: int, index: int) -> float | None:
        if index == 0:
            return None
        before, now = self._mask_of(track, index - 1), self._mask_of(track, index)
        if before is None or now is None:
            return None
        with self._guard:
            flow = self._flow_back(index)
        size = flow.shape[:0:-1]
        moved = warp_backward(_small(before, size)[None], flow)[0] > 0.5
        here = _small(now, size) > 0.5
        union = int(np.count_nonzero(moved | here))
        return int(np.count_nonzero(moved & here)) / union if union else None

    def _flow_back(self, index: int) -> FloatArray:
        """From a frame to the one before, float32 (2, h, w)."""
        if index not in self._flows:
            now, before = (_shrunk(self._image_of(at)) for at in (index, index - 1))
            self._flows[index] = self._flow(now, before)
            while len(self._flows) > _KEPT:
                self._flows.popitem(last=False)
        self._flows.move_to_end(index)
        return self._flows[index]


def _shrunk(image: UInt8Array) -> UInt8Array:
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _small(mask: BoolArray, size: tuple[int, ...]) -> FloatArray:
    return np.asarray(cv2.resize(mask.astype(np.float32), tuple(size), interpolation=cv2.INTER_AREA), np.float32)
