"""DEVA through time: masks given by somebody, carried along (docs/deva.md).

Like XMem's way, but for three things: the previous frame's masks join the decoder, memory frames get both updates of
the hidden state (which DEVA calls sensory memory), and tracks that enter later have a memory of their own.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.memory.buckets import BucketedMemory
from engine.memory.long_term import LongTermOptions
from engine.memory.plain import from_plain, to_plain
from engine.propagation.deva_frames import DEVAFrames
from engine.propagation.mmpm_frames import EncodedFrame
from engine.propagation.pending import Pending
from engine.propagation.remembering import RememberingTracker, aggregated


class DEVATracker(RememberingTracker):
    """interval: frames between memory frames."""

    frames: DEVAFrames

    def __init__(self, frames: DEVAFrames, options: LongTermOptions, interval: int = 5) -> None:
        super().__init__(frames)
        self.options = options
        self.interval = interval
        self.memory: BucketedMemory = BucketedMemory(options)
        self._last_masks = torch.empty(0)  # (N, H', W') of the frame before
        self._last_memory = 0

    def state(self) -> dict[str, Any]:
        """As every tracker's, and the last masks and the latest memory frame."""
        whole = super().state()
        return {**whole, "last_masks": to_plain(self._last_masks), "last_memory": self._last_memory}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, with the same weights and options, bit for bit on the same machine."""
        super().load_state(state)
        self._last_masks = from_plain(state["last_masks"], self.frames.device)
        self._last_memory = int(state["last_memory"])

    def _begin(self, frame: EncodedFrame) -> None:
        self.memory = BucketedMemory(self.options)
        self._hidden = self.frames.empty_hidden(frame, 0)
        self._last_memory = 0

    def _enter(self, frame: EncodedFrame, tracks: int) -> None:
        self._hidden = torch.cat([self._hidden, self.frames.empty_hidden(frame, tracks)])

    def _leave(self, rows: Sequence[int]) -> None:
        kept = [row for row in range(len(self._hidden)) if row not in rows]
        super()._leave(rows)
        self._last_masks = self._last_masks[kept]

    def _segment(self, frame: EncodedFrame, last: bool) -> Tensor:
        return self._look(frame, remember=not last, count=True)

    def _look(self, frame: EncodedFrame, remember: bool, count: bool) -> Tensor:
        """Probabilities (N, H', W') in a frame. remember: the sensory memory is updated; count: usage is."""
        if not len(self._hidden):
            return frame.image.new_zeros(0, *frame.image.shape[2:])
        read = self.memory.read(frame.key.key, frame.key.selection, count).unflatten(2, self._hidden.shape[-2:])
        soft, self._hidden = self.frames.masks(frame, read, self._hidden, self._last_masks, remember)
        return soft

    def _final(self, pending: Pending[EncodedFrame]) -> Tensor:
        return aggregated(pending, self.exclusive)

    def _remember(self, pending: Pending[EncodedFrame]) -> None:
        self._last_masks = self._final(pending)
        wanted = self.time - self._last_memory >= self.interval or bool(pending.given)
        if len(pending.soft) and wanted:
            self._store(pending.frame, self._last_masks)

    def _store(self, frame: EncodedFrame, masks: Tensor) -> None:
        """Make a memory frame of this one."""
        values, self._hidden = self.frames.values(frame, self._hidden, masks)
        self.memory.add(frame.key.key, frame.key.shrinkage, frame.key.selection, values.flatten(2))
        self._last_memory = self.time
