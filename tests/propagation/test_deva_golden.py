"""Whole videos through DEVA against the published loop: given masks, tracks that enter late, overlapping masks."""

import numpy as np
import pytest
from deva_golden import golden_frames, golden_tracker
from golden_files import largest
from stm_golden import EQUAL_PIXELS, PROBABILITY, case, with_background

from engine.propagation.deva import DEVATracker


def probabilities(tracker: DEVATracker) -> np.ndarray:
    """(N + 1, H, W) of the frame stepped last."""
    pending = tracker._pending
    assert pending is not None
    return with_background(tracker.frames.probabilities_out(pending.frame, tracker._final(pending)))


def sizes(tracker: DEVATracker) -> tuple[dict[str, int], dict[str, int]]:
    """Positions in working and long-term memory, by bucket."""
    buckets = list(enumerate(tracker.memory.buckets))
    long = {str(at): bucket.long.size for at, bucket in buckets if bucket.long.size}
    return {str(at): bucket.working.size for at, bucket in buckets}, long


@pytest.mark.parametrize("name", ["basic", "pad_newobj", "longterm"])
def test_loop(name: str) -> None:
    data, meta = case("deva", f"loop_{name}")
    tracker = golden_tracker(golden_frames(), meta["inference"])
    stride, count, found = meta["prob_stride"], len(data["frames"]), []
    for time, frame in enumerate(data["frames"]):
        given = [data[f"mask_{time}"] == entering for entering in meta["objects"].get(str(time), ())]
        if time == 0:
            tracker.start(frame, np.stack(given))
        else:
            tracker.step(frame, meta["end_on_last_frame"] and time == count - 1)
            found.append(sizes(tracker))
            if given:
                tracker.add(frame, np.stack(given))
        ours = probabilities(tracker)
        assert largest(ours[:, ::stride, ::stride], data["prob"][time][: len(ours)]) < PROBABILITY
        assert np.mean(ours.argmax(0) == data["argmax"][time]) > EQUAL_PIXELS
    tracker._settle()
    found.append(sizes(tracker))
    assert [working for working, _ in found] == meta["work_size_per_bucket"]
    assert [long for _, long in found] == meta["long_size_per_bucket"]
    if name == "longterm":
        assert_state(tracker, data)


def assert_state(tracker: DEVATracker, data: dict[str, np.ndarray]) -> None:
    """What is remembered at the end, in both buckets."""
    for at, bucket in enumerate(tracker.memory.buckets):
        long = bucket.long
        assert long.key is not None
        assert long.shrinkage is not None
        assert largest(long.key[0, ::4], data[f"long_key_b{at}"]) < PROBABILITY
        assert largest(long.shrinkage[0, 0], data[f"long_shrinkage_b{at}"]) < PROBABILITY
        for name, store in (("long", long), ("work", bucket.working)):
            assert largest(store._used, data[f"{name}_use_b{at}"]) < PROBABILITY
            assert largest(store._life, data[f"{name}_life_b{at}"]) < PROBABILITY
        assert largest(long.values[0][0].T[::16], data[f"long_value_o{at + 1}"]) < PROBABILITY
        assert largest(tracker._hidden[at, ::16], data[f"sensory_o{at + 1}"]) < PROBABILITY


def test_overlapping_tracks_equal_separate_runs() -> None:
    data, meta = case("deva", "loop_independent")
    tracker = golden_tracker(golden_frames(exclusive=False), meta["inference"])
    masks = np.stack([data["mask_a"], data["mask_b"]]).astype(np.bool_)
    assert (masks[0] & masks[1]).any()
    tracker.start(data["frames"][0], masks)
    for time, frame in enumerate(data["frames"]):
        soft = tracker.step(frame) if time else tracker.current()
        for row, name in enumerate("ab"):
            assert largest(soft[row, ::2, ::2], data[f"prob_{name}"][time, 1]) < PROBABILITY
    assert len(tracker.memory.buckets) == 1


@pytest.mark.parametrize("name", ["eval_video", "eval_video_newobj"])
def test_video_of_another_size(name: str) -> None:
    data, meta = case("deva", name)
    frames = golden_frames(short_side=meta["size"], antialias=True)
    tracker, rows = golden_tracker(frames, meta["inference"]), []
    first, *later = meta["label_frames"]
    for time in range(first, len(data["frames"])):
        frame = data["frames"][time]
        if time > first:
            soft = tracker.step(frame, time == len(data["frames"]) - 1)
        if time in (first, *later):
            labels = [int(label) for label in np.unique(data[f"mask_{time}"]) if label and label not in rows]
            masks = np.stack([data[f"mask_{time}"] == label for label in labels])
            tracker.start(frame, masks) if time == first else tracker.add(frame, masks)
            rows += labels
            soft = tracker.current()
        ours = ((soft > 0.5) * np.array(rows).reshape(-1, 1, 1)).sum(0)
        assert np.mean(ours == data["masks"][time]) > EQUAL_PIXELS


def test_masks_of_known_tracks_replace_predictions() -> None:
    data, meta = case("deva", "loop_basic")
    tracker = golden_tracker(golden_frames(), meta["inference"])
    tracker.start(data["frames"][0], np.stack([data["mask_0"] == 1, data["mask_0"] == 2]))
    tracker.step(data["frames"][1])
    given = np.zeros((1, *data["mask_0"].shape), np.bool_)
    given[0, 10:30, 20:50] = True
    tracker.correct([1], given)
    soft = tracker.current()
    assert np.array_equal(soft[1] > 0.5, given[0] | (soft[1] > 0.5) & ~given[0])
    assert not (soft[0] > 0.5)[given[0]].any()
    assert np.isfinite(tracker.step(data["frames"][2])).all()
