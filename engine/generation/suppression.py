"""Which of many overlapping masks start tracks: duplicates go, then the number is limited."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.masks.boxed import BoxedMask, iou


@dataclass(frozen=True)
class Kept:
    """Indices of the masks that stay, in their order. `dropped_large`: how many large ones the limit cost."""

    indices: list[int]
    dropped_large: int = 0


def without_duplicates(masks: Sequence[BoxedMask], threshold: float = 0.7) -> list[int]:
    """Indices of the masks whose IoU with no earlier mask is above the threshold.

    An earlier mask counts also where it was dropped itself: of a chain of similar masks only the first stays.
    """
    areas = np.array([mask.area for mask in masks], np.int64)
    boxes = np.array([(m.top, m.left, m.bottom, m.right) for m in masks], np.int64).reshape(-1, 4)
    return [i for i in range(len(masks)) if not _has_earlier_twin(masks, areas, boxes, i, threshold)]


def limited(
    masks: Sequence[BoxedMask], pixels: int, generator: np.random.Generator, most: int = 200, large: float = 0.01
) -> Kept:
    """At most `most` masks: all above `large` of the frame's pixels in their order, then small ones drawn at random.

    With more than `most` large ones the first of them stay.
    """
    if len(masks) <= most:
        return Kept(list(range(len(masks))))
    big = [index for index, mask in enumerate(masks) if mask.area > large * pixels]
    if len(big) >= most:
        return Kept(big[:most], len(big) - most)
    taken = set(big)
    small = [index for index in range(len(masks)) if index not in taken]
    drawn = generator.choice(len(small), most - len(big), replace=False)
    return Kept(big + [small[int(place)] for place in drawn])


def _has_earlier_twin(
    masks: Sequence[BoxedMask], areas: np.ndarray, boxes: np.ndarray, index: int, threshold: float
) -> bool:
    top, left, bottom, right = boxes[index]
    height = np.minimum(boxes[:index, 2], bottom) - np.maximum(boxes[:index, 0], top)
    width = np.minimum(boxes[:index, 3], right) - np.maximum(boxes[:index, 1], left)
    shared = np.maximum(height, 0) * np.maximum(width, 0)
    # No more than the smaller mask and no more than what the boxes share can be shared, so most pairs need no look.
    most = np.minimum(shared, np.minimum(areas[:index], areas[index]))
    near = np.flatnonzero(most > threshold * (areas[:index] + areas[index] - most))
    return any(iou(masks[int(other)], masks[index]) > threshold for other in near)
