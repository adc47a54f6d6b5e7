"""Which offset lies between two positions of a map, as an index that excludes those out of reach."""

from functools import lru_cache

import torch
from torch import Tensor

REACH = 7
"""Rows and columns to either side that the short-term attention sees."""
OUTSIDE = (2 * REACH + 1) ** 2
"""The index of no offset at all."""
ROWS_AT_ONCE = 4


@lru_cache(maxsize=64)
def offsets(rows: int, reach: int, first: int, width: int, device: torch.device) -> Tensor:
    """int64 (1, rows * width, reach * width): from each query to each key the index (dy + 7) * 15 + dx + 7.

    Query row 0 lies at key row `first`. OUTSIDE where |dy| or |dx| exceeds 7.
    """
    with torch.inference_mode(False):  # what is kept may be used in training later
        return _offsets(rows, reach, first, width).to(device)


def _offsets(rows: int, reach: int, first: int, width: int) -> Tensor:
    dy = torch.arange(reach)[None] - torch.arange(rows)[:, None] - first
    column = torch.arange(width)
    dx = column[None] - column[:, None]
    inside = (dy.abs() <= REACH)[:, None, :, None] & (dx.abs() <= REACH)[None, :, None, :]
    index = (dy + REACH)[:, None, :, None] * (2 * REACH + 1) + (dx + REACH)[None, :, None, :]
    return torch.where(inside, index, OUTSIDE).reshape(1, rows * width, reach * width)
