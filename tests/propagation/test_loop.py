"""The loop over frames, with a tracker of ten lines that adds one row to every mask at each step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.propagation.loop import FrameMasks, Propagation, propagate
from engine.types import Frame

SIZE = (6, 8)


class SlidingTracker:
    """Moves every mask down by a row; soft values 0.8 inside and 0.1 outside."""

    def __init__(self) -> None:
        self.masks = np.zeros((0, *SIZE), np.bool_)
        self.calls: list[tuple[str, Any]] = []

    def start(self, frame: np.ndarray, masks: np.ndarray) -> None:
        self.calls.append(("start", len(masks)))
        self.masks = masks.copy()

    def step(self, frame: np.ndarray, last: bool = False) -> np.ndarray:
        self.calls.append(("step", last))
        self.masks = np.roll(self.masks, 1, 1)
        return np.where(self.masks, np.float32(0.8), np.float32(0.1))

    def add(self, frame: np.ndarray, masks: np.ndarray) -> None:
        self.calls.append(("add", len(masks)))
        self.masks = np.concatenate([self.masks, masks])

    def correct(self, rows: Sequence[int], masks: np.ndarray) -> None:
        self.calls.append(("correct", list(rows)))
        self.masks[list(rows)] = masks

    def drop(self, rows: Sequence[int]) -> None:
        self.masks = np.delete(self.masks, list(rows), 0)

    def state(self) -> dict[str, Any]:
        return {"masks": self.masks.copy()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.masks = state["masks"]


def frames(count: int, start: int = 0) -> list[Frame]:
    return [Frame(i, np.zeros((*SIZE, 3), np.uint8), str(i)) for i in range(start, count)]


def row(*indices: int) -> np.ndarray:
    """A mask of whole rows."""
    mask = np.zeros(SIZE, np.bool_)
    mask[list(indices)] = True
    return mask


def rows_of(results: list[FrameMasks], track: int) -> list[list[int]]:
    """Which rows a track covers, frame by frame."""
    return [np.flatnonzero(r.tracks[track].mask.any(1)).tolist() for r in results if track in r.tracks]


def test_masks_of_every_frame_with_their_scores() -> None:
    tracker = SlidingTracker()
    results = list(propagate(frames(3), {0: {7: row(0), 3: row(1, 2)}}, tracker))
    assert [r.frame for r in results] == [0, 1, 2]
    assert rows_of(results, 7) == [[0], [1], [2]]
    assert list(results[1].tracks) == [3, 7]
    assert results[0].tracks[7].score == 1
    assert results[1].tracks[7].score == pytest.approx(0.8)
    assert results[1].tracks[7].soft.dtype == np.float32
    assert tracker.calls == [("start", 2), ("step", False), ("step", True)]


def test_frames_before_the_first_prompt_are_skipped() -> None:
    seen: list[int] = []
    results = list(propagate(frames(5), {2: {1: row(0)}}, SlidingTracker(), on_frame=seen.append))
    assert [r.frame for r in results] == [2, 3, 4]
    assert seen == [0, 1, 2, 3, 4]


def test_later_prompts_begin_and_correct_tracks() -> None:
    tracker = SlidingTracker()
    prompts = {0: {1: row(0)}, 2: {2: row(5), 1: row(0, 1)}}
    results = list(propagate(frames(4), prompts, tracker))
    assert rows_of(results, 1) == [[0], [1], [0, 1], [1, 2]]
    assert rows_of(results, 2) == [[5], [0]]
    assert tracker.calls[2:5] == [("step", False), ("correct", [0]), ("add", 1)]


def test_empty_masks_stay_empty_until_there_is_another() -> None:
    tracker = SlidingTracker()
    prompts = {0: {1: row(), 2: row(3)}, 2: {1: row(1)}}
    results = list(propagate(frames(4), prompts, tracker))
    assert rows_of(results, 1) == [[], [], [1], [2]]
    assert rows_of(results, 2) == [[3], [4], [5], [0]]
    assert results[0].tracks[1].score == 0
    assert results[1].tracks[1].score == 0


def test_only_empty_masks() -> None:
    tracker = SlidingTracker()
    results = list(propagate(frames(3), {0: {1: row()}}, tracker))
    assert rows_of(results, 1) == [[], [], []]
    assert tracker.calls == []


def test_exclusive_prompts_take_pixels() -> None:
    prompts = {0: {1: row(0, 1, 2)}, 1: {2: row(2)}}
    results = list(propagate(frames(2), prompts, SlidingTracker(), exclusive=True))
    assert rows_of(results, 1) == [[0, 1, 2], [1, 3]]


def test_nothing_to_do() -> None:
    assert list(propagate([], {0: {1: row(0)}}, SlidingTracker())) == []
    assert list(propagate(frames(3), {}, SlidingTracker())) == []
    assert [r.frame for r in propagate(frames(1), {0: {1: row(0)}}, SlidingTracker())] == [0]


@pytest.mark.parametrize("pause", range(6))
@pytest.mark.parametrize("whole_video", [True, False])
def test_a_restart_changes_nothing(pause: int, whole_video: bool) -> None:
    prompts = {0: {1: row(0), 4: row()}, 2: {2: row(5)}, 4: {4: row(1)}}
    unbroken = list(propagate(frames(7), prompts, SlidingTracker()))
    first = Propagation(SlidingTracker())
    for result in first.run(frames(7), prompts):
        if result.frame == pause:
            break
    state = first.state()
    again = Propagation(SlidingTracker())
    again.load_state(state)
    rest = list(again.run(frames(7, 0 if whole_video else state["next_frame"]), prompts))
    assert [r.frame for r in rest] == list(range(pause + 1, 7))
    for ours, theirs in zip(rest, unbroken[pause + 1 :], strict=True):
        assert ours.tracks.keys() == theirs.tracks.keys()
        for track, mask in ours.tracks.items():
            assert np.array_equal(mask.soft, theirs.tracks[track].soft)


def test_frames_are_held_one_ahead_only() -> None:
    taken: list[int] = []

    def source() -> Any:
        for frame in frames(5):
            taken.append(frame.index)
            yield frame

    for result in propagate(source(), {0: {1: row(0)}}, SlidingTracker()):
        assert len(taken) <= result.frame + 2
