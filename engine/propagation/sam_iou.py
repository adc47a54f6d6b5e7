"""SAM + IoU: of the masks that SAM proposes for a frame, each track takes the one most like its last mask.

No threshold, no motion, no memory: the plainest way from SAM's masks to tracks. Several tracks may take one proposal.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.masks.boxed import BoxedMask, iou
from engine.models.sam.asking import Asker
from engine.models.sam.automatic import ProposalSettings, propose
from engine.propagation.sam_tracker import SAMTracker
from engine.types import BoolArray, FloatArray

_CERTAIN = 20.0  # a logit whose probability is 1 in float32


class SAMIoUTracker(SAMTracker):
    """Tracks linked by IoU alone. Where no proposal overlaps, the mask is empty and the last one is still compared."""

    def __init__(self, asker: Asker, settings: ProposalSettings, exclusive: bool = False) -> None:
        super().__init__(asker, exclusive)
        self._settings = settings
        self._last: list[BoxedMask] = []

    def _begin(self) -> None:
        self._last = []

    def _learn(self, masks: BoolArray) -> None:
        self._last += [BoxedMask.of(mask) for mask in masks]

    def _relearn(self, rows: Sequence[int], masks: BoolArray) -> None:
        for row, mask in zip(rows, masks, strict=True):
            self._last[row] = BoxedMask.of(mask)

    def _forget(self, rows: Sequence[int]) -> None:
        self._last = [mask for row, mask in enumerate(self._last) if row not in rows]

    def _answer(self) -> Tensor:
        """Where proposals meet, the better linked track is stronger."""
        proposals = [found.mask for found in propose(self.asker.prompter, self._frame, self._settings, self.embedding)]
        logits = torch.full((len(self._last), *self.size), -torch.inf)
        for row, last in enumerate(self._last):
            found, overlap = most_like(last, proposals)
            if found is not None:
                logits[row][torch.from_numpy(found.whole(*self.size))] = _CERTAIN + overlap
        return logits

    def _note(self, soft: FloatArray) -> None:
        for row, mask in enumerate(soft > 0.5):
            if mask.any():
                self._last[row] = BoxedMask.of(mask)

    def _kept(self) -> dict[str, Any]:
        return {"last": [{"top": m.top, "left": m.left, "crop": m.crop} for m in self._last]}

    def _take_up(self, kept: dict[str, Any]) -> None:
        self._last = [BoxedMask(int(m["top"]), int(m["left"]), np.array(m["crop"], np.bool_)) for m in kept["last"]]


def most_like(mask: BoxedMask, proposals: Sequence[BoxedMask]) -> tuple[BoxedMask | None, float]:
    """The proposal with the highest IoU, the first of equals, and that IoU; None where none overlaps."""
    overlaps = [iou(mask, proposal) for proposal in proposals]
    best = int(np.argmax(overlaps)) if overlaps else 0
    return (proposals[best], overlaps[best]) if overlaps and overlaps[best] > 0 else (None, 0.0)
