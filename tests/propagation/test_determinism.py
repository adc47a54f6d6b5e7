"""What every method promises: the same run gives the same bits, and neither the batch nor memory that runs out matters
beyond rounding."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from mmpm_toys import toy_frames, toy_masks, toy_tracker
from test_label_trackers import tracker as label_tracker
from test_sam_trackers import MAKERS as SAM_MAKERS
from test_sam_trackers import scene as sam_scene
from test_xmem_tracker import deva, xmem

from engine.flow.dis import DISFlow
from engine.propagation.flow import FlowTracker
from engine.propagation.holding import held_bytes
from engine.runtime import FittingBatches, limit_memory, memory

CPU = torch.device("cpu")
TRACKS = 3
NOISE = [frame.image for frame in toy_frames(3)]

MAKERS: dict[str, Callable[[], Any]] = {
    "mmpm": lambda: toy_tracker(False),
    "mmpm, long-term": lambda: toy_tracker(False, memory="long-term"),
    "xmem": xmem,
    "deva": deva,
    "mavos": lambda: label_tracker("mavos"),
    "bmvos": lambda: label_tracker("bmvos"),
    "dis": lambda: FlowTracker(DISFlow()),
    **{name: lambda make=make: make(False) for name, make in SAM_MAKERS.items()},  # type: ignore[misc]
}
IN_BATCHES = [name for name in MAKERS if name != "dis"]


def through(name: str) -> np.ndarray:
    """Soft masks of a few frames: (T, TRACKS, H, W)."""
    frames, masks = (NOISE, toy_masks(TRACKS)) if name not in SAM_MAKERS else sam_scene()
    masks = np.concatenate([masks, masks[:1]])[:TRACKS]
    tracker = MAKERS[name]()
    tracker.start(frames[0], masks)
    return np.stack([tracker.step(frame) for frame in frames[1:]])


def starved(most: int, failures: list[int]) -> Callable[..., Iterator[Any]]:
    """A `FittingBatches.run` on a device where no more than so many items fit."""
    run = FittingBatches.run

    def limited(self: FittingBatches, count: int, work: Callable[[int, int], Any], kind: str = "") -> Iterator[Any]:
        def attempt(start: int, stop: int) -> Any:
            if stop - start > most:
                failures.append(stop - start)
                raise torch.OutOfMemoryError("CUDA out of memory")
            return work(start, stop)

        return run(self, count, attempt, kind)

    return limited


def nearly(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max() < 2e-5)


@cache
def unhindered(name: str) -> np.ndarray:
    return through(name)


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_run_gives_the_same_bits(name: str) -> None:
    assert unhindered(name).shape[1] == TRACKS and np.array_equal(unhindered(name), through(name))


@pytest.mark.parametrize("name", IN_BATCHES)
def test_memory_that_runs_out_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[int] = []
    monkeypatch.setattr(FittingBatches, "run", starved(1, failures))
    assert nearly(through(name), unhindered(name))
    assert failures or name in ("mavos", "persam", "sam-pt"), "these were asked for one track at a time already"


@pytest.mark.parametrize("name", ["mmpm", "bmvos", "sam-iou", "persam"])
def test_a_memory_limit_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "resident", lambda: 0)
    limit_memory(2**26, CPU)
    try:
        assert nearly(through(name), unhindered(name))
    finally:
        limit_memory(None, CPU)


def test_what_all_tracks_hold_follows_from_shapes() -> None:
    tracker, flow = toy_tracker(False, memory_frames=4), FlowTracker(DISFlow())
    assert held_bytes(flow, 3, (10, 20)) == 3 * 200 * 10
    config = tracker.frames.config
    places = (64 // config.stride) * (96 // config.stride)
    of_masks, of_values = 10 * 60 * 96, config.value_dim * places * (4 * 5 + 4 * 4)
    assert [held_bytes(tracker, tracks, (60, 96)) for tracks in (1, 7)] == [
        tracks * (of_masks + of_values) for tracks in (1, 7)
    ]
