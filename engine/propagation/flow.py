"""Carrying masks along by optical flow: the baseline that every learned tracker has to beat.

Each mask is read where the backward flow points. Nothing is remembered but the last masks, so errors accumulate and
what was hidden once never comes back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.masks.warp import warp_backward
from engine.propagation.exclusive import winner_takes_all
from engine.propagation.given import refuse_another_size, refuse_other_sizes
from engine.types import BoolArray, FloatArray, UInt8Array

Flow = Callable[[UInt8Array, UInt8Array], FloatArray]


class FlowTracker:
    """A Tracker (see engine.propagation.tracker) over any optical flow. Masks stay soft between frames."""

    def __init__(self, flow: Flow, exclusive: bool = False) -> None:
        self._flow = flow
        self._exclusive = exclusive
        self._frame = np.zeros((0, 0, 3), np.uint8)
        self._masks = np.zeros((0, 0, 0), np.float32)

    def start(self, frame: UInt8Array, masks: BoolArray) -> None:
        """Begin with bool (N, H, W)."""
        refuse_other_sizes(masks, frame.shape[:2])
        self._frame, self._masks = frame, masks.astype(np.float32)

    def step(self, frame: UInt8Array, last: bool = False) -> FloatArray:
        """Masks read along the flow from this frame back to the previous one."""
        refuse_another_size(frame, self._frame.shape[:2])
        self._masks = warp_backward(self._masks, self._flow(frame, self._frame))
        self._frame = frame
        return winner_takes_all(self._masks) if self._exclusive else self._masks

    def add(self, frame: UInt8Array, masks: BoolArray) -> None:
        """More tracks on the frame that was stepped last."""
        refuse_other_sizes(masks, frame.shape[:2])
        self._masks = np.concatenate([self._yielding(masks), masks.astype(np.float32)])

    def correct(self, rows: Sequence[int], masks: BoolArray) -> None:
        """New masks for existing tracks on the frame that was stepped last."""
        refuse_other_sizes(masks, self._frame.shape[:2])
        self._masks = self._yielding(masks)
        self._masks[list(rows)] = masks

    def drop(self, rows: Sequence[int]) -> None:
        """End tracks."""
        self._masks = np.delete(self._masks, list(rows), axis=0)

    def state(self) -> dict[str, Any]:
        """The last frame and the last masks."""
        return {"frame": self._frame, "masks": self._masks}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on after `state`."""
        self._frame, self._masks = np.asarray(state["frame"]), np.array(state["masks"], np.float32)

    def _yielding(self, masks: BoolArray) -> FloatArray:
        """A copy of the last masks; where tracks exclude each other it leaves the pixels of new masks to them."""
        return self._masks * ~masks.any(0) if self._exclusive else self._masks.copy()
