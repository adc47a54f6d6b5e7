"""Reading a feature memory: anisotropic L2 similarity, softmax over memory, weighted values (XMem section 3.2).

Shapes: M memory positions (frames x height x width, flattened), Q query positions.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

_BLOCK = 1 << 22  # scores held at a time; only memory and speed depend on it


def similarity(key: Tensor, shrinkage: Tensor | None, query: Tensor, selection: Tensor | None) -> Tensor:
    """S = -(s / sqrt(C)) * sum_c e_c (k_c - q_c)², as matrix products.

    key (B, C, M), shrinkage (B, 1, M) or None (all 1), query (B, C, Q), selection (B, C, Q) or None (all 1)
    -> (B, M, Q).
    """
    channels = key.shape[1]
    if selection is None:
        weighted, squared = query, (query * query).sum(1, keepdim=True)
        distance = (key * key).sum(1).unsqueeze(2) + squared
    else:
        weighted = query * selection
        distance = (key * key).transpose(1, 2) @ selection + (weighted * query).sum(1, keepdim=True)
    distance = torch.baddbmm(distance, key.transpose(1, 2), weighted, alpha=-2)
    scale = -1 / math.sqrt(channels)
    return distance * (scale if shrinkage is None else scale * shrinkage.transpose(1, 2))


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
