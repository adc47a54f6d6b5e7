"""What holds for XMem's tracker, and mostly for DEVA's, whatever the weights: tracks that come and go, restarts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from deva_golden import golden_frames as deva_frames
from mmpm_toys import toy_frames, toy_masks
from test_mmpm_tracker import assert_plain
from xmem_golden import golden_frames

from engine.errors import MaskError, VideoError
from engine.memory.long_term import LongTermOptions
from engine.propagation.deva import DEVATracker
from engine.propagation.xmem import XMemTracker

OPTIONS = LongTermOptions(top_k=20, most=3, least=2, prototypes=8, elements=20)
FRAMES = toy_frames(7)


def xmem(exclusive: bool = False) -> XMemTracker:
    return XMemTracker(golden_frames(exclusive=exclusive), OPTIONS, interval=3)


def deva(exclusive: bool = False) -> DEVATracker:
    return DEVATracker(deva_frames(exclusive), OPTIONS, interval=3)


MAKERS: list[Callable[..., Any]] = [xmem, deva]


def step(tracker: Any, frame: Any) -> np.ndarray:
    """With a track that enters at frame 3 and a correction at frame 4."""
    soft = tracker.step(frame.image, frame is FRAMES[-1])
    if frame.index == 3:
        tracker.add(frame.image, toy_masks(1, seed=5))
    if frame.index == 4:
        tracker.correct([1], toy_masks(1, seed=6))
    return soft


def test_a_restart_changes_nothing() -> None:
    unbroken, interrupted = xmem(exclusive=True), xmem(exclusive=True)
    for tracker in (unbroken, interrupted):
        tracker.start(FRAMES[0].image, toy_masks(2))
        for frame in FRAMES[1:5]:
            step(tracker, frame)
    state = interrupted.state()
    assert_plain(state)
    resumed = xmem(exclusive=True)
    resumed.load_state(state)
    for frame in FRAMES[5:]:
        assert np.array_equal(step(resumed, frame), step(unbroken, frame))


def test_tracks_that_enter_late_or_leave_equal_separate_runs() -> None:
    early, late, leaving = toy_masks(3, seed=8)[:, None]
    together, first, second = xmem(), xmem(), xmem()
    together.start(FRAMES[0].image, np.concatenate([leaving, early]))
    first.start(FRAMES[0].image, early)
    for frame in FRAMES[1:]:
        soft, alone = together.step(frame.image), first.step(frame.image)
        if frame.index > 3:
            assert soft.shape[0] == 2
            assert np.abs(soft[1] - second.step(frame.image)[0]).max() < 1e-4
        assert np.abs(soft[-1 if frame.index < 4 else 0] - alone[0]).max() < 1e-4
        if frame.index == 3:  # a memory frame anyway
            together.add(frame.image, late)
            together.drop([0])
            second.start(frame.image, late)


@pytest.mark.parametrize("make", MAKERS)
def test_other_sizes_are_refused(make: Callable[..., Any]) -> None:
    tracker = make()
    with pytest.raises(MaskError, match="masks of 96x9 on a frame of 96x60"):
        tracker.start(FRAMES[0].image, toy_masks(1)[:, :9])
    tracker.start(FRAMES[0].image, toy_masks(1))
    with pytest.raises(VideoError, match="give frames of one size"):
        tracker.step(FRAMES[1].image[:9])


def test_memory_of_few_positions_is_read_whole() -> None:
    tracker = XMemTracker(golden_frames(exclusive=False), LongTermOptions(top_k=1000))
    tracker.start(FRAMES[0].image, toy_masks(1))
    assert np.isfinite(tracker.step(FRAMES[1].image)).all()
