"""The optical-flow tracker: rows, soft masks, exclusive tracks, and going on from a saved state."""

import numpy as np
import pytest

from engine.errors import MaskError, VideoError
from engine.propagation.flow import FlowTracker
from engine.types import FloatArray, UInt8Array

FRAME = np.zeros((4, 8, 3), np.uint8)


def to_the_left(first: UInt8Array, second: UInt8Array) -> FloatArray:
    """Everything moved one pixel to the right, so the new frame reads one pixel to the left."""
    flow = np.zeros((2, *first.shape[:2]), np.float32)
    flow[0] = -1
    return flow


def bar(*columns: int) -> np.ndarray:
    mask = np.zeros((1, 4, 8), np.bool_)
    mask[:, :, list(columns)] = True
    return mask


def columns(soft: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero((row > 0.5).all(0)).tolist() for row in soft]


def test_masks_follow_the_flow_and_leave_the_frame() -> None:
    tracker = FlowTracker(to_the_left)
    tracker.start(FRAME, np.concatenate([bar(0, 1), bar(6)]))
    assert columns(tracker.step(FRAME)) == [[1, 2], [7]]
    assert columns(tracker.step(FRAME, last=True)) == [[2, 3], []]


def test_rows_of_added_corrected_and_dropped_tracks() -> None:
    tracker = FlowTracker(to_the_left)
    tracker.start(FRAME, np.concatenate([bar(0), bar(1)]))
    seen = tracker.step(FRAME)
    before = seen.copy()
    tracker.add(FRAME, bar(4))
    tracker.correct([0], bar(3))
    assert np.array_equal(seen, before), "masks that were handed out stay as they were"
    assert columns(tracker.step(FRAME)) == [[4], [3], [5]]
    tracker.drop([1])
    assert columns(tracker.step(FRAME)) == [[5], [6]]


def test_tracks_overlap_unless_they_exclude_each_other() -> None:
    both = np.concatenate([bar(0, 1, 2), bar(1)])
    free, exclusive = FlowTracker(to_the_left), FlowTracker(to_the_left, exclusive=True)
    for tracker in (free, exclusive):
        tracker.start(FRAME, both)
    assert columns(free.step(FRAME)) == [[1, 2, 3], [2]]
    masks = exclusive.step(FRAME) > 0.5
    assert (masks.sum(0) <= 1).all()


@pytest.mark.parametrize("way", ["add", "correct"])
def test_what_is_given_to_exclusive_tracks_stays_theirs(way: str) -> None:
    tracker = FlowTracker(to_the_left, exclusive=True)
    tracker.start(FRAME, np.concatenate([bar(0, 1, 2, 3), bar(7)]))
    tracker.step(FRAME)
    if way == "add":
        tracker.add(FRAME, bar(2, 3))
    else:
        tracker.correct([1], bar(2, 3))
    found = columns(tracker.step(FRAME))
    assert found[0] == [2, 5]
    assert found[-1] == [3, 4]


def test_a_saved_state_goes_on_like_the_original() -> None:
    tracker, other = FlowTracker(to_the_left), FlowTracker(to_the_left)
    tracker.start(FRAME, bar(0, 1))
    tracker.step(FRAME)
    other.load_state(tracker.state())
    assert np.array_equal(tracker.step(FRAME), other.step(FRAME))


def test_other_sizes_are_refused() -> None:
    tracker = FlowTracker(to_the_left)
    with pytest.raises(MaskError, match="on a frame of 8x4"):
        tracker.start(FRAME, np.ones((1, 5, 8), np.bool_))
    tracker.start(FRAME, bar(0))
    with pytest.raises(VideoError, match="10x4"):
        tracker.step(np.zeros((4, 10, 3), np.uint8))
    with pytest.raises(MaskError):
        tracker.correct([0], np.ones((1, 4, 9), np.bool_))
