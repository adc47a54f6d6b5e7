"""What holds for MMPM trackers whatever the weights: chunks, tracks that come and go, restarts, bounded memory."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from mmpm_toys import SIZE, toy_frames, toy_masks, toy_tracker

from engine.errors import MaskError, UsageError, VideoError

MEMORIES = ["temporal", "long-term"]
FRAMES = toy_frames(14)


def through(tracker: Any, masks: np.ndarray, frames: list[Any] = FRAMES) -> np.ndarray:
    """(T - 1, N, H, W): all frames after the first."""
    tracker.start(frames[0].image, masks)
    return np.stack([tracker.step(frame.image, frame is frames[-1]) for frame in frames[1:]])


def test_outputs_are_probabilities_that_depend_on_the_masks() -> None:
    soft = through(toy_tracker(), toy_masks(3))
    assert soft.dtype == np.float32
    assert soft.shape == (13, 3, *SIZE)
    assert soft.min() >= 0
    assert soft.max() <= 1
    assert 0.02 < (soft > 0.5).mean() < 0.98
    assert np.abs(soft[:, 0] - soft[:, 1]).max() > 0.03


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("exclusive", [False, True])
def test_chunk_size_does_not_matter(memory: str, exclusive: bool) -> None:
    def run(chunk: int) -> np.ndarray:
        return through(toy_tracker(False, chunk=chunk, memory=memory, exclusive=exclusive), toy_masks(5))

    whole = run(8)
    for chunk in (1, 3):
        assert np.abs(run(chunk) - whole).max() < 1e-5


@pytest.mark.parametrize("memory", MEMORIES)
def test_independent_tracks_equal_separate_runs(memory: str) -> None:
    masks = toy_masks(3)
    together = through(toy_tracker(False, memory=memory), masks)
    for row in range(3):
        alone = through(toy_tracker(False, memory=memory), masks[row : row + 1])
        # With XMem's memory usage is counted by the first track's read, which is the same for all: keys are shared.
        assert np.abs(alone[:, 0] - together[:, row]).max() < 1e-5


def test_exclusive_tracks_share_no_pixel() -> None:
    soft = through(toy_tracker(False, exclusive=True), toy_masks(4))
    assert ((soft > 0.5).sum(1) <= 1).all()
    assert soft.sum(1).max() < 1 + 1e-5


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("pause", [0, 3, 6, 7, 12])
def test_a_restart_changes_nothing(memory: str, pause: int) -> None:
    def first_part(tracker: Any) -> list[np.ndarray]:
        tracker.start(FRAMES[0].image, toy_masks(2))
        return [step(tracker, frame) for frame in FRAMES[1 : pause + 1]]

    def step(tracker: Any, frame: Any) -> np.ndarray:
        soft = tracker.step(frame.image, frame is FRAMES[-1])
        if frame.index == 5:
            tracker.add(frame.image, toy_masks(1, seed=5))
        if frame.index == 6:
            tracker.correct([1], toy_masks(1, seed=6))
        return soft

    unbroken, interrupted = toy_tracker(memory=memory), toy_tracker(memory=memory)
    for a, b in zip(first_part(unbroken), first_part(interrupted), strict=True):
        assert np.array_equal(a, b)
    state = interrupted.state()
    assert_plain(state)
    resumed = toy_tracker(memory=memory, seed=99)
    resumed.load_state(state)
    for frame in FRAMES[pause + 1 :]:
        assert np.array_equal(step(resumed, frame), step(unbroken, frame))


def assert_plain(value: Any) -> None:
    """Only what can be written to a file: arrays, numbers, strings, lists, dicts, None."""
    if isinstance(value, dict):
        for key, inner in value.items():
            assert isinstance(key, str)
            assert_plain(inner)
    elif isinstance(value, list):
        for inner in value:
            assert_plain(inner)
    else:
        assert value is None or isinstance(value, np.ndarray | int | float | str)


def size_of(value: Any) -> int:
    """Bytes of all arrays in a state."""
    if isinstance(value, dict):
        return sum(size_of(inner) for inner in value.values())
    if isinstance(value, list):
        return sum(size_of(inner) for inner in value)
    return value.nbytes if isinstance(value, np.ndarray) else 0


@pytest.mark.parametrize("memory", MEMORIES)
def test_memory_does_not_grow_with_the_video(memory: str) -> None:
    tracker = toy_tracker(interval=1, memory=memory)
    if memory == "long-term":
        tracker.options = dataclasses.replace(tracker.options, prototypes=16, elements=64)
    frames = toy_frames(200)
    tracker.start(frames[0].image, toy_masks(2))
    sizes = []
    for frame in frames[1:]:
        tracker.step(frame.image)
        sizes.append(size_of(tracker.state()) if frame.index in (40, 41, 42, 43, 196, 197, 198, 199) else 0)
    assert max(sizes[100:]) <= max(sizes[:100])


@pytest.mark.parametrize("memory", MEMORIES)
def test_tracks_come_and_go(memory: str) -> None:
    tracker = toy_tracker(False, memory=memory)
    tracker.start(FRAMES[0].image, toy_masks(2))
    counts = []
    for frame in FRAMES[1:]:
        counts.append(len(tracker.step(frame.image)))
        if frame.index in (3, 4):
            tracker.add(frame.image, toy_masks(2, seed=frame.index))
        if frame.index == 8:
            tracker.drop([0, 3])
        if frame.index == 9:
            tracker.drop([0, 1, 2, 3])
        if frame.index == 11:
            tracker.add(frame.image, toy_masks(1, seed=11))
    assert counts == [2, 2, 2, 4, 6, 6, 6, 6, 4, 0, 0, 1, 1]


@pytest.mark.parametrize("memory", MEMORIES)
def test_dropping_others_leaves_an_independent_track_alone(memory: str) -> None:
    masks = toy_masks(3)
    whole = through(toy_tracker(memory=memory), masks)
    tracker = toy_tracker(memory=memory)
    tracker.start(FRAMES[0].image, masks)
    for frame in FRAMES[1:]:
        soft = tracker.step(frame.image, frame is FRAMES[-1])
        assert np.abs(soft[-1] - whole[frame.index - 1, 2]).max() < 1e-5
        if frame.index == 5:
            tracker.drop([1])
        if frame.index == 7:
            tracker.drop([0])


def test_a_correction_is_remembered() -> None:
    def run(correct: bool) -> np.ndarray:
        tracker = toy_tracker()
        tracker.start(FRAMES[0].image, toy_masks(2))
        tracker.step(FRAMES[1].image)
        if correct:
            tracker.correct([0], toy_masks(1, seed=4))
            assert np.array_equal(tracker.current()[0] > 0.5, toy_masks(1, seed=4)[0])
        return tracker.step(FRAMES[2].image)

    changed = np.abs(run(True) - run(False)).max((1, 2))
    assert changed[0] > 0.01


def test_a_given_mask_takes_pixels_from_exclusive_tracks() -> None:
    tracker = toy_tracker(False, exclusive=True)
    tracker.start(FRAMES[0].image, toy_masks(2))
    tracker.step(FRAMES[1].image)
    given = np.zeros((1, *SIZE), np.bool_)
    given[:, 16:48, 16:80] = True
    tracker.add(FRAMES[1].image, given)
    inside = tracker.current()[:, 20:44, 20:76]
    assert (inside[2] == 1).all()
    assert (inside[:2] == 0).all()


@pytest.mark.parametrize("deep_update", ["random", "memory", "never"])
def test_deep_updates(deep_update: str) -> None:
    soft = through(toy_tracker(deep_update=deep_update), toy_masks(1))
    assert np.isfinite(soft).all()


def test_seeds_decide_and_clips_do_not() -> None:
    tracker = toy_tracker(interval=1, memory_frames=3, seed=1)
    first = through(tracker, toy_masks(1))
    assert np.array_equal(first, through(tracker, toy_masks(1)))  # not touched by the clip before
    other = through(toy_tracker(interval=1, memory_frames=3, seed=2), toy_masks(1))
    assert not np.array_equal(first, other)


def test_thin_and_empty_masks_do_no_harm() -> None:
    masks = np.zeros((2, 500, 900), np.bool_)
    masks[0, 250, 450] = True
    tracker = toy_tracker()
    frame = np.zeros((500, 900, 3), np.uint8)
    tracker.start(frame, masks)
    assert tracker.current()[0].max() > 0.5
    assert np.isfinite(tracker.step(frame)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 5), (61, 97)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    tracker = toy_tracker()
    frame = np.full((*size, 3), 200, np.uint8)
    tracker.start(frame, np.ones((1, *size), np.bool_))
    assert tracker.step(frame).shape == (1, *size)


def test_errors_name_the_sizes() -> None:
    tracker = toy_tracker()
    with pytest.raises(MaskError, match="on a frame of 96x60"):
        tracker.start(FRAMES[0].image, np.zeros((1, 5, 5), np.bool_))
    tracker.start(FRAMES[0].image, toy_masks(1))
    with pytest.raises(VideoError, match="follows"):
        tracker.step(np.zeros((8, 8, 3), np.uint8))
    tracker.state()
    with pytest.raises(UsageError, match="stepped last"):
        tracker.add(FRAMES[0].image, toy_masks(1))
