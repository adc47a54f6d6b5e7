"""XMem through time: top-k reads, working memory consolidated into prototypes; for XMem's network and for MMPM's.

Differs from mmpm.py in more than the memory: memory frames are so many frames after the previous one, a frame gets
either the decoder's or the value encoder's update of the hidden state, and masks are aggregated again where some were
given. Exclusive tracks are groups of one memory, as published. Independent ones equal separate runs: those that enter
together share keys and similarities, later ones have a memory of their own.
"""

from typing import Any, Protocol

import torch
from torch import Tensor

from engine.memory.buckets import BucketedMemory
from engine.memory.long_term import LongTermMemory, LongTermOptions
from engine.propagation.mmpm_frames import EncodedFrame
from engine.propagation.near import PreviousFrame
from engine.propagation.pending import Pending
from engine.propagation.remembering import RememberingFrames, RememberingTracker, aggregated


class XMemNetworkFrames(RememberingFrames, Protocol):
    """Frames of a network with XMem's interface."""

    def values(self, frame: EncodedFrame, hidden: Tensor, soft: Tensor, deep: bool) -> tuple[Tensor, Tensor]: ...
    def masks(self, frame: EncodedFrame, read: Tensor, hidden: Tensor, update: bool) -> tuple[Tensor, Tensor]: ...


class XMemTracker(RememberingTracker):
    """interval: frames between memory frames. deep_every: frames between deep updates; -1 for every memory frame.

    near: the previous frame, for networks that read it once more.
    """

    frames: XMemNetworkFrames

    def __init__(
        self,
        frames: XMemNetworkFrames,
        options: LongTermOptions,
        interval: int = 5,
        deep_every: int = -1,
        near: PreviousFrame | None = None,
    ) -> None:
        super().__init__(frames, near)
        self.options = options
        self.interval = interval
        self.deep_every = deep_every
        self.memory: LongTermMemory | BucketedMemory = self._empty()
        self._decoded = torch.empty(0)  # the decoder's hidden state for the pending frame
        self._last_memory = 0
        self._last_deep = 0

    def state(self) -> dict[str, Any]:
        """As every tracker's, and the latest memory frame and deep update."""
        return {**super().state(), "last": [self._last_memory, self._last_deep]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, with the same weights and options, bit for bit on the same machine."""
        super().load_state(state)
        self._last_memory, self._last_deep = (int(number) for number in state["last"])

    def _begin(self, frame: EncodedFrame) -> None:
        self.memory = self._empty()
        self._near.clear()
        self._hidden = self._decoded = self.frames.empty_hidden(frame, 0)
        self._last_memory, self._last_deep = 0, -self.deep_every

    def _empty(self) -> LongTermMemory | BucketedMemory:
        return LongTermMemory(self.options) if self.exclusive else BucketedMemory(self.options)

    def _enter(self, frame: EncodedFrame, tracks: int) -> None:
        entering = self.frames.empty_hidden(frame, tracks)
        self._hidden = torch.cat([self._hidden, entering])
        self._decoded = torch.cat([self._decoded, entering])

    def _segment(self, frame: EncodedFrame, last: bool) -> Tensor:
        self._decoded = self._hidden
        if not len(self._hidden):
            return frame.image.new_zeros(0, *frame.image.shape[2:])
        read = self.memory.read(frame.key.key, frame.key.selection).unflatten(2, self._hidden.shape[-2:])
        soft, self._decoded = self.frames.masks(frame, self._near.beside(read, frame.key), self._hidden, not last)
        return soft

    def _final(self, pending: Pending[EncodedFrame]) -> Tensor:
        return aggregated(pending, self.exclusive)

    def _remember(self, pending: Pending[EncodedFrame]) -> None:
        if not len(pending.soft):
            return
        wanted = self.time - self._last_memory >= self.interval or bool(pending.given)
        due = self.deep_every < 0 or self.time - self._last_deep >= self.deep_every
        deep = wanted and due
        if len(pending.given) < len(pending.soft) and not (deep and self.deep_every < 0):
            self._hidden = self._decoded
        if wanted or self._near.wanted:
            self._store(pending, wanted, deep)

    def _store(self, pending: Pending, wanted: bool, deep: bool) -> None:
        key = pending.frame.key
        values, self._hidden = self.frames.values(pending.frame, self._hidden, self._final(pending), deep)
        self._near.put(key, values)
        if wanted:
            self.memory.add(key.key, key.shrinkage, key.selection, values.flatten(2))
            self._last_memory = self.time
        if deep:
            self._last_deep = self.time
