"""Dense inverse search flow (Kroeger et al., ECCV 2016), OpenCV's implementation. Needs no weights."""

from typing import Any

import cv2
import numpy as np

from engine.types import FloatArray, UInt8Array


class DISFlow:
    """DIS at its medium preset, on grey images."""

    def __init__(self) -> None:
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(self, first: UInt8Array, second: UInt8Array) -> FloatArray:
        """Where each pixel of `first`, uint8 (H, W, 3) RGB, lies in `second`, as an offset. Sides of at least 16."""
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second)]
        flow = self._dis.calc(grey[0], grey[1], None)
        return np.ascontiguousarray(flow.transpose(2, 0, 1))
