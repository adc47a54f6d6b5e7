"""MMPM through time: the paper's temporal and sequential memory (docs/mmpm.md).

The key of a frame and its similarity to the memory are worked out once, however many tracks there are; values and masks
are per track, in chunks. Independent tracks compete with their background only; exclusive ones with each other.
Configurations with a local read remember the previous frame too, beside the memory frames.
"""

import torch
from torch import Tensor

from engine.memory.bank import TemporalMemory
from engine.memory.decisions import Decisions, SeededDecisions
from engine.propagation.mmpm_frames import EncodedFrame, MMPMFrames
from engine.propagation.near import PreviousFrame
from engine.propagation.options import MMPMOptions
from engine.propagation.pending import Pending
from engine.propagation.remembering import RememberingTracker


class MMPMTracker(RememberingTracker):
    """Memory frames are the multiples of `interval`, the first frame included, and frames on which masks are given.

    A mask that was given is remembered with a deep update, as the first frame's is. The memory of a track that enters
    late begins there.
    """

    frames: MMPMFrames

    def __init__(self, frames: MMPMFrames, options: MMPMOptions, decisions: Decisions | None = None) -> None:
        super().__init__(frames, PreviousFrame.of(frames))
        config = frames.config
        self.interval = options.interval or config.interval
        self.top_k = options.top_k or config.top_k
        self.deep_update = options.deep_update
        self.decisions = decisions or SeededDecisions(options.seed)
        self.memory: TemporalMemory = TemporalMemory(
            options.memory_frames or config.memory_frames,
            options.evict,
            self.decisions,
            frames.score_dtype,
            torch.device("cpu") if options.offload else None,
        )

    def _begin(self, frame: EncodedFrame) -> None:
        self.memory.clear()
        self._hidden = self.frames.empty_hidden(frame, 0)
        self._near.clear()

    def _enter(self, frame: EncodedFrame, tracks: int) -> None:
        self._hidden = torch.cat([self._hidden, self.frames.empty_hidden(frame, tracks)])

    def _segment(self, frame: EncodedFrame, last: bool) -> Tensor:
        if not len(self._hidden):
            return frame.image.new_zeros(0, *frame.image.shape[2:])
        read = self.memory.read(frame.key.key, frame.key.selection, self.top_k).unflatten(2, self._hidden.shape[-2:])
        soft, self._hidden = self.frames.masks(frame, self._near.beside(read, frame.key), self._hidden, not last)
        return soft

    def _remember(self, pending: Pending[EncodedFrame]) -> None:
        wanted = self.time % self.interval == 0 or bool(pending.given)
        if not len(pending.soft) or not (wanted or self._near.wanted):
            return
        coin = wanted and self._deep(pending)
        deep = [coin or row in pending.given for row in range(len(pending.soft))]
        values, reinforced = self.frames.values(pending.frame, self._hidden, pending.soft, any(deep))
        chosen = torch.tensor(deep, device=self._hidden.device).view(-1, 1, 1, 1)
        self._hidden = torch.where(chosen, reinforced, self._hidden)
        key = pending.frame.key
        if wanted:
            self.memory.add(self.time, key.key, key.shrinkage, values.flatten(2), sorted(pending.given))
        self._near.put(key, values)

    def _deep(self, pending: Pending[EncodedFrame]) -> bool:
        """Whether rows that were predicted get a deep update at this memory frame. Nothing is drawn without need."""
        if len(pending.given) == len(pending.soft) or self.deep_update == "never":
            return False
        return self.deep_update == "memory" or self.decisions.coin()
