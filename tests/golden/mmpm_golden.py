"""The recorded inputs and outputs of the published MMPM, and networks with the weights they were recorded with."""

import dataclasses
from functools import cache, partial
from typing import Any

import golden_files
import numpy as np
import torch
from seeded_weights import fill

from engine.memory.decisions import RecordedDecisions
from engine.models.mmpm.config import CONFIGS, MMPMConfig, ViTConfig
from engine.models.mmpm.network import MMPM
from engine.propagation.factory import mmpm_tracker
from engine.propagation.mmpm import MMPMTracker
from engine.propagation.options import MMPMOptions

manifest, case = (partial(read, "mmpm") for read in (golden_files.manifest, golden_files.arrays))
_SMALL = ViTConfig(96, 4, 3, (1, 3), 7)

CONFIGURATIONS: dict[str, MMPMConfig] = {
    "small": MMPMConfig("small", "vit", image_side=256, image_encoder=_SMALL, value_encoder=_SMALL),
    "vit_b": CONFIGS["mmpm-vit-b"],
    "vit_l": CONFIGS["mmpm-vit-l"],
    "vit_h": CONFIGS["mmpm-vit-h"],
}
CONFIGURATIONS |= {
    f"{name}_single": dataclasses.replace(config, single_object=True) for name, config in CONFIGURATIONS.items()
}


@cache
def golden_network(name: str = "small") -> MMPM:
    """The network of one configuration with seeded weights."""
    with torch.device("meta"):
        network = MMPM(CONFIGURATIONS[name])
    network = network.to_empty(device="cpu").eval()
    state = network.state_dict()
    fill(state)
    state["value_encoder.network.patch_embed.proj.weight"][:, 3:] *= 8
    state["mask_decoder.pred.weight"] *= 4
    return network


def golden_tracker(network: MMPM, arrays: dict[str, np.ndarray], exclusive: bool = True, **options: Any) -> MMPMTracker:
    """A tracker that takes the decisions recorded in a case."""
    chosen = MMPMOptions(
        interval=int(arrays["in_mem_interval"]),
        memory_frames=int(arrays["in_max_memory"]),
        evict=str(arrays.get("in_policy", "random_except_first_last")),
        exclusive=exclusive,
        **options,
    )
    decisions = RecordedDecisions(arrays["in_deep_update"].tolist(), arrays["in_kept"].tolist())
    tracker = mmpm_tracker(network, torch.device("cpu"), torch.float32, chosen, decisions)
    assert isinstance(tracker, MMPMTracker)
    return tracker


def images(frames: np.ndarray) -> list[np.ndarray]:
    """(T, 3, H, W) -> T images (H, W, 3)."""
    return [np.ascontiguousarray(frame.transpose(1, 2, 0)) for frame in frames]


def masks_of(labels: np.ndarray) -> np.ndarray:
    """A label image -> bool masks of the labels 1 to n."""
    return labels[None] == np.arange(1, labels.max() + 1)[:, None, None]
