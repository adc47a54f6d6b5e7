"""Cuts in a video: where the picture changes so much at once that no track can go on.

Frames are compared by their colours, coarsely in place and in value, so that motion counts little. A cut differs far
more from the frame before than the frames around it do from theirs.
"""

from collections.abc import Iterable

import cv2
import numpy as np

from engine.types import FloatArray, Frame, UInt8Array

_SIDE = 8  # cells of the picture a side
_BINS = 8  # of hue, saturation and value each
_LEAST = 0.35  # of 1; a change below is no cut, however quiet the video
_TIMES = 3.0  # the changes around it
_AROUND = 5  # frames


def cuts(frames: Iterable[Frame], shortest: int = 2) -> list[int]:
    """Indices of the frames that begin a scene, without the first. No scene is shorter than `shortest` frames."""
    steps: list[float] = []
    leaps: list[float] = []
    before: list[FloatArray] = []
    for frame in frames:
        now = signature(frame.image)
        steps.append(change(before[-1], now) if before else 0.0)
        leaps.append(change(before[-2], now) if len(before) > 1 else 1.0)
        before = [*before[-1:], now]
    found: list[int] = []
    for index in range(1, len(steps)):
        last = found[-1] if found else 0
        if _is_cut(steps, leaps, index) and index - last >= shortest and len(steps) - index >= shortest:
            found.append(index)
    return found


def signature(image: UInt8Array) -> FloatArray:
    """Histograms of hue, saturation and value in each cell of a grid: float32 (cells, 3 * bins), each sums to one."""
    small = cv2.resize(image, (8 * _SIDE, 8 * _SIDE), interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV_FULL)
    cells = hsv.reshape(_SIDE, 8, _SIDE, 8, 3).transpose(0, 2, 4, 1, 3).reshape(_SIDE * _SIDE, 3, -1)
    bins = (cells // (256 // _BINS))[..., None] == np.arange(_BINS)
    counted: FloatArray = bins.mean(2, dtype=np.float32).reshape(_SIDE * _SIDE, -1) / 3
    return counted


def change(before: FloatArray, now: FloatArray) -> float:
    """How much two signatures differ, 0 to 1: half the sum of differences, mean over the cells."""
    return float(np.abs(before - now).sum(1).mean() / 2)


def _is_cut(steps: list[float], leaps: list[float], index: int) -> bool:
    """steps: changes from the frame before, leaps: from the one before that. After a flash the scene is the old one."""
    around = steps[max(1, index - _AROUND) : index] + steps[index + 1 : index + 1 + _AROUND]
    usual = float(np.median(around)) if around else 0.0
    lasting = min(leaps[index : index + 2]) >= _LEAST
    return steps[index] >= _LEAST and steps[index] > _TIMES * usual and lasting
