"""Similarity of every pixel with every other, read through masks (Cho et al. 2022, section 3.2).

Global matching asks the frame where an object was given. Local matching asks the previous frame, where each reference
pixel may speak for its best TOP_K query pixels only: that is what keeps look-alikes out. The cut does not depend on the
object, as a mask scales all of a reference pixel's scores alike; so it is made once, however many objects there are.
"""

import torch
from torch import Tensor

TOP_K = 4
PRODUCTS = 1 << 23
"""Most products of scores and masks in memory at once, without gradient (32 MB)."""


def similarity(reference: Tensor, query: Tensor) -> Tensor:
    """Unit keys (..., C, N) of two frames -> scores (..., reference, query) in [0, 1]."""
    return (reference.transpose(-1, -2) @ query + 1) / 2


def bijective(scores: Tensor, top_k: int = TOP_K) -> Tensor:
    """Scores (..., reference, query): all but each reference pixel's best become that pixel's least; ties stay."""
    last = scores.topk(min(top_k, scores.shape[-1]), -1).values[..., -1:]
    return torch.where(scores >= last, scores, scores.amin(-1, keepdim=True))


def read(scores: Tensor, planes: Tensor) -> Tensor:
    """The best score of each query pixel among what a mask holds, for all masks in one pass.

    scores (..., N, M); planes (..., P, N) in [0, 1] -> (..., P, M).
    """
    most = planes.shape[-2] if torch.is_grad_enabled() else max(PRODUCTS // scores.numel(), 1)
    parts = [(scores.unsqueeze(-3) * some.unsqueeze(-1)).amax(-2) for some in planes.split(most, -2)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, -2)
