"""The recorded inputs and outputs of the published MAVOS, and networks with the weights they were recorded with.

Probabilities of loops are stored every `prob_stride` rows and columns, tokens of `case_lstt` every second one.
"""

from functools import cache, partial
from typing import Any

import golden_files
import numpy as np
import torch
from seeded_weights import fill
from torch import Tensor

from engine.models.mavos.config import CONFIGS
from engine.models.mavos.network import MAVOS
from engine.models.mavos.swin import relative_positions

case = partial(golden_files.arrays, "mavos")
PUBLISHED = {"mavos": "mavos", "mavos-r50": "r50_mavos", "mavos-swinb": "swinb_mavos"}


def manifest() -> dict[str, Any]:
    """Names and shapes of every tensor of every network, and the edits made to seeded weights."""
    return golden_files.manifest("mavos")["configs"]


def drawn(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Inputs that are drawn rather than stored."""
    generator = np.random.RandomState(seed)
    return [torch.from_numpy(generator.standard_normal(shape).astype(np.float32)) for shape in shapes]


@cache
def golden_network(name: str = "mavos") -> MAVOS:
    """A network with seeded weights, balanced so that all labels occur."""
    with torch.device("meta"):
        network = MAVOS(CONFIGS[name])
    network = network.to_empty(device="cpu").eval()
    state = network.state_dict()
    fill(state)
    state["decoder.conv_out.weight"] *= 4
    bias = manifest()[PUBLISHED[name]]["after_fill"]["decoder.conv_out.bias"]
    state["decoder.conv_out.bias"].copy_(torch.tensor(bias))
    for key, tensor in state.items():
        if key.endswith("relative_position_index"):
            tensor.copy_(relative_positions())
    return network


def sequence(x: Tensor) -> Tensor:
    """Between (L, B, C) as recorded and (B, L, C) as computed here."""
    return x.transpose(0, 1)
