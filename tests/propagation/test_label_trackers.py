"""What holds for MAVOS and BMVOS trackers whatever the weights: layers, tracks that come and go, restarts, memory."""

from typing import Any

import bmvos_golden
import mavos_golden
import numpy as np
import pytest
import torch

from engine.errors import MaskError, UsageError, VideoError
from engine.models.bmvos.preprocess import usual_size
from engine.propagation.bmvos import BMVOSTracker
from engine.propagation.bmvos_frames import BMVOSFrames
from engine.propagation.label_models import make_bmvos
from engine.propagation.mavos import MAVOSTracker
from engine.propagation.mavos_frames import MAVOSFrames
from engine.propagation.options import MMPMOptions

CPU = torch.device("cpu")
KINDS = ["mavos", "bmvos"]
FRAMES = np.random.default_rng(0).integers(0, 256, (8, 65, 81, 3), np.uint8)


def tracker(kind: str, exclusive: bool = False, **more: Any) -> Any:
    if kind == "bmvos":
        return BMVOSTracker(BMVOSFrames(bmvos_golden.golden_network(), CPU, torch.float32, exclusive, False), **more)
    network = mavos_golden.golden_network()
    return MAVOSTracker(MAVOSFrames(network, CPU, torch.float32, exclusive), interval=2, **more)


def boxes(*corners: tuple[int, int, int, int]) -> np.ndarray:
    """Masks of (top, bottom, left, right)."""
    masks = np.zeros((len(corners), 65, 81), np.bool_)
    for mask, (top, bottom, left, right) in zip(masks, corners, strict=True):
        mask[top:bottom, left:right] = True
    return masks


WHOLE, PART, OTHER = (5, 45, 5, 45), (10, 25, 10, 25), (20, 60, 50, 78)
APART = boxes(PART, OTHER)
NESTED = boxes(WHOLE, PART, OTHER)


def layers_of(it: MAVOSTracker) -> list[list[int]]:
    return [sorted(layer.rows) for layer in it.layers]


def test_overlapping_tracks_live_in_the_fewest_layers() -> None:
    it = tracker("mavos")
    it.start(FRAMES[0], NESTED)
    soft = it.step(FRAMES[1])
    assert soft.shape == (3, 65, 81)
    assert layers_of(it) == [[0, 2], [1]]
    assert not ((soft[0] > 0.5) & (soft[2] > 0.5)).any()


def test_a_layer_is_what_a_run_of_its_own_would_be() -> None:
    together, alone = tracker("mavos"), tracker("mavos")
    together.start(FRAMES[0], NESTED)
    alone.start(FRAMES[0], NESTED[1:2])
    for image in FRAMES[1:4]:
        assert np.abs(together.step(image)[1] - alone.step(image)[0]).max() < 1e-4


def test_exclusive_tracks_have_one_layer() -> None:
    it = tracker("mavos", exclusive=True)
    it.start(FRAMES[0], NESTED)
    soft = it.step(FRAMES[1])
    assert layers_of(it) == [[0, 1, 2]]
    assert ((soft > 0.5).sum(0) <= 1).all()


def test_eleven_tracks_take_two_engines_and_memory_does_not_grow() -> None:
    it = tracker("mavos", chunk=20)
    it.start(FRAMES[0], boxes(*((0, 60, 7 * at, 7 * at + 6) for at in range(11))))
    lengths = []
    for image in FRAMES[1:]:
        assert len(it.step(image)) == 11
        lengths.append([engine.tokens for engine in it.layers[0].space.engines])
    assert lengths[0] == [30, 30]
    assert lengths[-1] == lengths[3] == [60, 60]


@pytest.mark.parametrize(("kind", "exclusive"), [("mavos", False), ("bmvos", False), ("bmvos", True)])
def test_tracks_enter_are_corrected_and_end(kind: str, exclusive: bool) -> None:
    it = tracker(kind, exclusive)
    it.start(FRAMES[0], boxes(PART))
    it.step(FRAMES[1])
    it.add(FRAMES[1], boxes(OTHER, WHOLE))
    assert len(it.step(FRAMES[2])) == 3
    it.correct([1], boxes(PART))
    assert np.array_equal(it.current()[1] > 0.5, boxes(PART)[0])
    assert len(it.step(FRAMES[3])) == 3
    it.drop([0])
    assert len(it.step(FRAMES[4])) == 2
    it.drop([0, 1])
    assert len(it.step(FRAMES[5])) == 0
    it.add(FRAMES[5], boxes(OTHER))
    soft = it.step(FRAMES[6])
    assert soft.shape == (1, 65, 81)
    assert np.isfinite(soft).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pause", [3])
def test_a_restart_changes_nothing(kind: str, pause: int) -> None:
    def steps(it: Any, times: range) -> list[np.ndarray]:
        found = []
        for t in times:
            found.append(it.step(FRAMES[t], t == 5))
            if t == 1:
                it.add(FRAMES[t], boxes(WHOLE))
        return found

    whole, first, second = tracker(kind), tracker(kind), tracker(kind)
    for it in (whole, first):
        it.start(FRAMES[0], APART)
    expected = steps(whole, range(1, 6))
    found = steps(first, range(1, pause + 1))
    second.load_state(first.state())
    found += steps(second, range(pause + 1, 6))
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_tracks_in_one_pass_does_not_matter(kind: str) -> None:
    few, many = tracker(kind, chunk=1), tracker(kind, chunk=40)
    for it in (few, many):
        it.start(FRAMES[0], NESTED)
    for image in FRAMES[1:4]:
        assert np.abs(few.step(image) - many.step(image)).max() < 1e-4


def test_independent_tracks_of_bmvos_equal_separate_runs() -> None:
    together = tracker("bmvos")
    together.start(FRAMES[0], NESTED)
    alone = [tracker("bmvos") for _ in NESTED]
    for it, mask in zip(alone, NESTED, strict=True):
        it.start(FRAMES[0], mask[None])
    for image in FRAMES[1:4]:
        expected = np.concatenate([it.step(image) for it in alone])
        assert np.abs(together.step(image) - expected).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_other_sizes_are_refused(kind: str) -> None:
    it = tracker(kind)
    with pytest.raises(MaskError, match="64x64"):
        it.start(FRAMES[0], np.ones((1, 64, 64), np.bool_))
    it.start(FRAMES[0], APART)
    with pytest.raises(VideoError, match="80x64"):
        it.step(FRAMES[1][:64, :80])


def test_bmvos_keeps_the_size_of_a_video_with_a_small_object() -> None:
    frames = BMVOSFrames(bmvos_golden.golden_network(), CPU, torch.float32, False)
    small, large = (np.zeros((1, 960, 1280), np.bool_) for _ in range(2))
    small[0, :50, :50], large[0, :90, :90] = True, True
    frames.choose_size(small)
    assert frames.own_size
    frames.choose_size(large)
    assert not frames.own_size
    assert usual_size(960, 1280) == (480, 640)


def test_options_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="--top-k means nothing to bmvos"):
        make_bmvos(None, CPU, torch.float32, MMPMOptions(top_k=3))
