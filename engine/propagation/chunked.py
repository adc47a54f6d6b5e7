"""What a network does for every track, done for a few tracks at a time.

Knows ranges of tracks and pairs of tensors. Knows no networks.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from engine.runtime.batches import FittingBatches
from engine.runtime.precision import autocast


def arithmetic(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Autocast, but for the packed networks of a CPU, which know their own type."""
    return nullcontext() if device.type == "cpu" else autocast(device, dtype)


def over_tracks(
    chunks: FittingBatches, work: Callable[[slice], tuple[Tensor, Tensor]], tracks: int
) -> tuple[Tensor, Tensor]:
    """Run `work` on ranges of tracks and join its two results, batch axis removed, in float32."""
    parts = chunks.run(tracks, lambda start, stop: work(slice(start, stop)), getattr(work, "__qualname__", ""))
    first, second = zip(*parts, strict=True)
    return torch.cat(first, 1)[0].float(), torch.cat(second, 1)[0].float()
