"""MMPM with XMem's memory against the published streaming loop: consolidation, top-k, an object that enters late."""

import json

import numpy as np
import pytest
import torch
from golden_files import largest
from mmpm_golden import case, golden_network, images

from engine.memory.long_term import LongTermOptions
from engine.propagation.mmpm_frames import MMPMFrames
from engine.propagation.xmem import XMemTracker

PROBABILITY = 1e-4


def golden_long_term(data: dict[str, np.ndarray]) -> XMemTracker:
    """The tracker with the options of a case."""
    chosen = json.loads(str(data["in_config"]))
    options = LongTermOptions(
        chosen["top_k"],
        chosen["max_mid_term_frames"],
        chosen["min_mid_term_frames"],
        chosen["num_prototypes"],
        chosen["max_long_term_elements"],
        chosen["enable_long_term"],
    )
    frames = MMPMFrames(golden_network(), torch.device("cpu"), torch.float32, chunk=8, exclusive=True)
    return XMemTracker(frames, options, chosen["mem_every"], chosen["deep_update_every"])


@pytest.mark.parametrize(("name", "stride"), [("longterm", 3), ("topk", 3), ("late_object", 4)])
def test_loop(name: str, stride: int) -> None:
    data = case(f"loop_{name}")
    tracker, frames = golden_long_term(data), images(data["in_frames"])
    late = dict(data["in_late"].tolist())

    def given(label: int, time: int) -> np.ndarray:
        return np.roll(data["in_labels_in"], (2 * time, -3 * time), (0, 1)) == label

    tracker.start(frames[0], np.stack([given(label, 0) for label in data["in_first_objects"]]))
    for time, frame in enumerate(frames):
        if time:
            tracker.step(frame, last=time == len(frames) - 1)
            # A frame enters memory when the next one is stepped, so sizes are those after the frame before.
            sizes = [tracker.memory.working.size, tracker.memory.long.size]
            assert sizes == data["out_memory_sizes"][time - 1].tolist()
        if time in late:
            tracker.add(frame, given(late[time], time)[None])
        ours, theirs = tracker.current(), data["out_prob"][time]
        part = slice(1, None, stride)
        assert largest(ours[:, part, part], theirs[1 : 1 + len(ours)]) < PROBABILITY
        assert largest(1 - ours.sum(0)[part, part], theirs[0]) < PROBABILITY
        labels = np.concatenate([1 - ours.sum(0, keepdims=True), ours]).argmax(0)
        assert np.mean(labels != data["out_labels"][time]) < 1e-4
    assert largest(tracker._hidden[:, ::4], data["out_hidden_last"]) < PROBABILITY
