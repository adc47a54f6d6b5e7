"""BMVOS through time against recorded runs of the published network."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from bmvos_golden import case, golden_network

from engine.propagation.bmvos import BMVOSTracker
from engine.propagation.bmvos_frames import BMVOSFrame, BMVOSFrames
from engine.propagation.loop import propagate
from engine.propagation.pending import Pending
from engine.types import Frame


class Recording(BMVOSTracker):
    """Keeps what is fed back."""

    def _fed_back(self, pending: Pending[BMVOSFrame], given: list[int]) -> torch.Tensor:
        shares = super()._fed_back(pending, given)
        self.fed_back = shares
        return shares


@pytest.mark.parametrize("loop", ["a", "b"])
def test_soft_maps_and_labels(loop: str) -> None:
    arrays = case(f"loop_{loop}")
    frames = BMVOSFrames(golden_network(), torch.device("cpu"), torch.float32, exclusive=True, usual=False)
    tracker = Recording(frames, chunk=2)
    prompts: dict[int, dict[int, Any]] = {}
    for t in arrays["given_frames"].tolist():
        mask = arrays[f"given_mask_{t}"]
        prompts[t] = {int(label): mask == label for label in np.unique(mask) if label}
    images = [Frame(t, image, str(t)) for t, image in enumerate(arrays["frames_u8"])]
    wanted = [at - 10 for at in arrays["val_frame_ids"].tolist()] or list(range(len(images)))
    order = arrays["object_ids_in_order"].tolist()
    masks, worst = [], 0.0
    for result in propagate([*images, replace(images[-1], index=len(images))], prompts, tracker, exclusive=True):
        if result.frame >= 2:  # the frame before was fed back when this one was stepped
            recorded = arrays["soft_fg"][result.frame - 1]
            fed = tracker.fed_back[:, ::2, ::2].numpy()
            known = [row for row in range(len(order)) if recorded[row].min() >= 0]
            worst = max(worst, np.abs(fed[known] - recorded[known]).max())
            assert len(fed) == len(known)
        if result.frame in wanted:
            label = np.zeros(images[0].image.shape[:2], np.uint8)
            for track, found in result.tracks.items():
                label[found.mask] = track
            masks.append(label)
    assert worst < 1e-4
    assert (np.stack(masks) == arrays["masks"]).mean() >= 0.999
