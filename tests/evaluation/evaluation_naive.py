"""J and F written down once more, pixel by pixel, straight from the definitions; the slow side of the comparison."""

from math import ceil, sqrt

import numpy as np


def region(P: np.ndarray, G: np.ndarray) -> float:
    union = np.count_nonzero(P | G)
    return np.count_nonzero(P & G) / union if union else 1.0


def edge(S: np.ndarray) -> np.ndarray:
    H, W = S.shape
    b = np.zeros_like(S)
    for y in range(H):
        for x in range(W):
            near = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            b[y, x] = any(S[v, u] != S[y, x] for v, u in near if v < H and u < W)
    return b


def matched(B: np.ndarray, others: np.ndarray, radius: int) -> int:
    at, to = np.argwhere(B), np.argwhere(others)
    if not len(at) or not len(to):
        return 0
    squared = ((at[:, None] - to[None]) ** 2).sum(-1)
    return int((squared.min(axis=1) <= radius * radius).sum())


def boundary(P: np.ndarray, G: np.ndarray) -> float:
    radius = ceil(0.008 * sqrt(P.shape[0] ** 2 + P.shape[1] ** 2))
    p, g = edge(P), edge(G)
    n_p, n_g = int(p.sum()), int(g.sum())
    if n_p == 0 or n_g == 0:
        return 1.0 if n_p == n_g else 0.0
    precision, recall = matched(p, g, radius) / n_p, matched(g, p, radius) / n_g
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
