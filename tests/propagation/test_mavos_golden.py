"""MAVOS through time against recorded runs of the published networks."""

from typing import Any

import numpy as np
import pytest
import torch
from golden_files import largest
from mavos_golden import case, golden_network

from engine.propagation.loop import propagate
from engine.propagation.mavos import MAVOSTracker
from engine.propagation.mavos_engines import LabelSpace, match
from engine.propagation.mavos_frames import MAVOSFrames
from engine.runtime.batches import FittingBatches
from engine.types import Frame

LOOPS = {
    "mavos_gap10": "mavos",
    "mavos_newobj": "mavos",
    "mavos_12obj": "mavos",
    "r50": "mavos-r50",
    "swinb": "mavos-swinb",
}


def frames_of(model: str, exclusive: bool = True) -> MAVOSFrames:
    return MAVOSFrames(golden_network(model), torch.device("cpu"), torch.float32, exclusive)


def given_in(arrays: dict[str, np.ndarray]) -> dict[int, np.ndarray]:
    return {int(t): arrays[f"given_mask_{t}"] for t in arrays["given_frames"]}


@pytest.mark.parametrize("loop", LOOPS)
@torch.inference_mode()
def test_probabilities_where_recorded_labels_are_fed_back(loop: str) -> None:
    arrays, frames = case(f"loop_{loop}"), frames_of(LOOPS[loop])
    given, stride = given_in(arrays), int(arrays["prob_stride"])
    space = LabelSpace(int(arrays["long_term_gap"]))
    worst, objects = 0.0, 0
    for t, image in enumerate(arrays["frames_u8"]):
        frame = frames.encode(image)
        assert frame.inner == tuple(arrays["network_input_hw"])
        if t:
            match(frames.network, frame.features, space.engines, FittingBatches(2))
            found = space.probabilities(frame.size, frames.config.align_corners)
            recorded = arrays["probs"][t - 1][: 1 + objects]
            worst = max(worst, largest(found[:, ::stride, ::stride], recorded))
        label = frames.label_in(frame, torch.from_numpy(arrays["masks"][t]))
        if t in given:
            objects = max(objects, int(given[t].max()))
            space.refer(frames.network, frame.features, label, objects)
        else:
            space.remember(frames.network, label, frame.features.size)
        assert [engine.tokens for engine in space.engines] == arrays["memory_tokens"][t].tolist()
    assert worst < 1e-4
    last = space.engines[0].long[2]
    assert largest(last.key[0, :, ::4], arrays["final_long_K_layer2"]) < 1e-3
    assert largest(last.identity[0, :, ::16], arrays["final_long_IDV_layer2_c16"]) < 1e-3


@pytest.mark.parametrize("loop", LOOPS)
def test_labels_of_free_runs(loop: str) -> None:
    arrays = case(f"loop_{loop}")
    prompts: dict[int, dict[int, Any]] = {}
    for t, mask in given_in(arrays).items():
        prompts[t] = {int(label): mask == label for label in np.unique(mask) if label}
    tracker = MAVOSTracker(frames_of(LOOPS[loop]), int(arrays["long_term_gap"]), chunk=20)
    images = [Frame(t, image, str(t)) for t, image in enumerate(arrays["frames_u8"])]
    same = []
    for result in propagate(images, prompts, tracker, exclusive=True):
        label = np.zeros(images[0].image.shape[:2], np.uint8)
        for track, found in result.tracks.items():
            assert not label[found.mask].any()
            label[found.mask] = track
        same.append((label == arrays["masks"][result.frame]).mean())
    assert len(same) == len(images)
    assert np.mean(same[:10]) >= 0.99
    assert min(same) >= 0.99
