"""Whole videos through XMem against the published loop: padding, consolidation, removal, groups, overlapping masks."""

from typing import Any

import numpy as np
import pytest
from golden_files import largest
from stm_golden import EQUAL_PIXELS, PROBABILITY, case, with_background
from xmem_golden import golden_frames, golden_tracker

from engine.memory.buckets import BucketedMemory
from engine.memory.long_term import LongTermMemory
from engine.propagation.xmem import XMemTracker

LOOPS = ["basic", "pad", "longterm", "groups_t4", "groups_t6", "no_sensory"]


def give(tracker: XMemTracker, frame: np.ndarray, masks: np.ndarray, labels: list[int]) -> None:
    """Masks (N, H, W) of all labels 1 to N, of which `labels` count."""
    known = len(tracker.current())
    corrected = [label - 1 for label in labels if label <= known]
    if corrected:
        tracker.correct(corrected, masks[corrected])
    if entering := [label - 1 for label in labels if label > known]:
        tracker.add(frame, masks[entering])


def probabilities(tracker: XMemTracker) -> np.ndarray:
    """(N + 1, H, W) of the frame stepped last."""
    pending = tracker._pending
    assert pending is not None
    return with_background(tracker.frames.probabilities_out(pending.frame, tracker._final(pending)))


@pytest.mark.parametrize("name", LOOPS)
def test_loop(name: str) -> None:
    data, meta = case("xmem", f"loop_{name}")
    tracker = golden_tracker(golden_frames(meta["network"]), meta["inference"])
    stride, count, sizes = meta["prob_stride"], len(data["frames"]), []
    for time, frame in enumerate(data["frames"]):
        given = data[f"mask_{time}"].astype(np.bool_) if str(time) in meta["mask_frames"] else None
        if time == 0:
            assert given is not None
            tracker.start(frame, given)
        else:
            tracker.step(frame, meta["end_on_last_frame"] and time == count - 1)
            sizes.append([tracker.memory.working.size, tracker.memory.long.size])
        if time and given is not None:
            give(tracker, frame, given, meta["mask_frames"][str(time)]["valid_labels"])
        ours = probabilities(tracker)
        assert largest(ours[:, ::stride, ::stride], data["prob"][time][: len(ours)]) < PROBABILITY
        assert np.mean(ours.argmax(0) == data["argmax"][time]) > EQUAL_PIXELS
    tracker._settle()
    sizes.append([tracker.memory.working.size, tracker.memory.long.size])
    assert sizes == np.stack([data["work_size"], data["long_size"]], 1).tolist()
    if "hidden" in data:
        assert isinstance(tracker.memory, LongTermMemory)
        assert_state(tracker, tracker.memory, data)


def assert_state(tracker: XMemTracker, memory: LongTermMemory, data: dict[str, np.ndarray]) -> None:
    """What is remembered at the end."""
    assert largest(tracker._hidden[:, ::4], data["hidden"]) < PROBABILITY
    for name, store in (("work", memory.working), ("long", memory.long)):
        assert store.key is not None
        assert store.shrinkage is not None
        assert largest(store.key[0, ::4], data[f"{name}_key"]) < PROBABILITY
        assert largest(store.shrinkage[0, 0], data[f"{name}_shrinkage"]) < PROBABILITY
        for group, values in enumerate(store.values):
            part = values.transpose(1, 2)[:, :: 32 if name == "work" else 16]
            assert largest(part, data[f"{name}_value_g{group}"]) < PROBABILITY
        if f"{name}_use" in data:
            assert largest(store._used, data[f"{name}_use"]) < PROBABILITY
            assert largest(store._life, data[f"{name}_life"]) < PROBABILITY


def test_overlapping_tracks_equal_separate_runs() -> None:
    data, meta = case("xmem", "loop_independent")
    tracker = golden_tracker(golden_frames(exclusive=False), meta["inference"])
    masks = np.stack([data["mask_a"], data["mask_b"]]).astype(np.bool_)
    assert (masks[0] & masks[1]).any()
    calls = count_encoded(tracker.frames)
    tracker.start(data["frames"][0], masks)
    for time, frame in enumerate(data["frames"]):
        soft = tracker.step(frame) if time else tracker.current()
        for row, name in enumerate("ab"):
            theirs = data[f"prob_{name}"][time, 1]
            # What is remembered of a given mask is nearly 0 and 1; what is answered is the mask itself.
            assert largest(soft[row, ::2, ::2], theirs) < PROBABILITY
    assert calls == [len(data["frames"])]
    assert isinstance(tracker.memory, BucketedMemory)
    assert len(tracker.memory.buckets) == 1


def count_encoded(frames: Any) -> list[int]:
    """How often frames are encoded from now on."""
    calls, encode = [0], type(frames).encode

    def counted(frame: np.ndarray) -> Any:
        calls[0] += 1
        return encode(frames, frame)

    frames.encode = counted
    return calls


@pytest.mark.parametrize(("name", "antialias"), [("eval_video", True), ("eval_video_newobj", False)])
def test_video_of_another_size(name: str, antialias: bool) -> None:
    data, meta = case("xmem", name)
    frames = golden_frames(short_side=meta["size"], antialias=antialias)
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
        assert tracker._pending.frame.inner == tuple(meta["internal_size"])
        # At most one is above half, and it is the likeliest.
        assert ((soft > 0.5).sum(0) <= 1).all()
        ours = ((soft > 0.5) * np.array(rows).reshape(-1, 1, 1)).sum(0)
        theirs = data["masks_antialias" if antialias else "masks_no_antialias"][time]
        assert np.mean(ours == theirs) > EQUAL_PIXELS
