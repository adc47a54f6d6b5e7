"""The largest few of very many scores, found by a knock-out instead of looking at each of them in turn.

Positions are divided into groups; the k largest scores lie in the k groups with the largest maxima. Maxima are cheap,
and finding the groups is the same question again, a size smaller.
"""

import torch
from torch import Tensor

_GROUP = 10  # positions a group; only speed depends on it


def largest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each column: scores (M, Q) -> values and positions (Q, k), in no particular order; k <= M."""
    positions, queries = scores.shape
    if positions <= 2 * k * _GROUP:
        return scores.T.contiguous().topk(k, 1, sorted=False)
    groups = -(-positions // _GROUP)  # group i holds the positions i, i + groups, i + 2 groups, ...
    whole = positions // groups * groups
    maxima = scores[:whole].view(-1, groups, queries).amax(0)
    rest = positions - whole
    if rest:
        torch.maximum(maxima[:rest], scores[whole:], out=maxima[:rest])
    winners = largest(maxima, k)[1]
    members = torch.arange(0, positions, groups, device=scores.device)
    candidates = (winners.unsqueeze(2) + members).flatten(1)
    values = scores.T.gather(1, candidates.clamp(max=positions - 1))
    if rest:
        values.masked_fill_(candidates >= positions, float("-inf"))
    values, at = values.topk(k, 1, sorted=False)
    return values, candidates.gather(1, at)
