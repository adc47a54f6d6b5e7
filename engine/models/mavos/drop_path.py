"""Whole branches left out in training, sample by sample (stochastic depth)."""

from torch import Tensor

RATE = 0.1


def drop_path(x: Tensor, training: bool) -> Tensor:
    """x (B, ...): in training each sample is 0 with probability 0.1, else made up for."""
    if not training:
        return x
    kept = x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(1 - RATE)
    return x * kept / (1 - RATE)
