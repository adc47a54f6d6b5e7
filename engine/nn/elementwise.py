"""What is done to every number of a tensor, without memory that nobody needs and without detours of small types.

Knows tensors. While gradients are wanted, everything is torch's own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.runtime.onednn import usable


def rectified(x: Tensor, fresh: bool = False) -> Tensor:
    """max(x, 0) of any shape. fresh: nobody else reads `x`, so it may be written over.

    A bfloat16 below zero is a 16-bit integer below zero, and integers are compared without being widened: a third of
    the time on a CPU. What is not a number stays so unless its sign is set.
    """
    if x.dtype == torch.bfloat16 and usable(x):
        bits = x.view(torch.int16)
        return (bits.clamp_min_(0) if fresh else bits.clamp_min(0)).view(torch.bfloat16)
    return F.relu(x, inplace=fresh and not torch.is_grad_enabled())


def widened(x: Tensor) -> Tensor:
    """The same numbers in float32 where a CPU finds the largest of them in less than half the time."""
    return x.float() if x.dtype == torch.bfloat16 and usable(x) else x


def added(fresh: Tensor, other: Tensor) -> Tensor:
    """fresh + other, shapes as in torch's sums; nobody else reads `fresh`, so it may be written over."""
    if torch.is_grad_enabled() or fresh.dtype != other.dtype:
        return fresh + other
    return fresh.add_(other)
