"""What a network does for every track, done for a few tracks at a time.

Knows ranges of tracks and pairs of tensors. Knows no networks.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from engine.runtime.batches import FittingBatches
from engine.runtime.precision import autocast


def arithmetic(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Autocast, but for the packed networks of a CPU, which know their own type."""
    return nullcontext() if device.type == "cpu" else autocast(device, dtype)


def over_tracks(
    chunks: FittingBatches,
    work: Callable[[slice], tuple[Tensor, Tensor]],
    tracks: int,
    first_type: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Run `work` on ranges of tracks and join its two results, batch axis removed, the second in float32."""
    kind = getattr(work, "__qualname__", "")  # works that share `chunks` differ in what a track takes
    first, second = zip(*chunks.run(tracks, lambda start, stop: work(slice(start, stop)), kind), strict=True)
    return _joined(first).to(first_type), _joined(second).float()


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """(1, tracks, ...) of each range -> (all tracks, ...)."""
    return parts[0][0] if len(parts) == 1 else torch.cat([part[0] for part in parts])
