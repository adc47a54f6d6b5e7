"""The one-to-one assignment of highest total: which proposal stands for which object.

Knows a matrix of numbers. The Hungarian method with potentials, one shortest augmenting path a row (Kuhn 1955; Jonker
and Volgenant 1987), O(rows² · columns).
"""

import numpy as np
from numpy.typing import NDArray


def best_assignment(gain: NDArray[np.float64]) -> list[tuple[int, int]]:
    """(row, column) pairs, as many as the shorter side has, whose gains have the highest sum; by row.

    gain: finite float64 (rows, columns).
    """
    rows, columns = gain.shape
    if rows > columns:
        return sorted((row, column) for column, row in best_assignment(gain.T))
    if rows == 0:
        return []
    row_of = _augmented(-gain)
    return sorted((int(row), column) for column, row in enumerate(row_of) if row >= 0)


def _augmented(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """Row of each column in the cheapest assignment of all rows, -1 where none; rows <= columns.

    Column `columns` is a place outside of the matrix from which each new row starts.
    """
    rows, columns = cost.shape
    of_row, of_column = np.zeros(rows), np.zeros(columns + 1)
    row_of = np.full(columns + 1, -1)
    for row in range(rows):
        row_of[columns] = row
        at, came_from = columns, np.full(columns, columns)
        cheapest, done = np.full(columns, np.inf), np.zeros(columns + 1, bool)
        while row_of[at] >= 0:
            done[at] = True
            reduced = cost[row_of[at]] - of_row[row_of[at]] - of_column[:-1]
            better = ~done[:-1] & (reduced < cheapest)
            cheapest[better], came_from[better] = reduced[better], at
            following = int(np.argmin(np.where(done[:-1], np.inf, cheapest)))
            step = cheapest[following]
            of_row[row_of[done]] += step
            of_column[done] -= step
            cheapest[~done[:-1]] -= step
            at = following
        while at != columns:
            before = int(came_from[at])
            row_of[at], at = row_of[before], before
    return row_of[:-1]
