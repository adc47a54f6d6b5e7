"""Memories side by side: each bucket is what a memory of its tracks alone would be."""

import pytest
import torch
from torch import Tensor

from engine.memory.buckets import BucketedMemory
from engine.memory.long_term import LongTermMemory, LongTermOptions

POSITIONS, KEY, VALUE = 6, 5, 3
OPTIONS = LongTermOptions(top_k=4, most=4, least=2, prototypes=5, elements=20)


def frames(count: int) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Key, shrinkage, selection and values of three tracks."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return [
        (draw(1, KEY, POSITIONS), draw(1, 1, POSITIONS) ** 2 + 1, draw(1, KEY, POSITIONS).sigmoid(), values)
        for values in draw(count, 3, VALUE, POSITIONS)
    ]


def test_late_tracks_are_read_as_if_nobody_had_been_there_before() -> None:
    together, first, second = BucketedMemory(OPTIONS), LongTermMemory(OPTIONS), LongTermMemory(OPTIONS)
    for time, (key, shrinkage, selection, values) in enumerate(frames(30)):
        tracks = 2 if time < 5 else 3
        together.add(key, shrinkage, selection, values[:tracks])
        first.add(key, shrinkage, selection, values[:2])
        expected = [first.read(key, selection)]
        if time >= 5:
            second.add(key, shrinkage, selection, values[2:])
            expected.append(second.read(key, selection))
        assert torch.equal(together.read(key, selection), torch.cat(expected))
    assert [bucket.long.size for bucket in together.buckets] == [first.long.size, second.long.size]


@pytest.mark.parametrize(("rows", "buckets"), [([0], 2), ([2], 1), ([0, 1], 1), ([0, 1, 2], 0)])
def test_a_bucket_without_tracks_goes(rows: list[int], buckets: int) -> None:
    memory = BucketedMemory(OPTIONS)
    for time, (key, shrinkage, selection, values) in enumerate(frames(9)):
        memory.add(key, shrinkage, selection, values[: 2 if time < 3 else 3])
    memory.drop(rows)
    assert len(memory.buckets) == buckets
    left = 3 - len(rows)
    if left:
        assert memory.read(key, selection).shape == (left, VALUE, POSITIONS)
    memory.add(key, shrinkage, selection, values)
    assert memory.read(key, selection).shape == (3, VALUE, POSITIONS)


def test_state_round_trip_is_exact_and_looking_need_not_count() -> None:
    memory, copy = BucketedMemory(OPTIONS), BucketedMemory(OPTIONS)
    for time, (key, shrinkage, selection, values) in enumerate(frames(12)):
        memory.add(key, shrinkage, selection, values[: 2 if time < 3 else 3])
        memory.read(key, selection)
    copy.load_state(memory.state())
    memory.read(key, selection, count=False)
    for one, other in zip(memory.buckets, copy.buckets, strict=True):
        assert torch.equal(one.working.usage(), other.working.usage())
    for key, shrinkage, selection, values in frames(6):
        memory.add(key, shrinkage, selection, values)
        copy.add(key, shrinkage, selection, values)
        assert torch.equal(memory.read(key, selection), copy.read(key, selection))
