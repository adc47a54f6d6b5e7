"""Moving masks along a flow field."""

import cv2
import numpy as np

from engine.types import FloatArray


def warp_backward(masks: FloatArray, flow: FloatArray) -> FloatArray:
    """Read each pixel where the flow points: out(p) = bilinear(masks, p + flow(p)), 0 outside the frame.

    masks: float32 (N, H, W); flow: float32 (2, H, W) in pixels, x first, from the new frame to the old one.
    """
    height, width = flow.shape[1:]
    x = np.arange(width, dtype=np.float32)[None] + flow[0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[1]
    moved = np.empty(masks.shape, np.float32)  # rows one behind the other, however `masks` lies in memory
    for source, target in zip(masks, moved, strict=True):
        cv2.remap(source.astype(np.float32), x, y, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_CONSTANT)
    return moved
