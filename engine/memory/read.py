"""Reading a feature memory: anisotropic L2 similarity, softmax over memory, weighted values (XMem section 3.2).

Shapes: M memory positions (frames x height x width, flattened), Q query positions.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


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


def weighted_values(scores: Tensor, values: Tensor, top_k: int | None = None) -> Tensor:
    """Read every track with one set of scores: scores (M, Q), values (tracks, M, C) -> (tracks, C, Q).

    Equal to `readout(affinity(scores, top_k), values)`, but the weights are worked out once, and with top_k only the
    values that are wanted are touched. Tracks are read one after the other: the result of one never depends on others.
    """
    if top_k is None or top_k >= scores.shape[0]:
        weights = scores.softmax(0)
        return torch.stack([track.T @ weights for track in values])
    largest, indices = scores.T.topk(top_k, 1)
    weights = largest.softmax(1)
    bags = [F.embedding_bag(indices, track, per_sample_weights=weights, mode="sum") for track in values]
    return torch.stack(bags).transpose(1, 2)
