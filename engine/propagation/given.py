"""What is given to a tracker: whether masks have the size of their frame, and frames that of those before them."""

from engine.errors import MaskError, VideoError
from engine.types import BoolArray, UInt8Array


def refuse_other_sizes(masks: BoolArray, size: tuple[int, int]) -> None:
    """Raises MaskError unless masks are (N, H, W) of the frame's size (H, W)."""
    if masks.ndim != 3 or masks.shape[1:] != size:
        given = f"{masks.shape[2]}x{masks.shape[1]}" if masks.ndim == 3 else f"{masks.ndim} axes"
        raise MaskError(
            f"masks of {given} on a frame of {size[1]}x{size[0]}", "give masks (N, H, W) of the frame's own size"
        )


def refuse_another_size(frame: UInt8Array, size: tuple[int, int]) -> None:
    """Raises VideoError unless a frame, (H, W, 3), has the size (H, W) of those before it."""
    if frame.shape[:2] != size:
        raise VideoError(
            f"a frame of {frame.shape[1]}x{frame.shape[0]} follows frames of {size[1]}x{size[0]}",
            "give frames of one size",
        )
