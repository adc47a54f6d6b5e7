"""The fewest groups of a graph's nodes such that no two neighbours share one (vertex colouring), some groups given.

Greedy first, most constrained node first (DSATUR, Brélaz 1979). Where that needs more groups than some clique forces,
branch and bound looks for fewer, as far as a bounded search goes. Knows numbers only.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

TRIES = 20_000
"""Steps of the search."""
SEARCHED = 200
"""Nodes up to which it is tried."""


class Colouring(NamedTuple):
    """colours: the group of each node, from 0. exact: no colouring with fewer groups exists."""

    colours: list[int]
    exact: bool


def coloured(
    neighbours: Sequence[set[int]], given: Sequence[int | None], room: int = 10, tries: int = TRIES
) -> Colouring:
    """Colour all nodes. neighbours: of each node, symmetric; given: colours that stay as they are, else None.

    room: where several groups would do, one whose number of nodes is no multiple of this comes first.
    """
    greedy = _greedy(neighbours, given, room)
    fewest = 1 + max(greedy, default=-1)
    floor = max(_clique(neighbours), 1 + max((c for c in given if c is not None), default=-1))
    free = sum(c is None for c in given)
    if fewest <= floor:
        return Colouring(greedy, True)
    if free > SEARCHED:
        return Colouring(greedy, False)
    search = _Search(neighbours, given, floor, greedy, tries)
    search.descend(1 + max((c for c in given if c is not None), default=-1))
    return Colouring(search.best, search.tries > 0 or search.fewest <= floor)


def _greedy(neighbours: Sequence[set[int]], given: Sequence[int | None], room: int) -> list[int]:
    colours = list(given)
    free = {node for node, colour in enumerate(colours) if colour is None}
    taken = [{c for other in near if (c := colours[other]) is not None} for near in neighbours]
    members = Counter(c for c in colours if c is not None)
    while free:
        node = max(free, key=lambda n: (len(taken[n]), len(neighbours[n]), -n))
        open_ = [c for c in range(max(members, default=-1) + 1) if c not in taken[node]]
        colour = min(open_, key=lambda c: (members[c] % room == 0, c), default=max(members, default=-1) + 1)
        colours[node] = colour
        members[colour] += 1
        free.remove(node)
        for other in neighbours[node]:
            taken[other].add(colour)
    return [c for c in colours if c is not None]


def _clique(neighbours: Sequence[set[int]]) -> int:
    """The size of some set of nodes that are all neighbours: no colouring needs fewer colours."""
    largest = 0
    for node, near in enumerate(neighbours):
        clique = {node}
        for other in sorted(near, key=lambda n: -len(neighbours[n])):
            if clique <= neighbours[other]:
                clique.add(other)
        largest = max(largest, len(clique))
    return largest


class _Search:
    """Depth first: every colour of the most constrained node, old ones first, one new one at most."""

    def __init__(
        self, neighbours: Sequence[set[int]], given: Sequence[int | None], floor: int, best: list[int], tries: int
    ) -> None:
        self.best = best
        self.fewest = 1 + max(best)
        self.tries = tries
        self._neighbours = neighbours
        self._colours = list(given)
        self._floor = floor

    def descend(self, used: int) -> None:
        """Colour what is left with fewer colours than the best so far, if that can be done. used: colours so far."""
        node = self._next()
        if node is None:
            self.best, self.fewest = [c for c in self._colours if c is not None], used
            return
        taken = self._taken(node)
        for colour in range(used + 1):
            if self.fewest <= self._floor or self.tries <= 0:
                return
            if colour in taken or max(used, colour + 1) >= self.fewest:
                continue
            self.tries -= 1
            self._colours[node] = colour
            self.descend(max(used, colour + 1))
            self._colours[node] = None

    def _next(self) -> int | None:
        free = [node for node, colour in enumerate(self._colours) if colour is None]
        return max(free, key=lambda n: (len(self._taken(n)), len(self._neighbours[n])), default=None)

    def _taken(self, node: int) -> set[int]:
        return {c for other in self._neighbours[node] if (c := self._colours[other]) is not None}
