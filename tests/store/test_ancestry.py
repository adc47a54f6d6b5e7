"""Places in the granularity tree, also where what a file says of them is no tree."""

from engine.store.ancestry import ancestors, remaining
from engine.types import Track


def test_ancestors_go_to_the_top() -> None:
    assert list(ancestors(3, {3: 2, 2: 1, 1: None})) == [2, 1]
    assert list(ancestors(1, {3: 2, 2: 1, 1: None})) == []


def test_a_circle_ends_where_it_began() -> None:
    assert list(ancestors(1, {1: 2, 2: 3, 3: 1})) == [2, 3]
    assert list(ancestors(1, {1: 1})) == []
    placed = remaining([Track(1, "a", 0, 2, 5), Track(2, "b", 0, 1, 5)], ())
    assert [(track.parent, track.level) for track in placed] == [(2, 1), (1, 1)]
