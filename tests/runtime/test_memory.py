"""The memory limit: sizes, what is left, footprints of computations, batches that are planned to fit."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from engine.errors import UsageError
from engine.propagation.chunked import over_tracks
from engine.runtime import FittingBatches, check_room, limit_memory, memory, parse_size, resident
from engine.runtime.batches import SCRATCH
from engine.runtime.footprint import Footprint
from engine.runtime.memory import MemoryLimitError

CPU = torch.device("cpu")
MIB = 2**20


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What this process is made to believe it has in use, in bytes."""
    told = [0]
    monkeypatch.setattr(memory, "resident", lambda: told[0])
    yield told
    limit_memory(None, CPU)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 * 2**30), ("500MB", 500 * 10**6), ("1.5 G", 1.5e9), ("4gi", 2**32), ("123", 123), (" 2 KiB ", 2048)],
)
def test_sizes(text: str, size: float) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "0", "4 GiBs", "1.2.3", "4e9", "lots", "0.1", "9" * 400])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="is no amount of memory"):
        parse_size(text)


def test_resident_memory_is_that_of_this_process() -> None:
    before = resident()
    block = torch.ones(64 * MIB, dtype=torch.uint8)
    assert 48 * MIB < resident() - before < 96 * MIB
    assert len(block) and before > MIB


def test_room_is_what_the_limit_leaves(taken: list[int]) -> None:
    assert memory.room() is None
    check_room(2**60, "anything", "")
    limit_memory(100 * MIB, CPU)
    taken[0] = 30 * MIB
    assert memory.room() == 70 * MIB
    check_room(70 * MIB, "this", "")
    with pytest.raises(
        MemoryLimitError, match="masks needs about 71 MiB, of the limit of 100 MiB 70 MiB are left: hint"
    ):
        check_room(71 * MIB, "masks", "hint")
    limit_memory(None, CPU)
    assert memory.room() is None


def test_a_footprint_is_the_most_that_was_alive_at_once() -> None:
    x = torch.zeros(MIB // 4)
    with Footprint() as used:
        a = x + 1
        b = (a * 2).view(2, -1)[0]
        del a
        c = b + b
        a = torch.zeros(MIB // 4)
        a += 1
    assert used.peak == 2.5 * MIB, "views and changes in place take nothing, what is gone counts no more"
    assert len(c) and len(a)


def _work(log: list[tuple[int, int]], each: int = MIB) -> Any:
    def work(start: int, stop: int) -> range:
        log.append((start, stop))
        torch.empty((stop - start) * each, dtype=torch.uint8)
        return range(start, stop)

    return work


def test_under_a_limit_a_batch_is_what_fits(taken: list[int]) -> None:
    limit_memory(100 * MIB, CPU)
    taken[0] = 100 * MIB - 3 * SCRATCH * MIB
    batches, log = FittingBatches(8), []  # type: ignore[var-annotated]
    assert [i for part in batches.run(9, _work(log)) for i in part] == list(range(9))
    assert log == [(0, 1), (1, 4), (4, 7), (7, 9)], "one alone, to see what it takes, then three at a time"
    log.clear()
    list(batches.run(5, _work(log)))
    assert log == [(0, 3), (3, 5)], "known from then on"
    list(batches.run(2, _work(log, 3 * MIB), "another kind"))
    assert log[2:] == [(0, 1), (1, 2)]


def test_networks_that_share_batches_of_tracks_are_measured_apart(taken: list[int]) -> None:
    limit_memory(100 * MIB, CPU)
    taken[0] = 100 * MIB - 6 * SCRATCH * MIB
    chunks, log = FittingBatches(8), []  # type: ignore[var-annotated]

    def small(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        log.append(part.stop - part.start)
        return torch.zeros(1, part.stop - part.start, MIB // 8), torch.zeros(1, part.stop - part.start, 1)

    def large(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        torch.empty((part.stop - part.start) * 3 * MIB, dtype=torch.uint8)
        return small(part)

    over_tracks(chunks, small, 7)
    assert log == [1, 6]
    over_tracks(chunks, large, 4)
    assert log[2:] == [1, 2, 1], "not the six at a time that the small work allows"


def test_without_a_limit_batches_are_as_wanted(taken: list[int]) -> None:
    log: list[tuple[int, int]] = []
    list(FittingBatches(8).run(9, _work(log)))
    assert log == [(0, 8), (8, 9)]


def test_not_even_one_fits(taken: list[int]) -> None:
    limit_memory(100 * MIB, CPU)
    batches = FittingBatches(8)
    run = batches.run(3, _work([], 30 * MIB))
    next(run)
    taken[0] = 90 * MIB
    with pytest.raises(MemoryLimitError, match=r"a batch of one needs about 60 MiB.*10 MiB are left.*--memory-limit"):
        next(run)
    taken[0] = 101 * MIB
    with pytest.raises(MemoryLimitError, match="0 MiB are left"):
        list(FittingBatches(8).run(1, _work([])))
