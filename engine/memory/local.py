"""Reading one frame near the same place, a few rows of places at a time, for inference on a CPU.

Scores are the similarity minus d² / (2 reach²), d the distance of two places of one grid. As no similarity is above
zero, rows so far away that even a perfect likeness would not count there are left out before scores are worked out, and
rows that do not count indeed before values are read. Knows factors of the similarity (read.py) and values as rows;
knows no networks.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

from engine.memory.read import nearness
from engine.runtime.onednn import product

_QUERIES = 256  # about as many a block
_STEP = 4  # rows; windows of few sizes are tables that can be kept
# Most that what is left out of either could have counted, of 1.
_LOST = {torch.bfloat16: 1e-3, torch.float32: 1e-6}


def read_locally(
    queries: Tensor, memory: Tensor, values: Tensor, unlike: Tensor, grid: tuple[int, int], reach: float
) -> Tensor:
    """queries (Q, K), memory (M, K), values (tracks, M, C) of a grid (height, width) with Q = M -> (tracks, Q, C).

    unlike: (Q,), each place's similarity to itself with its sign changed. reach: in places.
    """
    width = grid[1]
    read = values.new_empty(values.shape)
    for (first, stop), (above, below) in _bands(unlike, grid, reach, queries.dtype):
        asked, told = slice(first * width, stop * width), slice(above * width, below * width)
        scores = product(queries[asked], memory[told])
        scores += _far(first - above, stop - first, below - above, width, reach, queries.dtype)
        weights, told = _counting(scores.softmax(1), told, width)
        weights = weights.to(values.dtype)
        for track, result in zip(values, read, strict=True):
            result[asked] = product(weights, track[told].T)
    return read


def _counting(weights: Tensor, told: slice, width: int) -> tuple[Tensor, slice]:
    """Weights (Q, M) of the places `told` without the first and last rows of places that count for no query."""
    most = weights.unflatten(1, (-1, width)).sum(2, dtype=torch.float32).amax(0).cumsum(0)
    share, lost = most.tolist(), _LOST.get(weights.dtype, 1e-6) / 2
    first = sum(before <= lost for before in share)
    last = sum(share[-1] - before > lost for before in share) + 1
    kept = slice(told.start + first * width, told.start + last * width)
    return weights[:, first * width : last * width].contiguous(), kept


def _bands(
    unlike: Tensor, grid: tuple[int, int], reach: float, dtype: torch.dtype
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Rows [first, stop) of queries and the rows [above, below) that may count for them."""
    height, width = grid
    step = max(1, _QUERIES // width)
    worst = [float(rows.max()) for rows in unlike.view(height, width).split(step)]
    # All that is further than R rows counts for less than 6 reach² e^(-R² / (2 reach²)) of a perfect likeness here.
    slack = math.log(max(6 * reach**2, 10.0) / _LOST.get(dtype, 1e-6))
    for number, least in enumerate(worst):
        first, stop = number * step, min((number + 1) * step, height)
        far = math.ceil(reach * math.sqrt(2 * (max(least, 0.0) + slack))) if math.isfinite(least) else height
        far = -(-far // _STEP) * _STEP
        yield (first, stop), (max(0, first - far), min(height, stop + far))


@lru_cache(maxsize=32)
def _far(offset: int, rows: int, window: int, width: int, reach: float, dtype: torch.dtype) -> Tensor:
    """-d² / (2 reach²) of `rows` rows of places, the first being row `offset` of a window, to all of the window."""
    near, asked = nearness(window, width, torch.tensor(reach, dtype=torch.float64))
    part = slice(offset * width, (offset + rows) * width)
    return (asked[0, :, part].T @ near[0]).to(dtype)
