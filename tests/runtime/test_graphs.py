"""Recorded functions: which shape is recorded when, what comes out, and what happens where recording fails."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.runtime.graphs import Graphed, cloned


class Pair(NamedTuple):
    twice: Tensor
    rest: tuple[Tensor, ...]
    size: int


def work(x: Tensor) -> Pair:
    return Pair(2 * x, (x + 1,), x.shape[-1])


class FakeCard:
    """Records like a card: results of every replay lie in the same places."""

    def __init__(self, refused: tuple[int, ...] = ()) -> None:
        self.recorded: list[tuple[int, ...]] = []
        self.replayed = 0
        self.refused = refused

    def __call__(self, work: Callable[[Tensor], Any], like: Tensor) -> Callable[[Tensor], Any]:
        if like.shape[0] in self.refused:
            raise RuntimeError("operation not permitted when stream is capturing\nmore of it")
        self.recorded.append(tuple(like.shape))
        given = like.clone()
        place = work(given)

        def replay(x: Tensor) -> Any:
            self.replayed += 1
            given.copy_(x)
            fresh = work(given)
            place.twice.copy_(fresh.twice)
            place.rest[0].copy_(fresh.rest[0])
            return place

        return replay


def test_a_shape_is_recorded_once_and_results_stay_what_they_are() -> None:
    card = FakeCard()
    graphed = Graphed(work, card)
    results = [graphed(torch.full((3,), float(k))) for k in range(4)]
    assert card.recorded == [(3,)] and card.replayed == 4
    for k, result in enumerate(results):
        assert isinstance(result, Pair) and result.size == 3
        assert result.twice.tolist() == [2 * k] * 3 and result.rest[0].tolist() == [k + 1] * 3


def test_types_and_shapes_are_recorded_apart_up_to_the_bound() -> None:
    card, notes = FakeCard(), []
    graphed = Graphed(work, card, most=2, on_note=notes.append)
    for x in (torch.ones(2), torch.ones(2, dtype=torch.float64), torch.ones(4), torch.ones(5), torch.ones(2)):
        assert torch.equal(graphed(x).twice, 2 * x) and graphed(x).twice.dtype == x.dtype
    assert card.recorded == [(2,), (2,)]
    assert notes == ["more than 2 sizes of frames: further ones are not replayed as CUDA graphs"]


def test_what_cannot_be_recorded_is_worked_on_as_it_is() -> None:
    card, notes = FakeCard(refused=(3, 4)), []
    graphed = Graphed(work, card, on_note=notes.append)
    for x in (torch.ones(3), torch.zeros(3), torch.ones(4), torch.ones(5)):
        assert torch.equal(graphed(x).twice, 2 * x)
    assert card.recorded == [(5,)]
    assert len(notes) == 1 and "not permitted" in notes[0] and "\n" not in notes[0]


def test_copies_of_trees() -> None:
    tree = {"a": [torch.ones(2), None], "b": Pair(torch.zeros(1), (), 7)}
    copy = cloned(tree)
    tree["a"][0] += 1
    assert copy["a"][0].tolist() == [1, 1] and copy["a"][1] is None and copy["b"].size == 7
    assert copy["b"].twice is not tree["b"].twice
