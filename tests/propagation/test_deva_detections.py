"""DEVA with detections against recordings: merging, votes, whole loops, SAM's proposals; what it does at the edges."""

from typing import Any

import numpy as np
import pytest
import torch
from deva_golden import detecting_tracker, golden_frames, segments
from golden_files import largest
from stm_golden import EQUAL_PIXELS, PROBABILITY, case
from test_mmpm_tracker import assert_plain

from engine.errors import UsageError
from engine.memory.long_term import LongTermOptions
from engine.propagation.consensus import agreement, heaviest, numbered, vote
from engine.propagation.detections import Detection, Segment
from engine.propagation.deva_detecting import DetectingTracker, positions
from engine.propagation.deva_online import Found, SemiOnline
from engine.propagation.merging import ObjectTable
from engine.propagation.mmpm_frames import EncodedFrame
from engine.propagation.proposed import ProposalDetector, Proposed, free_points


def test_merging() -> None:
    data, meta = case("deva", "merge_script")
    table = ObjectTable()
    for at, step in enumerate(meta["steps"]):
        most = step["max_num_objects"] if step["max_num_objects"] > 0 else None
        found = data[f"ours_{at}"], data[f"detected_{at}"], segments(step["segments"])
        masks = table.merge(*found, most, step["incremental"])
        assert [entry.id for entry in table.objects] == step["objects_after_merge"]
        assert [entry.missed for entry in table.objects] == step["poke_counts"]
        gone = table.purge(meta["max_missed_detection_count"])
        assert bool(gone) == step["purged"]
        assert [entry.id for entry in table.objects] == step["objects_after_purge"]
        kept = [row for row in range(len(masks)) if row not in gone]
        assert [row + 1 for row in kept] == step["kept_positions"]
        assert np.array_equal(masks[kept], data[f"merged_{at}"])
        told = {entry["object"]: entry for entry in step["info"]}
        for entry in table.objects:
            assert (entry.category, entry.thing) == (told[entry.id]["category"], told[entry.id]["isthing"])
            assert entry.score == pytest.approx(told[entry.id]["score"])
        copy = ObjectTable()
        copy.load_state(table.state())
        assert copy.objects == table.objects


@pytest.mark.parametrize("name", ["unique", "ties"])
def test_votes(name: str) -> None:
    data, meta = case("deva", f"consensus_vote_{name}")
    clip = numbered([Detection(data[f"mask_{at}"], segments(meta["segments"][at])) for at in range(3)])
    shown = clip[:1]
    for at in (1, 2):
        ids = np.array([0, *(segment.id for segment in clip[at].segments)])
        shown.append(Detection(ids[data[f"projected_{at}"]], clip[at].segments))
    iou, matches = agreement(shown, len(meta["solver"]["weights"]))
    assert np.abs(iou - meta["solver"]["pairwise_iou"]).max() < 1e-6
    selected = [index for index, chosen in enumerate(meta["solver"]["selected"]) if chosen]
    assert heaviest(2 * iou.sum(1) - 1, matches) == selected
    agreed = vote(shown)
    assert np.array_equal(agreed.labels, data["consensus"])
    assert_output(agreed, meta["output"])


def assert_output(agreed: Detection, expected: list[dict[str, Any]]) -> None:
    told = [(entry["id"], tuple(entry["category_ids"]), tuple(entry["scores"])) for entry in expected]
    assert [(segment.id, segment.categories, segment.scores) for segment in agreed.segments] == told


def test_of_equal_sets_the_one_with_the_lowest_indices_is_chosen() -> None:
    assert heaviest(np.array([1.0, 1.0]), [[1], [0]]) == [0]
    assert heaviest(np.array([1.0, 3.0, 2.0]), [[1], [0, 2], [1]]) == [0, 2]
    assert heaviest(np.array([-1.0, -0.5]), [[], []]) == []


