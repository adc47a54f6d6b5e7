"""What a run holds of every track at once, from shapes alone: told before the first frame, for a memory limit.

Knows frames of networks that remember values (MMPM, XMem, DEVA); of other methods it counts the masks only.
"""

from typing import Any

import numpy as np
import torch

_OF_A_MASK = 2 * (4 + 1)  # bytes a pixel: probability and mask, and those of the frame before until they are freed
_READ_OUTS = 4  # values in float32 that one step holds of all tracks: read, read near, both side by side, hidden state


def held_bytes(tracker: Any, tracks: int, size: tuple[int, int]) -> int:
    """At least so many bytes are held for `tracks` masks on frames of this (height, width)."""
    masks = _OF_A_MASK * tracks * size[0] * size[1]
    frames = getattr(tracker, "frames", None)
    if not hasattr(getattr(frames, "config", None), "value_dim") or not hasattr(frames, "empty_hidden"):
        return masks
    assert frames is not None
    with torch.inference_mode():
        encoded = frames.encode(np.zeros((*size, 3), np.uint8))
        height, width = frames.empty_hidden(encoded, 1).shape[-2:]
    values = tracks * frames.config.value_dim * height * width
    stored = frames.score_dtype.itemsize * (1 + getattr(tracker.memory, "limit", 1))
    return masks + values * (stored + 4 * _READ_OUTS)
