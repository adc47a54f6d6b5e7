"""XMem's memory: sizes, bounds, a hand-made case. Equality with the published loop is tested with its trackers."""

import pytest
import torch
from torch import Tensor

from engine.errors import UsageError
from engine.memory.long_term import LongTermMemory, LongTermOptions
from engine.memory.read import affinity, readout, similarity

POSITIONS, KEY, VALUE = 6, 5, 3
_GENERATOR = torch.Generator().manual_seed(0)


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=_GENERATOR)


def add(memory: LongTermMemory, tracks: int) -> tuple[Tensor, ...]:
    """A frame of noise."""
    frame = draw(1, KEY, POSITIONS), draw(1, 1, POSITIONS) ** 2 + 1, torch.rand(1, KEY, POSITIONS, generator=_GENERATOR)
    values = draw(tracks, VALUE, POSITIONS)
    memory.add(*frame, values)
    return *frame, values


def test_reads_like_one_softmax_before_anything_is_consolidated() -> None:
    memory = LongTermMemory(LongTermOptions(top_k=4))
    frames = [add(memory, 2) for _ in range(3)]
    query, selection = draw(1, KEY, 7), torch.rand(1, KEY, 7, generator=_GENERATOR)
    key, shrinkage, values = (torch.cat([frame[i] for frame in frames], 2) for i in (0, 1, 3))
    wanted = readout(affinity(similarity(key, shrinkage, query, selection), 4), values[None])[0]
    assert torch.allclose(memory.read(query, selection), wanted, atol=1e-5)


def test_memory_is_bounded_for_tracks_that_enter_at_any_time() -> None:
    options = LongTermOptions(top_k=4, most=4, least=2, prototypes=5, elements=20)
    memory = LongTermMemory(options)
    for time in range(60):
        add(memory, 1 + (time >= 7) + (time >= 20))
        tracks = 1 + (time >= 7) + (time >= 20)
        read = memory.read(draw(1, KEY, 7), torch.rand(1, KEY, 7, generator=_GENERATOR))
        assert read.shape == (tracks, VALUE, 7)
        assert torch.isfinite(read).all()
        assert memory.working.size < options.most * POSITIONS
        assert memory.long.size <= options.elements
    assert memory.long.size > options.elements // 2


def test_matrices_of_few_sizes_are_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = LongTermMemory(LongTermOptions(top_k=4, most=4, least=2, prototypes=5, elements=90))
    met = set()

    def watched(key: Tensor, *rest: Tensor) -> Tensor:
        met.add(key.shape[2])
        return similarity(key, *rest)

    monkeypatch.setattr("engine.memory.long_term.similarity", watched)
    for _ in range(60):
        add(memory, 1)
        memory.read(draw(1, KEY, 7), torch.rand(1, KEY, 7, generator=_GENERATOR))
    assert memory.long.size > 60  # through a dozen sizes
    assert len(met) <= 5  # one, beside those before the first consolidation and its own


def test_without_consolidation_everything_stays() -> None:
    memory = LongTermMemory(LongTermOptions(most=4, least=2, consolidate=False))
    for _ in range(9):
        add(memory, 1)
    assert (memory.working.size, memory.long.size) == (9 * POSITIONS, 0)


def test_the_most_used_positions_become_prototypes() -> None:
    memory = LongTermMemory(LongTermOptions(top_k=1, most=3, least=2, prototypes=2, elements=9))
    frames = [add(memory, 1) for _ in range(2)]
    for position in (4, 4, 4, 1):
        memory.read(frames[1][0][:, :, position : position + 1], torch.ones(1, KEY, 1))
    add(memory, 1)
    assert memory.long.size == 2
    assert torch.equal(memory.long.key, frames[1][0][:, :, [4, 1]])


@pytest.mark.parametrize("rows", [[0], [1], [2], [0, 1], [1, 2]])
def test_dropped_tracks_leave_the_others_readable(rows: list[int]) -> None:
    memory = LongTermMemory(LongTermOptions(top_k=4, most=4, least=2, prototypes=5, elements=20))
    for time in range(12):
        add(memory, 2 if time < 5 else 3)
        memory.read(draw(1, KEY, 7), torch.rand(1, KEY, 7, generator=_GENERATOR))
    memory.drop(rows)
    for _ in range(9):
        add(memory, 3 - len(rows))
        read = memory.read(draw(1, KEY, 7), torch.rand(1, KEY, 7, generator=_GENERATOR))
        assert read.shape[0] == 3 - len(rows)
        assert torch.isfinite(read).all()


def test_state_round_trip_is_exact() -> None:
    options = LongTermOptions(top_k=4, most=4, least=2, prototypes=5, elements=20)
    memory, copy = LongTermMemory(options), LongTermMemory(options)
    for time in range(11):
        add(memory, 1 + (time > 4))
        memory.read(draw(1, KEY, 7), torch.ones(1, KEY, 7))
    copy.load_state(memory.state())
    for _ in range(6):
        frame = draw(1, KEY, POSITIONS), draw(1, 1, POSITIONS), torch.ones(1, KEY, POSITIONS)
        values, query = draw(2, VALUE, POSITIONS), draw(1, KEY, 7)
        for bank in (memory, copy):
            bank.add(*frame, values)
        assert torch.equal(memory.read(query, torch.ones(1, KEY, 7)), copy.read(query, torch.ones(1, KEY, 7)))


@pytest.mark.parametrize("wrong", [{"least": 1}, {"least": 10}, {"prototypes": 10_000}])
def test_numbers_that_contradict_each_other_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        LongTermOptions(**wrong)
