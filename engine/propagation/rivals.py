"""Labels that exclude each other, said track by track."""

from torch import Tensor


def against_rivals(shares: Tensor) -> Tensor:
    """Probabilities (1 + n, ...) -> each against the strongest of the others: above 0.5 exactly for the winner."""
    best = shares.topk(2, 0).values
    rival = best[0].where(shares != best[0], best[1])
    return shares / (shares + rival).clamp(min=1e-30)
