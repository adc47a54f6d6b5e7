"""Eviction policies: what always stays, what is drawn, what is played back."""

import numpy as np
import pytest
from mmpm_golden import case

from engine.errors import UsageError
from engine.memory.decisions import RecordedDecisions, SeededDecisions
from engine.memory.eviction import POLICIES, eviction_candidates

COUNT = 11  # ten entries are the limit, one came on top


def kept(policy: str, seed: int) -> list[int]:
    """The entries that stay of COUNT."""
    candidates = eviction_candidates(policy, COUNT, set(), set())
    gone = SeededDecisions(seed).evict(candidates, COUNT)
    return [index for index in range(COUNT) if index != gone]


@pytest.mark.parametrize("policy", ["fifo", "not_filter"])
def test_policies_without_chance_are_the_published_ones(policy: str) -> None:
    for row in case("eviction")[f"out_{policy}"]:
        assert kept(policy, seed=3) == row.tolist()


def test_first_and_newest_are_spared() -> None:
    for row in case("eviction")["out_random_except_first_last"]:
        assert {0, COUNT - 1} <= set(row.tolist())
    drawn = {tuple(kept("random_except_first_last", seed)) for seed in range(200)}
    assert all({0, COUNT - 1} <= set(entries) for entries in drawn)
    assert len(drawn) == COUNT - 2  # every other entry goes in some draw


def test_policies_are_what_their_names_say() -> None:
    assert eviction_candidates("random_except_first", 4, set(), set()) == [1, 2, 3]
    assert eviction_candidates("random", 4, set(), set()) == [0, 1, 2, 3]
    assert len({tuple(kept("random", seed)) for seed in range(200)}) == COUNT


def test_draws_are_even() -> None:
    decisions = SeededDecisions(7)
    counts = np.bincount([decisions.evict([0, 1, 2, 3], 4) for _ in range(2000)])
    assert counts.min() > 400
    coins = [decisions.coin() for _ in range(2000)]
    assert 0.16 < np.mean(coins) < 0.24


@pytest.mark.parametrize("policy", POLICIES)
def test_needed_entries_stay_whatever_the_policy(policy: str) -> None:
    assert not eviction_candidates(policy, 3, set(), {0, 1, 2})
    assert eviction_candidates(policy, 3, {0}, {0, 2}) == [1]


def test_anchors_stay_where_the_first_does() -> None:
    assert eviction_candidates("random_except_first_last", 5, {2}, set()) == [1, 3]
    assert eviction_candidates("random_except_first", 5, {2}, set()) == [1, 3, 4]


def test_unknown_policies_are_named() -> None:
    with pytest.raises(UsageError, match=r"lifo.*fifo"):
        eviction_candidates("lifo", 3, set(), set())


def test_a_record_is_played_back_and_then_ends() -> None:
    record = RecordedDecisions([True, False], [[0, 2, 3]])
    assert [record.coin(), record.coin()] == [True, False]
    assert record.evict([2], 4) == 1
    with pytest.raises(UsageError, match="2 deep"):
        record.coin()
    with pytest.raises(UsageError, match="1 evictions"):
        record.evict([1], 4)
    record.restart()
    assert record.coin()
    with pytest.raises(UsageError, match="keeps 3 of 5"):
        record.evict([1], 5)


def test_decisions_go_on_from_their_state() -> None:
    ours, copy = SeededDecisions(5), SeededDecisions(0)
    for _ in range(3):
        ours.coin()
        ours.evict([1, 2, 3], 5)
    copy.load_state(ours.state())
    assert [ours.coin() for _ in range(20)] == [copy.coin() for _ in range(20)]
    assert [ours.evict(range(9), 9) for _ in range(20)] == [copy.evict(range(9), 9) for _ in range(20)]
