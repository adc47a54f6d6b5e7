"""Answers shown to SAM again: the last mask and its box beside the points, as every form of PerSAM ends.

A track whose mask gets empty on the way has no box to ask with; it leaves, and its mask of this picture is empty.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.models.sam.asking import Asker, Question
from engine.models.sam.boxes import tight_boxes
from engine.models.sam.prompting import Embedding


@dataclass(frozen=True)
class Asked:
    """Tracks on their way. points: what is asked of each; low: their last logits; rows: which tracks they are."""

    points: Question
    low: Tensor  # (M, rows, columns)
    rows: NDArray[np.intp]

    def again(self, asker: Asker, embedding: Embedding, boxed: Tensor | None = None) -> "Asked":
        """The most trusted masks once points, last logits and a box are shown. boxed: logits whose boxes are meant, if
        not those of the last ones."""
        masks = embedding.upsampler.full(self.low if boxed is None else boxed) > asker.prompter.threshold
        boxes, found = tight_boxes(masks)
        kept = np.flatnonzero(found)
        points = self.points[kept]
        low, _ = asker.ask(embedding, points.shown(self.low[kept], boxes[kept])).best()
        return Asked(points, low, self.rows[kept])

    def full(self, embedding: Embedding, tracks: int) -> Tensor:
        """Logits (tracks, H, W); -inf throughout for those that left."""
        logits = torch.full((tracks, *embedding.geometry.original), -torch.inf, device=self.low.device)
        logits[self.rows] = embedding.upsampler.full(self.low)
        return logits
