"""What MMPM, XMem and DEVA keep through time, and how it is saved: a memory, hidden states, the previous frame.

Knows that there is a memory and what every memory can do; what it remembers, and when, is a subclass's business.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.memory.plain import from_plain, to_plain
from engine.nn.aggregate import aggregate_probabilities
from engine.propagation.mmpm_frames import EncodedFrame
from engine.propagation.near import PreviousFrame
from engine.propagation.pending import Frames, Pending, PendingTracker


class Memory(Protocol):
    """A feature memory of any kind."""

    def drop(self, rows: Sequence[int]) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def load_state(self, state: dict[str, Any], device: torch.device) -> None: ...


def aggregated(pending: Pending[EncodedFrame], exclusive: bool) -> Tensor:
    """The masks of a frame on which some were given: all of them together, or each of the given ones alone."""
    if not pending.given:
        return pending.soft
    if exclusive:
        return aggregate_probabilities(pending.soft)
    soft, rows = pending.soft.clone(), sorted(pending.given)
    soft[rows] = aggregate_probabilities(soft[rows], joint=False)
    return soft


class RememberingFrames(Frames[EncodedFrame], Protocol):
    """Frames of a network with hidden states, on a device."""

    device: torch.device

    def empty_hidden(self, frame: EncodedFrame, tracks: int) -> Tensor: ...


class RememberingTracker(PendingTracker[EncodedFrame]):
    """A tracker with a `memory`, a hidden state (tracks, C_h, h, w) and, where there is one, the previous frame."""

    memory: Memory
    frames: RememberingFrames

    def __init__(self, frames: RememberingFrames, near: PreviousFrame | None = None) -> None:
        super().__init__(frames)
        self._hidden = torch.empty(0)
        self._near = near or PreviousFrame()

    @torch.inference_mode()
    def state(self) -> dict[str, Any]:
        """Memory, hidden state, previous frame and the time. Masks can no longer be given on this frame."""
        return {
            **self._settled(),
            "memory": self.memory.state(),
            "hidden": to_plain(self._hidden),
            "near": self._near.state(),
        }

    @torch.inference_mode()
    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, with the same weights and options, bit for bit on the same machine."""
        device = self.frames.device
        self._resettle(state)
        self.memory.load_state(state["memory"], device)
        self._hidden = from_plain(state["hidden"], device)
        self._near.load_state(state["near"], device)

    def _leave(self, rows: Sequence[int]) -> None:
        kept = [row for row in range(len(self._hidden)) if row not in rows]
        self.memory.drop(rows)
        self._hidden = self._hidden[kept]
        self._near.keep(kept)
