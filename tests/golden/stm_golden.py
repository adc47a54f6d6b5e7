"""The recorded inputs and outputs of the published XMem and DEVA, and networks with the weights of the recording.

The recordings lie in tests/golden/xmem and tests/golden/deva; probabilities are kept in half precision, and some
features as every fourth or eighth channel only.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from golden_files import arrays
from seeded_weights import seeded_tensor
from torch import Tensor, nn

from engine.memory.long_term import LongTermOptions
from engine.runtime.allocator import tune_allocator

tune_allocator()  # two networks of 60 million parameters take half as long with it

PROBABILITY, EQUAL_PIXELS = 1e-3, 0.999  # what is asked for


def case(system: str, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of one case, and what is said about them."""
    plain = arrays(system, name)
    return plain, json.loads(str(plain.pop("meta")))


def shapes(network: nn.Module) -> list[list[Any]]:
    """Names and shapes as in a manifest."""
    return [[name, list(tensor.shape)] for name, tensor in network.state_dict().items()]


def seed(network: nn.Module, head: Path) -> None:
    """Fill a network with the weights of the recording; those of the last layer are in a file."""
    with np.load(head) as fitted, torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name in fitted:
                tensor.copy_(torch.from_numpy(fitted[name]))
            elif tensor.is_floating_point():
                tensor.copy_(_drawn(name, tensor.shape))
            else:
                tensor.zero_()


@cache
def _drawn(name: str, shape: torch.Size) -> Tensor:
    return seeded_tensor(name, shape)


def memory_options(inference: dict[str, Any]) -> LongTermOptions:
    """The options of a recorded loop."""
    return LongTermOptions(
        inference["top_k"],
        inference["max_mid_term_frames"],
        inference["min_mid_term_frames"],
        inference["num_prototypes"],
        inference["max_long_term_elements"],
        inference["enable_long_term"],
    )


def with_background(soft: Tensor) -> np.ndarray:
    """Probabilities (n, H, W) -> (n + 1, H, W), background first."""
    return torch.cat([1 - soft.sum(0, keepdim=True), soft]).numpy()
