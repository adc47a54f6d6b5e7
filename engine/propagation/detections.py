"""What was found on one frame without looking at others: segments that share no pixel. Values only; no torch."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Segment:
    """One of the labels of a map. categories and scores: of all detections that it stands for, its own first.

    thing: of a countable object (True), of stuff (False), unknown (None). Only equals are matched with each other.
    """

    id: int
    categories: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    thing: bool | None = None


class Detection(NamedTuple):
    """labels: integers (H, W), 0 where nothing was found; segments: what the other labels are."""

    labels: Labels
    segments: tuple[Segment, ...]


def counts(first: Labels, second: Labels) -> NDArray[np.int64]:
    """How many pixels have label i in one map and j in the other: (highest first + 1, highest second + 1)."""
    rows, columns = int(first.max(initial=0)) + 1, int(second.max(initial=0)) + 1
    pairs = first.astype(np.int64).ravel() * columns + second.ravel()
    return np.bincount(pairs, minlength=rows * columns).reshape(rows, columns)


def overlaps(both: NDArray[np.int64]) -> NDArray[np.float64]:
    """IoU of every two labels, from their `counts`; that of label 0 is 0."""
    union = both.sum(1, keepdims=True) + both.sum(0, keepdims=True) - both
    iou = both / np.maximum(union, 1)
    iou[0], iou[:, 0] = 0, 0
    return iou
