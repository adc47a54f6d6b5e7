"""The temporal memory against a plain reading of lists of frames."""

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.memory.bank import TemporalMemory
from engine.memory.decisions import SeededDecisions
from engine.memory.read import affinity, readout, similarity

POSITIONS, KEY, VALUE = 6, 5, 3


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=_GENERATOR)


_GENERATOR = torch.Generator().manual_seed(0)


def memory_of(limit: int, policy: str = "random_except_first_last", seed: int = 0) -> TemporalMemory:
    return TemporalMemory(limit, policy, SeededDecisions(seed))


def fill(memory: TemporalMemory, tracks: list[int]) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
    """Frames 0, 1, ... with so many tracks each; returns what was put in."""
    frames = {}
    for frame, count in enumerate(tracks):
        frames[frame] = draw(1, KEY, POSITIONS), draw(1, 1, POSITIONS) ** 2 + 1, draw(count, VALUE, POSITIONS)
        memory.add(frame, *frames[frame])
    return frames


def expected(
    frames: dict[int, tuple[Tensor, Tensor, Tensor]], kept: list[int], row: int, query: Tensor, top_k: int | None
) -> Tensor:
    """The read-out of one track from the frames it has."""
    own = [frames[frame] for frame in sorted(kept) if len(frames[frame][2]) > row]
    scores = similarity(torch.cat([f[0] for f in own], 2), torch.cat([f[1] for f in own], 2), query, None)
    return readout(affinity(scores, top_k), torch.cat([f[2][row] for f in own], 1)[None, None])[0, 0]


@pytest.mark.parametrize("top_k", [None, 4, 1000])
@pytest.mark.parametrize("policy", ["random_except_first_last", "fifo", "random", "not_filter"])
def test_every_track_reads_the_frames_it_has(policy: str, top_k: int | None) -> None:
    memory = memory_of(4, policy)
    frames = fill(memory, [2, 2, 3, 3, 3, 4, 4])
    query = draw(1, KEY, 7)
    read = memory.read(query, None, top_k)
    assert read.shape == (4, VALUE, 7)
    for row in range(4):
        assert torch.allclose(read[row], expected(frames, memory.frames, row, query, top_k), atol=1e-5)


@pytest.mark.parametrize("policy", ["random_except_first_last", "random_except_first", "fifo", "random", "not_filter"])
def test_no_track_is_ever_without_a_frame(policy: str) -> None:
    for seed in range(20):
        memory = memory_of(2, policy, seed)
        fill(memory, [1, 1, 2, 2, 3, 3, 3, 4, 4])
        for first in memory.since:
            assert any(frame >= first for frame in memory.frames)
        assert len(memory) <= 4 + 2


def test_first_newest_and_given_frames_stay() -> None:
    for seed in range(20):
        memory = memory_of(4, seed=seed)
        for frame in range(30):
            given = [1] if frame == 12 else []
            memory.add(frame, draw(1, KEY, POSITIONS), draw(1, 1, POSITIONS), draw(2, VALUE, POSITIONS), given)
        assert {0, 12, 29} <= set(memory.frames)
        assert len(memory) == 4


def test_selection_weighs_channels() -> None:
    memory = memory_of(3)
    frames = fill(memory, [1, 1])
    query, selection = draw(1, KEY, 7), torch.rand(1, KEY, 7, generator=_GENERATOR)
    keys, shrinkage = (torch.cat([frames[t][i] for t in (0, 1)], 2) for i in (0, 1))
    values = torch.cat([frames[t][2] for t in (0, 1)], 2)
    wanted = readout(affinity(similarity(keys, shrinkage, query, selection)), values[None])[0]
    assert torch.allclose(memory.read(query, selection), wanted, atol=1e-5)


def test_dropped_tracks_take_their_frames_along() -> None:
    memory = memory_of(10)
    frames = fill(memory, [1, 1, 2, 3])
    memory.drop([0])
    assert sorted(memory.frames) == [2, 3]
    query = draw(1, KEY, 5)
    read = memory.read(query, None)
    assert torch.allclose(read[1], expected(frames, [3], 2, query, None), atol=1e-5)
    memory.drop([0, 1])
    assert len(memory) == 0


@pytest.mark.parametrize("tracks", [[], [2], [1, 2, 2, 3, 3, 3, 3]])
def test_state_round_trip_is_exact(tracks: list[int]) -> None:
    memory, copy = memory_of(4, seed=3), memory_of(4, seed=8)
    fill(memory, tracks)
    copy.load_state(memory.state())
    further = [draw(1, KEY, POSITIONS), draw(1, 1, POSITIONS), draw(3, VALUE, POSITIONS)]
    query = draw(1, KEY, 5)
    for frame in range(10, 16):
        for bank in (memory, copy):
            bank.add(frame, *further)
        assert memory.frames == copy.frames
        assert torch.equal(memory.read(query, None, 7), copy.read(query, None, 7))


def test_clear_restarts_the_decisions() -> None:
    memory = memory_of(3)
    fill(memory, [1] * 9)
    first = sorted(memory.frames)
    memory.clear()
    fill(memory, [1] * 9)
    assert sorted(memory.frames) == first
    assert np.all(np.diff(first) > 0)


@pytest.mark.parametrize("top_k", [None, 4])
def test_a_memory_with_a_home_of_its_own_reads_the_same(top_k: int | None) -> None:
    tracks, query = [1, 1, 2, 3], draw(1, KEY, 5)
    memories = [TemporalMemory(3, "fifo", SeededDecisions(0), home=home) for home in (None, torch.device("cpu"))]
    put = [(draw(1, KEY, POSITIONS), draw(1, 1, POSITIONS) ** 2 + 1, draw(n, VALUE, POSITIONS)) for n in tracks]
    for memory in memories:
        for frame, parts in enumerate(put):
            memory.add(frame, *parts)
    reads = [memory.read(query, None, top_k) for memory in memories]
    assert torch.equal(*reads)
    again = TemporalMemory(3, "fifo", SeededDecisions(0), home=torch.device("cpu"))
    again.load_state(memories[0].state())
    assert torch.equal(again.read(query, None, top_k), reads[0])


def test_nothing_is_kept_but_at_home() -> None:
    memory = TemporalMemory(2, "fifo", SeededDecisions(0), home=torch.device("meta"))
    fill(memory, [1, 2, 2])
    assert memory._table is not None
    assert {memory._table.keys.device.type, memory._table.values.device.type} == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("top_k", [None, 4])
def test_offloaded_from_a_card(top_k: int | None) -> None:
    card, query = torch.device("cuda"), draw(1, KEY, 5)
    here, there = memory_of(4), TemporalMemory(4, "fifo", SeededDecisions(0), home=torch.device("cpu"))
    for frame, parts in fill(here, [1, 1, 2]).items():
        there.add(frame, *(part.to(card) for part in parts))
    read = there.read(query.to(card), None, top_k)
    assert read.device.type == "cuda" and there._table is not None and there._table.values.device.type == "cpu"
    torch.testing.assert_close(read.cpu(), here.read(query, None, top_k), atol=1e-5, rtol=1e-4)
