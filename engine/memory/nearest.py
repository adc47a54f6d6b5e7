"""The nearest few of very many remembered positions, for every query.

Distances are never below zero, so their bits order them as whole numbers, which processors compare many times faster
than 16-bit floats; a distance and its place fit into one wider number and are found together. Frames are compared
place by place first: the k nearest positions lie at the k places whose nearest frame is nearest.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_WIDER = {torch.bfloat16: (torch.int16, torch.int32, 16), torch.float32: (torch.int32, torch.int64, 32)}
_PLACES = 1 << 16  # that fit beside a 16-bit distance


def nearest(distances: Sequence[Tensor], k: int) -> tuple[Tensor, Tensor]:
    """The k nearest positions of each query: distances (Q, N), >= 0, of N places in each of some frames.

    Returns distances and positions (Q, k), in no particular order; position = N * frame + place. All positions where
    there are not more than k.
    """
    places = distances[0].shape[1]
    if len(distances) == 1:
        return smallest(distances[0], k)
    found = smallest(_least(distances), k)[1]
    candidates = torch.stack([frame.gather(1, found) for frame in distances], 1).flatten(1)
    least, at = smallest(candidates, k)
    number = found.shape[1]
    return least, at // number * places + found.gather(1, at % number)


def smallest(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest of each row of distances (Q, N), >= 0: values and columns (Q, k), in no particular order."""
    queries, places = distances.shape
    if k >= places:
        return distances, torch.arange(places, device=distances.device).expand(queries, -1)
    if distances.device.type != "cpu" or distances.dtype not in _WIDER or places > _PLACES:
        least = distances.topk(k, 1, largest=False, sorted=False)
        return least.values, least.indices
    bits, wide, width = _WIDER[distances.dtype]
    packed = (distances.contiguous().view(bits).to(wide) << width) | torch.arange(places, dtype=wide)
    numbers = packed.numpy()
    numbers.partition(k - 1, axis=1)  # in registers where the processor has them; torch's top-k is not
    best = torch.from_numpy(np.ascontiguousarray(numbers[:, :k]))
    return (best >> width).to(bits).view(distances.dtype), (best & (_PLACES - 1)).long()


def _least(distances: Sequence[Tensor]) -> Tensor:
    """The smallest of each place over all frames."""
    kind = _WIDER[distances[0].dtype][0] if distances[0].dtype in _WIDER else None
    views = distances if kind is None else [frame.view(kind) for frame in distances]
    least = views[0].clone()
    for view in views[1:]:
        torch.minimum(least, view, out=least)
    return least if kind is None else least.view(distances[0].dtype)
