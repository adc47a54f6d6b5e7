"""SAM-PT frame by frame: points of each track are followed, and SAM is asked with those that are seen.

Frames are worked on at the network's size. Points are chosen once, where a mask was given; nothing looks ahead (see
engine.models.sampt.clip for the published procedure over a whole clip).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.sam.asking import Asker
from engine.models.sam.preprocess import Geometry, resize_longest_side
from engine.models.sampt.queries import PointChoice
from engine.models.sampt.readout import ReadOut, read_out
from engine.models.sampt.tracks import PointTracker, codes
from engine.models.sampt.window import PointWindow
from engine.propagation.sam_tracker import SAMTracker
from engine.runtime.batches import FittingBatches
from engine.types import BoolArray, FloatArray, UInt8Array

_NOTHING = -1e4  # a logit of probability 0 that can be interpolated, unlike -inf


class SAMPTTracker(SAMTracker):
    """Tracks by points. Other tracks' points are background only where tracks exclude each other: else they overlap."""

    def __init__(
        self,
        asker: Asker,
        points: PointTracker,
        how: ReadOut | None = None,
        choice: PointChoice | None = None,
        exclusive: bool = False,
        chunk: int = 8,
    ) -> None:
        super().__init__(asker, exclusive)
        self._how = replace(how or ReadOut(), others=exclusive)
        self._window = PointWindow(points)
        self._choice = choice or PointChoice()
        self._batches = FittingBatches(chunk)

    def _picture(self, frame: UInt8Array) -> UInt8Array:
        """The frame with its longer side as long as the network's."""
        geometry = Geometry.of(frame.shape[0], frame.shape[1], self.asker.side)
        return np.ascontiguousarray(resize_longest_side(frame, geometry))

    def _begin(self) -> None:
        self._window.start(self._picture(self._frame))

    def _learn(self, masks: BoolArray) -> None:
        self._window.add(self._chosen(masks))

    def _relearn(self, rows: Sequence[int], masks: BoolArray) -> None:
        self._window.replace(self._indices(rows), self._chosen(masks))

    def _forget(self, rows: Sequence[int]) -> None:
        self._window.drop(self._indices(rows))

    def _answer(self) -> Tensor:
        picture = self._picture(self._frame)
        found = self._window.step(picture)
        tracks, each = len(self._away), self._how.positives + self._how.negatives
        xy = found.xy.reshape(tracks, each, 2)
        seen = codes(found, picture.shape[:2]).reshape(tracks, each)
        seen[self._away] = 0
        if self._how.others and tracks:
            return self._read(xy, seen)
        logits = list(self._batches.run(tracks, lambda start, stop: self._read(xy[start:stop], seen[start:stop])))
        return torch.cat(logits) if logits else torch.zeros(0, *self.size)

    def _read(self, xy: FloatArray, seen: FloatArray) -> Tensor:
        """Logits of the frame's own size."""
        logits, _ = read_out(self.asker, self.embedding, xy, seen, self._how)
        small = logits.clamp(min=_NOTHING)[:, None]
        return F.interpolate(small, size=self.size, mode="bilinear", align_corners=False)[:, 0]

    def _chosen(self, masks: BoolArray) -> FloatArray:
        """The points of some masks, one mask's after another's: (N * P, 2) in pixels of the network's picture."""
        picture = self._picture(self._frame)
        small = [_shrunk(mask, picture.shape[:2]) for mask in masks]
        return np.concatenate([self._choice(mask, picture, self._how.positives, self._how.negatives) for mask in small])

    def _indices(self, rows: Sequence[int]) -> list[int]:
        each = self._how.positives + self._how.negatives
        return [row * each + point for row in rows for point in range(each)]

    def _note(self, soft: FloatArray) -> None:
        """Nothing: points are followed whatever SAM makes of them."""

    def _kept(self) -> dict[str, Any]:
        return self._window.state()

    def _take_up(self, kept: dict[str, Any]) -> None:
        self._window.load_state(kept)


def _shrunk(mask: BoolArray, size: tuple[int, int]) -> BoolArray:
    """The mask in another size; what is too thin to be hit keeps the pixel in its middle."""
    height, width = size
    small = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    if not small.any():
        rows, columns = np.nonzero(mask)
        y, x = int(rows.mean() * height / mask.shape[0]), int(columns.mean() * width / mask.shape[1])
        small[y, x] = True
    return small
