"""Reading a feature memory: anisotropic L2 similarity, softmax over memory, weighted values (XMem section 3.2).

Shapes: M memory positions (frames x height x width, flattened), Q query positions.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

_BLOCK = 1 << 22  # scores held at a time; only memory and speed depend on it


def similarity(
    key: Tensor,
    shrinkage: Tensor | None,
    query: Tensor,
    selection: Tensor | None,
    nearness: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """S = -(s / sqrt(C)) * sum_c e_c (k_c - q_c)², as one matrix product.

    The square is multiplied out and every factor of the memory side, shrinkage too, goes into 2C + 1 channels of it, so
    that nothing else is ever done to a matrix of M x Q. key (B, C, M), shrinkage (B, 1, M) or None (all 1), query
    (B, C, Q), selection (B, C, Q) or None (all 1), nearness: further channels (see `nearness`) -> (B, M, Q), stored
    query by query, as top-k and softmax read it.
    """
    scale = (torch.ones_like(key[:, :1]) if shrinkage is None else shrinkage) / math.sqrt(key.shape[1])
    weight = torch.ones_like(query) if selection is None else selection
    weighted = query * weight
    memory_side = [2 * scale * key, -scale * key * key, -scale]
    query_side = [weighted, weight, (weighted * query).sum(1, keepdim=True)]
    if nearness is not None:
        memory_side.append(nearness[0].expand(len(key), -1, -1))
        query_side.append(nearness[1].expand(len(key), -1, -1))
    return (torch.cat(query_side, 1).transpose(1, 2) @ torch.cat(memory_side, 1)).transpose(1, 2)


def nearness(height: int, width: int, reach: Tensor) -> tuple[Tensor, Tensor]:
    """Channels of both sides whose product is -d² / (2 reach²), d the distance of two places of one grid.

    reach: a positive number, in positions. Returns (1, 4, HW) for the memory and for the queries.
    """
    y = torch.arange(height, device=reach.device, dtype=reach.dtype) - (height - 1) / 2
    x = torch.arange(width, device=reach.device, dtype=reach.dtype) - (width - 1) / 2
    y, x = y.repeat_interleave(width) / reach, x.repeat(height) / reach
    half, one = (y * y + x * x) / 2, torch.ones_like(y)
    return torch.stack([y, x, -half, -one])[None], torch.stack([y, x, one, half])[None]


def affinity(scores: Tensor, top_k: int | None = None) -> Tensor:
    """Softmax over the memory axis of (B, M, Q); with top_k only the largest scores of each query take part."""
    if top_k is None or top_k >= scores.shape[1]:
        return scores.softmax(1)
    values, indices = scores.topk(top_k, 1)
    return torch.zeros_like(scores).scatter_(1, indices, values.softmax(1))


def readout(weights: Tensor, values: Tensor) -> Tensor:
    """Weighted values: weights (B, M, Q), values (B, n, C, M) -> (B, n, C, Q)."""
    batch, objects, channels, _ = values.shape
    read = values.flatten(1, 2) @ weights
    return read.view(batch, objects, channels, -1)


class Affinity:
    """Softmax weights of one set of scores, worked out once and used for any number of tracks.

    Equal to `affinity` and `readout`, but with top_k only the weights that are not zero are held, and only the values
    that are wanted are touched. Tracks are read one after the other: the result of one never depends on the others.
    """

    def __init__(self, scores: Tensor, top_k: int | None = None) -> None:
        """scores (M, Q): of M memory positions for Q queries; with top_k the largest of each query take part."""
        self.positions = scores.shape[0]
        self._indices: Tensor | None = None
        if top_k is None or top_k >= self.positions:
            self._weights = scores.softmax(0)
            return
        largest, self._indices = scores.T.topk(top_k, 1)
        self._weights = largest.softmax(1)

    def read(self, values: Tensor) -> Tensor:
        """Values (tracks, M, C) -> (tracks, C, Q)."""
        if self._indices is None:
            return torch.stack([track.T @ self._weights for track in values])
        bags = [F.embedding_bag(self._indices, v, per_sample_weights=self._weights, mode="sum") for v in values]
        return torch.stack(bags).transpose(1, 2)

    def usage(self) -> Tensor:
        """(M,): the weights of every memory position, summed over queries."""
        if self._indices is None:
            return self._weights.sum(1)
        usage = self._weights.new_zeros(self.positions)
        return usage.index_add_(0, self._indices.flatten(), self._weights.flatten())


def query_blocks(positions: int, queries: int) -> Iterator[slice]:
    """Ranges of queries whose scores over `positions` take a bounded share of memory."""
    step = max(1, _BLOCK // max(positions, 1))
    for start in range(0, queries, step):
        yield slice(start, start + step)
