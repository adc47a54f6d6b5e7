"""What the loop asks of a tracking method.

Tracks keep the order in which they were given: row i of every array belongs to the i-th track that was started or added
and not dropped since. Masks may overlap: each track competes with its background, not with the other tracks, unless the
tracker was made exclusive.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from engine.types import BoolArray, FloatArray, UInt8Array


class Tracker(Protocol):
    """One method of propagating masks through one video, fed frame by frame."""

    def start(self, frame: UInt8Array, masks: BoolArray) -> None:
        """Begin. frame: uint8 (H, W, 3) RGB; masks: bool (N, H, W), N >= 1. Raises MaskError on other sizes."""
        ...

    def step(self, frame: UInt8Array, last: bool = False) -> FloatArray:
        """The tracks in the next frame: float32 (N, H, W) in [0, 1], object where > 0.5.

        `last`: no frame follows, so nothing needs remembering.
        """
        ...

    def add(self, frame: UInt8Array, masks: BoolArray) -> None:
        """More tracks, given on the frame that was stepped last: bool (M, H, W). They get the last M rows."""
        ...

    def correct(self, rows: Sequence[int], masks: BoolArray) -> None:
        """New masks for tracks that exist, on the frame that was stepped last."""
        ...

    def drop(self, rows: Sequence[int]) -> None:
        """End tracks; the rows behind them move up."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything needed to go on after a restart: tensors, arrays, numbers, strings, lists and dicts of these."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; the next call is `step` of the following frame."""
        ...
