"""Reading a feature memory: anisotropic L2 similarity, softmax over memory, weighted values (XMem section 3.2).

Shapes: M memory positions (frames x height x width, flattened), Q query positions.
"""

import math
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.memory.largest import largest
from engine.runtime.onednn import product, usable

# Scores held at a time; only memory and speed depend on them. A product with all values wants many queries, because the
# values are laid out anew for each block.
_SCORES = 1 << 23
_ALIGNED = 16  # queries a block are a multiple of a register's width


def similarity(
    key: Tensor,
    shrinkage: Tensor | None,
    query: Tensor,
    selection: Tensor | None,
    nearness: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """S = -(s / sqrt(C)) * sum_c e_c (k_c - q_c)², as one matrix product.

    key (B, C, M), shrinkage (B, 1, M) or None (all 1), query (B, C, Q), selection (B, C, Q) or None (all 1), nearness:
    further channels (see `nearness`) -> (B, M, Q), stored query by query, as softmax reads it.
    """
    memory, asked = memory_side(key, shrinkage), query_side(query, selection)
    if nearness is not None:
        memory = torch.cat([memory, nearness[0].expand(len(key), -1, -1)], 1)
        asked = torch.cat([asked, nearness[1].expand(len(key), -1, -1)], 1)
    if len(key) == 1 and usable(memory):
        return product(asked[0].T, memory[0].T).T.unsqueeze(0)
    return (asked.transpose(1, 2) @ memory).transpose(1, 2)


def memory_side(key: Tensor, shrinkage: Tensor | None) -> Tensor:
    """The memory's factor of the similarity, (B, 2C + 1, M).

    The square is multiplied out and every factor of the memory, shrinkage too, goes into its own channels, so that
    nothing else is ever done to a matrix of M x Q.
    """
    scale = (torch.ones_like(key[:, :1]) if shrinkage is None else shrinkage) / math.sqrt(key.shape[1])
    return torch.cat([2 * scale * key, -scale * key * key, -scale], 1)


def query_side(query: Tensor, selection: Tensor | None) -> Tensor:
    """The queries' factor of the similarity, (B, 2C + 1, Q)."""
    weight = torch.ones_like(query) if selection is None else selection
    weighted = query * weight
    return torch.cat([weighted, weight, (weighted * query).sum(1, keepdim=True)], 1)


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
        return scores.transpose(1, 2).softmax(2).transpose(1, 2)
    values, indices = scores.topk(top_k, 1)
    return torch.zeros_like(scores).scatter_(1, indices, values.softmax(1))


def readout(weights: Tensor, values: Tensor) -> Tensor:
    """Weighted values: weights (B, M, Q), values (B, n, C, M) -> (B, n, C, Q). On a CPU in the type of the values."""
    if usable(weights):  # query by query, as `similarity` stores them
        rows = weights.transpose(1, 2).to(values.dtype)
        read = [[product(w, track) for track in tracks] for w, tracks in zip(rows, values, strict=True)]
        return torch.stack([torch.stack(tracks) for tracks in read]).transpose(2, 3)
    return (values.flatten(1, 2) @ weights).unflatten(1, values.shape[1:3])


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
            self._weights = scores.T.float().softmax(1)
            return
        found, self._indices = largest(scores, top_k)
        self._weights = found.float().softmax(1)

    def read(self, values: Iterable[Tensor]) -> Tensor:
        """Values (M, C) of each track -> (tracks, Q, C)."""
        if self._indices is None:
            return torch.stack([product(self._weights, track.T) for track in values])
        bags = [F.embedding_bag(self._indices, v, per_sample_weights=self._weights, mode="sum") for v in values]
        return torch.stack(bags)

    def usage(self) -> Tensor:
        """(M,): the weights of every memory position, summed over queries."""
        if self._indices is None:
            return self._weights.sum(0)
        usage = self._weights.new_zeros(self.positions)
        return usage.index_add_(0, self._indices.flatten(), self._weights.flatten())


class NearestWeights:
    """Softmax over the nearest few positions of every query, for any number of tracks, one after the other."""

    def __init__(self, distances: Tensor, positions: Tensor) -> None:
        """distances (Q, k), the scores with their signs changed, of these positions (Q, k)."""
        self._weights = (-distances.float()).softmax(1)
        self._positions = positions

    def read(self, values: Iterable[Tensor]) -> Tensor:
        """Values (M, C) of each track -> (tracks, Q, C) in their type."""
        at = self._positions
        bags = [F.embedding_bag(at, v, per_sample_weights=self._weights.to(v.dtype), mode="sum") for v in values]
        return torch.stack(bags)


def distances(queries: Tensor, memory: Tensor) -> Tensor:
    """Scores with their signs changed, (Q, M), of both factors as rows, (Q, K) and (M, K).

    By definition they are not below zero; what rounding makes of the smallest is cut off.
    """
    return product(-queries, memory, relu=True)


def scores_by_query(memory: Tensor, queries: Tensor) -> Tensor:
    """The same scores (M, Q), stored query by query, as a softmax over all positions reads them."""
    return product(queries, memory).T


def query_blocks(positions: int, queries: int) -> Iterator[slice]:
    """Ranges of queries whose scores over `positions` take a bounded share of memory."""
    step = _SCORES // max(positions, 1)
    step = max(step // _ALIGNED, 1) * _ALIGNED
    for start in range(0, queries, step):
        yield slice(start, start + step)