def test_votes_with_the_network() -> None:
    data, meta = case("deva", "consensus_network")
    frames = golden_frames()
    tracker = DetectingTracker(frames, LongTermOptions(meta["top_k"]))
    with torch.inference_mode():
        encoded = [frames.encode(frame) for frame in data["frames"]]
    listed = zip(data["detections"], meta["segments"], strict=True)
    found = [Detection(labels, segments(told)) for labels, told in listed]
    agreed = tracker.agree(list(zip(encoded, found, strict=True)))
    assert np.mean(agreed.labels == data["consensus"]) > EQUAL_PIXELS
    assert_output(agreed, meta["output"])


@pytest.mark.parametrize(("kept", "keyframe"), [("projected", "keyframe"), ("projected_scored", "keyframe_scored")])
def test_one_object_of_several_frames(kept: str, keyframe: str) -> None:
    data, meta = case("deva", "consensus_associated")
    frames = golden_frames()
    with torch.inference_mode():
        clip = [(frames.encode(frame), mask[0]) for frame, mask in zip(data["frames"], data["soft_masks"], strict=True)]
    scores = meta["scores"] if kept.endswith("scored") else None
    key, soft = DetectingTracker(frames, LongTermOptions()).associate(clip, scores)
    assert key == meta[keyframe]
    assert largest(soft, data[kept][0]) < PROBABILITY


def identities(tracker: DetectingTracker, found: Found) -> np.ndarray:
    """The id of the object at each pixel of the frame's own size."""
    labels = positions(tracker.frames.probabilities_out(found.frame, found.soft))
    ids: np.ndarray = np.array([0, *found.objects])[labels]
    return ids


@pytest.mark.parametrize("name", ["online", "semionline"])
def test_loop_on_given_detections(name: str) -> None:
    data, meta = case("deva", name)
    chosen, count = meta["inference"], len(data["frames"])
    tracker, calls = detecting_tracker(golden_frames(), chosen), []

    def detector(image: np.ndarray, frame: EncodedFrame, foreseen: object) -> Detection:
        at = next(at for at, other in enumerate(data["frames"]) if np.array_equal(image, other))
        calls.append(at)
        return Detection(data["detections"][at], segments(meta["segments"][at]))

    voting = 1 if name == "online" else chosen["num_voting_frames"]
    loop = SemiOnline(tracker, detector, chosen["detection_every"], voting)
    done = [found for at, frame in enumerate(data["frames"]) for found in loop.feed(frame, at == count - 1)]
    assert len(done) == count
    for at, found in enumerate(done):
        assert found.objects == meta["active_objects"][at]
        assert np.mean(identities(tracker, found) == data["identity"][at]) > EQUAL_PIXELS
    if voting > 1:
        assert calls == [at for at in range(count) if at % chosen["detection_every"] < voting]


def unpacked(bits: np.ndarray, width: int) -> np.ndarray:
    masks: np.ndarray = np.unpackbits(bits, axis=-1)[..., :width].astype(np.bool_)
    return masks


def containing(masks: np.ndarray, points: np.ndarray | None) -> list[int]:
    """Which masks the recording's stand-in for SAM returns."""
    if points is None:
        return list(range(len(masks)))
    at = (points * (masks.shape[2], masks.shape[1])).astype(int)
    return [index for index, mask in enumerate(masks) if mask[at[:, 1], at[:, 0]].any()]


def test_proposals_become_segments() -> None:
    data, meta = case("deva", "auto_segment")
    for at, told in enumerate(meta["cases"]):
        masks = unpacked(data[f"proposals_{told['frame']}"], 160)
        scores, expected = data[f"iou_{told['frame']}"], data[f"output_{at}"]

        def propose(image: np.ndarray, points: np.ndarray | None, masks: Any = masks, scores: Any = scores) -> Proposed:
            kept = containing(masks, points)
            return Proposed(masks[kept], [float(scores[index]) for index in kept])

        foreseen = data[f"forward_{at}"] if told["forward"] else None
        small = told["suppress_small_objects"]
        detector = ProposalDetector(propose, meta["points_per_side"], small, told["overlap"])
        frame = EncodedFrame(None, None, None, (120, 160), expected.shape)
        found = detector(data["frames"][told["frame"]], frame, foreseen)
        assert np.array_equal(found.labels, expected)
        assert [segment.id for segment in found.segments] == [entry["id"] for entry in told["segments"]]
        scored = [segment.scores[0] for segment in found.segments]
        assert scored == pytest.approx([entry["score"] for entry in told["segments"]])
        if foreseen is not None:
            points = free_points(foreseen, meta["points_per_side"])
            assert len(points) == told["num_points"]
            if len(points):
                assert np.abs(points - data[f"points_{at}"]).max() < 1e-6


