"""What all trackers around SAM have in common: one look at each frame, rows of tracks, masks given on later frames.

Knows that a subclass learns something from given masks and answers a frame with logits. A track that was corrected with
an empty mask is away, and stays so until it is given another.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.models.sam.asking import Asker
from engine.models.sam.prompting import Embedding
from engine.propagation.exclusive import winner_takes_all
from engine.propagation.given import refuse_another_size, refuse_other_sizes
from engine.types import BoolArray, FloatArray, UInt8Array


class SAMTracker(ABC):
    """The Tracker interface (see engine.propagation.tracker) on top of learning, answering and forgetting."""

    def __init__(self, asker: Asker, exclusive: bool = False) -> None:
        self.asker = asker
        self.exclusive = exclusive
        self.size = (0, 0)
        self._frame = np.zeros((0, 0, 3), np.uint8)
        self._seen: Embedding | None = None
        self._away = np.zeros(0, np.bool_)

    @torch.inference_mode()
    def start(self, frame: UInt8Array, masks: BoolArray) -> None:
        """Begin with bool masks (N, H, W), N >= 1. Raises MaskError on other sizes."""
        self.size = (frame.shape[0], frame.shape[1])
        self._away = np.zeros(0, np.bool_)
        self._look_at(frame)
        self._begin()
        self.add(frame, masks)

    @torch.inference_mode()
    def step(self, frame: UInt8Array, last: bool = False) -> FloatArray:
        """The tracks in the next frame: float32 (N, H, W) in [0, 1], object where > 0.5."""
        refuse_another_size(frame, self.size)
        self._look_at(frame)
        logits = self._answer()
        logits[torch.as_tensor(self._away, device=logits.device)] = -torch.inf
        soft = torch.sigmoid(logits).cpu().numpy()
        if self.exclusive:
            soft = winner_takes_all(soft, logits.cpu().numpy())
        self._note(soft)
        return soft

    @torch.inference_mode()
    def add(self, frame: UInt8Array, masks: BoolArray) -> None:
        """More tracks on the frame that was stepped last: bool (M, H, W). They get the last M rows."""
        refuse_other_sizes(masks, self.size)
        self._away = np.concatenate([self._away, np.zeros(len(masks), np.bool_)])
        self._learn(masks)

    @torch.inference_mode()
    def correct(self, rows: Sequence[int], masks: BoolArray) -> None:
        """New masks for existing tracks on the frame that was stepped last: bool (len(rows), H, W)."""
        refuse_other_sizes(masks, self.size)
        there = np.array([mask.any() for mask in masks], np.bool_)
        self._away[list(rows)] = ~there
        kept = [row for row, seen in zip(rows, there, strict=True) if seen]
        if kept:
            self._relearn(kept, masks[there])

    def drop(self, rows: Sequence[int]) -> None:
        """End tracks; the rows behind them move up."""
        self._away = np.delete(self._away, list(rows))
        self._forget(rows)

    def state(self) -> dict[str, Any]:
        """What the next frame starts from. Masks can no longer be given on this frame."""
        return {"size": list(self.size), "away": self._away.copy(), "kept": self._kept()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, with the same weights and options."""
        self.size = int(state["size"][0]), int(state["size"][1])
        self._away = np.array(state["away"], np.bool_).reshape(-1)
        self._take_up(state["kept"])

    @property
    def embedding(self) -> Embedding:
        """The frame as SAM sees it; worked out once, for all tracks."""
        if self._seen is None:
            self._seen = self.asker.prompter.embed(self._picture(self._frame))
        return self._seen

    def _look_at(self, frame: UInt8Array) -> None:
        self._frame, self._seen = frame, None

    def _picture(self, frame: UInt8Array) -> UInt8Array:
        """What SAM is shown of a frame."""
        return frame

    @abstractmethod
    def _note(self, soft: FloatArray) -> None:
        """The final masks of a frame, (N, H, W)."""

    @abstractmethod
    def _begin(self) -> None:
        """Forget the clip before."""

    @abstractmethod
    def _learn(self, masks: BoolArray) -> None:
        """Further tracks, none of them empty, on the present frame."""

    @abstractmethod
    def _relearn(self, rows: Sequence[int], masks: BoolArray) -> None:
        """Other masks, none of them empty, for some tracks."""

    @abstractmethod
    def _forget(self, rows: Sequence[int]) -> None:
        """Tracks that end."""

    @abstractmethod
    def _answer(self) -> Tensor:
        """Logits (N, H, W) of all tracks in the present frame."""

    @abstractmethod
    def _kept(self) -> dict[str, Any]:
        """What is remembered: plain arrays, numbers, strings, lists and dicts."""

    @abstractmethod
    def _take_up(self, kept: dict[str, Any]) -> None:
        """The inverse of `_kept`."""
