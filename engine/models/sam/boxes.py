"""Boxes of masks as SAM takes them: x0, y0, x1, y1 in pixels, the last column and row included."""

import numpy as np
import torch
from torch import Tensor

from engine.types import BoolArray, FloatArray


def tight_boxes(masks: Tensor) -> tuple[FloatArray, BoolArray]:
    """(N, 4) of bool (N, H, W), and which masks have any pixel; zeros for those that have none."""
    columns, rows = masks.any(1), masks.any(2)
    found = rows.any(1).cpu().numpy()
    ends = [_ends(columns), _ends(rows)]
    boxes = np.stack([ends[0][0], ends[1][0], ends[0][1], ends[1][1]], 1).astype(np.float64)
    return boxes * found[:, None], found


def widened(boxes: FloatArray, margin: int, size: tuple[int, int]) -> FloatArray:
    """Every side moved out by `margin` pixels, into 0..W and 0..H; size: (H, W)."""
    moved = boxes + np.array([-margin, -margin, margin, margin])
    limits = np.array([size[1], size[0]] * 2)
    clipped: FloatArray = np.clip(moved, 0, limits)
    return clipped


def centres(boxes: FloatArray) -> FloatArray:
    """The middle of each box, (N, 2) x, y, rounded down to pixels."""
    middle: FloatArray = (boxes[:, :2] + boxes[:, 2:]) // 2
    return middle


def _ends(line: Tensor) -> tuple[FloatArray, FloatArray]:
    """First and last true place of each row of bool (N, n)."""
    there = line.to(torch.uint8)
    first = there.argmax(1).cpu().numpy()
    last = line.shape[1] - 1 - there.flip(1).argmax(1).cpu().numpy()
    return first, last
