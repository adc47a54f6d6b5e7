"""Which of a track's candidate masks is most like the mask that was carried over from the frame before.

Candidates are compared where the decoder leaves them, at its resolution. Each cell of the logits knows how many pixels
of the picture it stands for, and a pixel reads only its cell and the neighbours, so the small logits bound the IoU of
the full mask from below and above. Only candidates that the bounds cannot tell apart are upsampled and counted pixel by
pixel: the choice is that of a comparison at full resolution, always.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.masks.boxed import BoxedMask
from engine.models.sam.upsampling import Upsampler
from engine.types import BoolArray

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Choice:
    """The best candidate: its index among those given, its mask, its IoU with the carried mask."""

    index: int
    mask: BoxedMask
    iou: float


class Comparison:
    """Compares candidates of one frame. `upsampled` counts the masks that had to be brought to full resolution."""

    def __init__(self, upsampler: Upsampler, threshold: float, consistent: BoolArray) -> None:
        """threshold: of the logits. consistent: bool (H, W), the only pixels of a candidate that count."""
        self._upsampler, self._threshold, self._consistent = upsampler, threshold, consistent
        self._cells = upsampler.pixels_in_cells(consistent)
        self.upsampled = 0

    def best(self, logits: Tensor, carried: BoxedMask, least: float = -1.0) -> Choice | None:
        """The candidate (K, rows, columns) of highest IoU with the carried mask, the first of equals.

        None where no candidate reaches `least`.
        """
        low, high = self._bounds(logits, carried)
        finalists = np.flatnonzero(high >= max(least, float(low.max(initial=-1.0))) - _ROUNDING)
        extents = self._upsampler.extents(logits[finalists], self._threshold)
        best: Choice | None = None
        for index, extent in zip(finalists, extents, strict=True):
            mask = self._upsampler.boxed(logits[index], self._threshold, extent)
            self.upsampled += 1
            found = consistent_iou(mask, carried, self._consistent)
            if best is None or found > best.iou:
                best = Choice(int(index), mask, found)
        return best if best is not None and best.iou >= least else None

    def _bounds(self, logits: Tensor, carried: BoxedMask) -> tuple[np.ndarray, np.ndarray]:
        """The least and the highest IoU that each candidate's full mask can have."""
        rows, columns = self._cells.shape
        above = logits[:, :rows, :columns] > self._threshold
        certain, possible = ~_grown(~above), _grown(above)
        shared = self._upsampler.pixels_in_cells(carried.within(self._consistent), carried.top, carried.left)
        counts = np.stack([shared.ravel(), (self._cells - shared).ravel()], 1).astype(np.float32)
        weights = torch.from_numpy(counts).to(logits.device)
        least = (certain.flatten(1).float() @ weights).cpu().numpy().astype(np.float64)
        most = (possible.flatten(1).float() @ weights).cpu().numpy().astype(np.float64)
        area = carried.area
        return least[:, 0] / (area + most[:, 1]), most[:, 0] / (area + least[:, 1])


def consistent_iou(mask: BoxedMask, carried: BoxedMask, consistent: BoolArray) -> float:
    """IoU of the carried mask with the consistent pixels of another; a float32 number, as the reference stores it."""
    counted = BoxedMask(mask.top, mask.left, mask.within(consistent))
    overlap = carried.overlap(counted)
    union = carried.area + counted.area - overlap
    return float(np.float32(overlap) / np.float32(union)) if union else 0.0


def stable(scores: np.ndarray, threshold: float) -> Sequence[int]:
    """Indices of the stability scores above the threshold; what has no score is not stable."""
    found: list[int] = np.flatnonzero(scores > threshold).tolist()
    return found


def _grown(cells: Tensor) -> Tensor:
    """bool (K, rows, columns): a cell is set if it or one of its eight neighbours is."""
    wide = cells.clone()
    wide[:, :, 1:] |= cells[:, :, :-1]
    wide[:, :, :-1] |= cells[:, :, 1:]
    grown = wide.clone()
    grown[:, 1:] |= wide[:, :-1]
    grown[:, :-1] |= wide[:, 1:]
    return grown
