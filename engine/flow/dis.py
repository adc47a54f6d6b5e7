"""Dense inverse search flow (Kroeger et al., ECCV 2016), OpenCV's implementation. Needs no weights."""

from typing import Any

import cv2
import numpy as np

from engine.types import FloatArray, UInt8Array

_SHORTEST = 64  # below, OpenCV fails or lets an earlier call change the result


class DISFlow:
    """DIS at its medium preset, on grey images (a Flow). One object a thread."""

    def __init__(self) -> None:
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(self, first: UInt8Array, second: UInt8Array) -> FloatArray:
        """Where each pixel of `first`, uint8 (H, W, 3) RGB, lies in `second`, as an offset: float32 (2, H, W)."""
        return self._between(_grey(first), _grey(second), first.shape[:2])

    def both(self, first: UInt8Array, second: UInt8Array) -> tuple[FloatArray, FloatArray]:
        """Flow there and back."""
        a, b = _grey(first), _grey(second)
        return self._between(a, b, first.shape[:2]), self._between(b, a, first.shape[:2])

    def _between(self, first: UInt8Array, second: UInt8Array, size: tuple[int, ...]) -> FloatArray:
        flow = self._dis.calc(first, second, None)
        height, width = size
        return np.ascontiguousarray(flow[:height, :width].transpose(2, 0, 1))


def _grey(image: UInt8Array) -> UInt8Array:
    """One channel; sides below 64 pixels are filled up by repeating the border."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    missing = [max(_SHORTEST - side, 0) for side in grey.shape]
    return np.pad(grey, [(0, more) for more in missing], mode="edge") if any(missing) else grey
