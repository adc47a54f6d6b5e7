"""A small light MMPM with random weights and clips of noise: quick, and nothing in them is symmetric by chance."""

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import torch

from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.network import MMPM
from engine.propagation.factory import mmpm_tracker
from engine.propagation.mmpm import MMPMTracker
from engine.propagation.options import MMPMOptions
from engine.propagation.xmem import XMemTracker
from engine.types import Frame

SIZE = (60, 96)  # the network's own, so that masks come out as they went in


@cache
def toy_network(single_object: bool = True) -> MMPM:
    """mmpm-tiny at 96 pixels; masks count for more than in a fresh network and divide it, so that mistakes show."""
    config = dataclasses.replace(CONFIGS["mmpm-tiny"], image_side=96, single_object=single_object)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = MMPM(config).eval()
    with torch.no_grad():
        network.value_encoder.patch.weight[:, 3:] *= 30
        network.mask_decoder.pred.weight *= 20
        network.mask_decoder.pred.bias -= _median_logit(network)
    return network


def _median_logit(network: MMPM) -> torch.Tensor:
    """Of a mask in a picture of noise, read from itself."""
    generator = torch.Generator().manual_seed(2)
    image = torch.randn(1, 3, 64, 96, generator=generator)
    features, hidden = network.encode_image(image), network.empty_hidden(1, 1, (64, 96))
    mask = torch.zeros(1, 1, 64, 96)
    mask[..., 16:48, 16:60] = 1
    value, hidden = network.encode_value(image, features, hidden, mask, deep=True)
    return network.decode(features, torch.cat([value, value], 2), hidden, update=False)[0].median()


def toy_tracker(single_object: bool = True, **options: Any) -> MMPMTracker | XMemTracker:
    """A tracker over the toy network."""
    chosen = MMPMOptions(**{"interval": 2, "memory_frames": 4, "top_k": 12, **options})
    return mmpm_tracker(toy_network(single_object), torch.device("cpu"), torch.float32, chosen)


def toy_frames(count: int, seed: int = 0) -> list[Frame]:
    """Blurred noise that drifts."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (SIZE[0] // 4, SIZE[1] // 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    rolled = (np.roll(base, (t, 2 * t), (0, 1)) for t in range(count))
    return [Frame(t, image + rng.integers(0, 9, image.shape, dtype=np.uint8), str(t)) for t, image in enumerate(rolled)]


def toy_masks(count: int, seed: int = 0) -> np.ndarray:
    """Rectangles that may overlap: bool (count, *SIZE)."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, *SIZE), np.bool_)
    for mask in masks:
        y, x = rng.integers(0, SIZE[0] // 2), rng.integers(0, SIZE[1] // 2)
        mask[y : y + rng.integers(10, 30), x : x + rng.integers(10, 50)] = True
    return masks
