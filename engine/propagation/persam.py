"""PerSAM and PerSAM-F through a video: what each track looked like where it was given, looked for in every frame.

Two forms: the one for videos asks with the last box as well; the one for pictures takes each frame on its own.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from engine.memory.plain import from_plain, to_plain
from engine.models.persam import image_form, video_form
from engine.models.persam.concept import Concepts
from engine.models.persam.mixture import Fit
from engine.models.persam.video_form import Largest
from engine.models.sam.asking import Asker
from engine.propagation.sam_tracker import SAMTracker
from engine.runtime.batches import FittingBatches
from engine.types import BoolArray, FloatArray

Form = Literal["video", "image"]


class PerSAMTracker(SAMTracker):
    """fit: None for PerSAM, which needs no training; True for PerSAM-F's two numbers a track, or how to find them."""

    def __init__(
        self,
        asker: Asker,
        form: Form = "video",
        fit: Fit | bool | None = None,
        largest: Largest | None = None,
        exclusive: bool = False,
        chunk: int = 8,
    ) -> None:
        super().__init__(asker, exclusive)
        self._form: Any = video_form if form == "video" else image_form
        self._fit: Fit | None = self._form.FIT if fit is True else fit or None
        self._largest = largest or Largest()
        self._batches = FittingBatches(chunk)
        self._concepts: list[Concepts] = []  # one a track
        self._boxes = np.zeros((0, 4))

    def _begin(self) -> None:
        self._concepts, self._boxes = [], np.zeros((0, 4))

    def _learn(self, masks: BoolArray) -> None:
        self._concepts += self._learned(masks)
        self._boxes = np.concatenate([self._boxes, video_form.asked_boxes(masks)[0]])

    def _relearn(self, rows: Sequence[int], masks: BoolArray) -> None:
        for row, concept in zip(rows, self._learned(masks), strict=True):
            self._concepts[row] = concept
        self._boxes[list(rows)] = video_form.asked_boxes(masks)[0]

    def _learned(self, masks: BoolArray) -> list[Concepts]:
        found: Concepts = self._form.learn_concepts(self.asker, self.embedding, masks, self._fit)
        return [found.rows([row]) for row in range(len(found))]

    def _forget(self, rows: Sequence[int]) -> None:
        self._concepts = [concept for row, concept in enumerate(self._concepts) if row not in rows]
        self._boxes = np.delete(self._boxes, list(rows), axis=0)

    def _answer(self) -> Tensor:
        def work(start: int, stop: int) -> Tensor:
            return self._segment(Concepts.joined(self._concepts[start:stop]), self._boxes[start:stop])

        found = list(self._batches.run(len(self._concepts), work))
        return torch.cat(found) if found else torch.zeros(0, *self.size)

    def _segment(self, concepts: Concepts, boxes: FloatArray) -> Tensor:
        if self._form is image_form:
            return image_form.segment(self.asker, self.embedding, concepts)
        return video_form.segment(self.asker, self.embedding, concepts, boxes, self._largest)

    def _note(self, soft: FloatArray) -> None:
        """A track's box is that of its last mask that had any pixel."""
        boxes, found = video_form.asked_boxes(soft > 0.5)
        self._boxes = np.where(found[:, None], boxes, self._boxes)

    def _kept(self) -> dict[str, Any]:
        return {"concepts": [_plain(concept) for concept in self._concepts], "boxes": self._boxes.copy()}

    def _take_up(self, kept: dict[str, Any]) -> None:
        self._concepts = [_restored(plain, self.asker.device) for plain in kept["concepts"]]
        self._boxes = np.array(kept["boxes"], np.float64).reshape(-1, 4)


def _plain(concept: Concepts) -> dict[str, Any]:
    weights = concept.weights
    return {
        "directions": to_plain(concept.directions),
        "means": to_plain(concept.means),
        "weights": None if weights is None else to_plain(weights),
    }


def _restored(plain: dict[str, Any], device: torch.device) -> Concepts:
    weights = plain["weights"]
    return Concepts(
        from_plain(plain["directions"], device),
        from_plain(plain["means"], device),
        None if weights is None else from_plain(weights, device),
    )
