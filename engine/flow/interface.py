"""What every optical flow looks like to those who use it."""

from typing import Protocol

from engine.types import FloatArray, UInt8Array


class Flow(Protocol):
    """Flow between two frames of one size. Padding, colours and batches are its own business."""

    def __call__(self, first: UInt8Array, second: UInt8Array) -> FloatArray:
        """Where each pixel of `first`, uint8 (H, W, 3) RGB, lies in `second`, as an offset: float32 (2, H, W)."""
        ...

    def both(self, first: UInt8Array, second: UInt8Array) -> tuple[FloatArray, FloatArray]:
        """Flow from the first to the second, and from the second to the first."""
        ...
