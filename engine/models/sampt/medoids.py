"""K-medoids by turns: points of a set that stand for the rest of it (Park and Jun, 2009)."""

import numpy as np
from numpy.typing import NDArray

from engine.types import FloatArray

_ROUNDS = 300


def k_medoids(points: FloatArray, count: int) -> NDArray[np.intp]:
    """Indices (count,) into points (n, d), n >= count.

    Begins with the points of the smallest total distance; then, by turns, every point goes to its nearest medoid and
    every medoid moves to the member with the smallest total distance to its cluster, until none moves.
    """
    distances = _distances(points)
    medoids = np.argpartition(distances.sum(1), count - 1)[:count]
    for _ in range(_ROUNDS):
        nearest = distances[medoids].argmin(0)
        moved = np.array([_better(distances, np.flatnonzero(nearest == i), m) for i, m in enumerate(medoids)])
        if np.array_equal(moved, medoids):
            break
        medoids = moved
    return medoids


def _better(distances: FloatArray, members: NDArray[np.intp], medoid: int) -> int:
    """The member of a cluster in its middle; the present medoid where none is better."""
    if len(members) == 0:
        return medoid
    totals = distances[np.ix_(members, members)].sum(1)
    best = int(totals.argmin())
    present = distances[medoid, members].sum()
    return int(members[best]) if totals[best] < present else medoid


def _distances(points: FloatArray) -> FloatArray:
    """Euclidean, (n, n)."""
    difference = points[:, None].astype(np.float64) - points[None]
    distances: FloatArray = np.sqrt((difference**2).sum(2))
    return distances