def test_automatic_loop() -> None:
    data, meta = case("deva", "automatic")
    chosen, count = meta["inference"], len(data["frames"])
    frames = golden_frames(short_side=chosen["size"], antialias=False)
    tracker, masks, calls = detecting_tracker(frames, chosen), unpacked(data["proposals"], 160), []

    def propose(image: np.ndarray, points: np.ndarray | None) -> Proposed:
        at = next(at for at, other in enumerate(data["frames"]) if np.array_equal(image, other))
        own, scores = masks[at][: meta["proposal_count"][at]], meta["proposal_iou"][at]
        kept = containing(own, points)
        returned = [index in kept for index in range(len(own))]
        calls.append({"frame": at, "num_points": None if points is None else len(points), "returned": returned})
        return Proposed(own[kept], [scores[index] for index in kept])

    detector = ProposalDetector(propose, chosen["SAM_NUM_POINTS_PER_SIDE"])
    every, voting = chosen["detection_every"], chosen["num_voting_frames"]
    loop = SemiOnline(tracker, detector, every, voting, incremental=True, as_published=True)
    done = [found for at, frame in enumerate(data["frames"]) for found in loop.feed(frame, at == count - 1)]
    assert calls == meta["generator_calls"]
    for at, found in enumerate(done):
        assert found.objects == meta["active_objects"][at]
        assert np.mean(identities(tracker, found) == data["identity"][at]) > EQUAL_PIXELS


def squares(image: np.ndarray, frame: EncodedFrame, foreseen: object) -> Detection:
    labels = np.zeros(frame.inner, np.int64)
    labels[4:20, 4:20], labels[20:30, 22:30] = 1, 2
    return Detection(labels, (Segment(1, scores=(0.9,)), Segment(2, scores=(0.8,))))


def looping(**options: Any) -> SemiOnline:
    tracker = DetectingTracker(golden_frames(), LongTermOptions(), interval=2)
    return SemiOnline(tracker, squares, **options)


IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2])
def test_a_video_shorter_than_a_vote_is_answered(count: int) -> None:
    data, meta = case("deva", "consensus_network")
    given = zip(data["detections"], meta["segments"], strict=True)
    found = iter([Detection(labels, segments(told)) for labels, told in given][1:])
    loop = looping()
    loop._detector = lambda image, frame, foreseen: next(found)
    done = [one for at in range(count) for one in loop.feed(data["frames"][at + 1], at == count - 1)]
    assert len(done) == count
    assert done[0].objects


def test_a_detector_that_finds_nothing_leaves_frames_empty() -> None:
    loop = looping(every=2)
    loop._detector = lambda image, frame, foreseen: Detection(np.zeros(frame.inner, np.int64), ())
    done = [found for at in range(5) for found in loop.feed(IMAGES[at], at == 4)]
    assert [found.objects for found in done] == [[]] * 5
    assert done[0].soft.shape == (0, 32, 32)


def test_a_restart_changes_nothing() -> None:
    unbroken, interrupted = looping(every=4, voting=2, incremental=True), looping(every=4, voting=2, incremental=True)
    for at in range(3):
        unbroken.feed(IMAGES[at])
        interrupted.feed(IMAGES[at])
    assert interrupted.waiting == 0
    state = interrupted.state()
    assert_plain(state)
    resumed = looping(every=4, voting=2, incremental=True)
    resumed.load_state(state)
    for at in range(3, 8):
        for ours, theirs in zip(resumed.feed(IMAGES[at], at == 7), unbroken.feed(IMAGES[at], at == 7), strict=True):
            assert ours.objects == theirs.objects
            assert torch.equal(ours.soft, theirs.soft)


def test_numbers_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="give positive numbers"):
        looping(every=0)
