"""Fewest groups of nodes that are no neighbours."""

from itertools import product

import numpy as np
import pytest

from engine.propagation.colouring import coloured


def graph(nodes: int, edges: list[tuple[int, int]]) -> list[set[int]]:
    near: list[set[int]] = [set() for _ in range(nodes)]
    for a, b in edges:
        near[a].add(b)
        near[b].add(a)
    return near


def fewest(near: list[set[int]], given: list[int | None]) -> int:
    """By trying everything."""
    for colours in range(1, len(near) + 1):
        choices = [[c] if c is not None else list(range(colours)) for c in given]
        if max([c for c in given if c is not None], default=-1) >= colours:
            continue
        for found in product(*choices):
            if all(found[a] != found[b] for a in range(len(near)) for b in near[a]):
                return colours
    raise AssertionError


@pytest.mark.parametrize("seed", range(12))
def test_as_few_as_trying_everything_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(2, 8))
    edges = [(a, b) for a in range(nodes) for b in range(a) if rng.random() < 0.5]
    near = graph(nodes, edges)
    given: list[int | None] = [0 if seed % 2 and not node else None for node in range(nodes)]
    found = coloured(near, given)
    assert found.exact
    assert all(found.colours[a] != found.colours[b] for a, b in edges)
    assert 1 + max(found.colours) == fewest(near, given)


def test_a_ring_of_five_needs_three_and_two_are_ruled_out() -> None:
    found = coloured(graph(5, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]), [None] * 5)
    assert found.exact
    assert 1 + max(found.colours) == 3


def test_a_search_that_is_given_up_says_so() -> None:
    rng = np.random.default_rng(3)
    edges = [(a, b) for a in range(60) for b in range(a) if rng.random() < 0.5]
    found = coloured(graph(60, edges), [None] * 60, tries=50)
    assert not found.exact
    assert all(found.colours[a] != found.colours[b] for a, b in edges)


def test_given_colours_stay_and_groups_with_room_come_first() -> None:
    near = graph(12, [(0, 11)])
    found = coloured(near, [*[0] * 10, None, 1])
    assert found.colours == [*[0] * 10, 1, 1]
    assert coloured([], []).colours == []
