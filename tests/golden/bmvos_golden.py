"""The recorded inputs and outputs of the published BMVOS, and the network with the weights they were recorded with."""

from functools import cache, partial

import golden_files
import numpy as np
import torch
from seeded_weights import fill
from torch import Tensor

from engine.models.bmvos.network import BMVOS

manifest, case = (partial(read, "bmvos") for read in (golden_files.manifest, golden_files.arrays))


@cache
def golden_network() -> BMVOS:
    """Seeded weights, edited so that masks are heard."""
    network = BMVOS().eval()
    state = network.state_dict()
    mean, std = (state[f"vos.encoder.{name}"].clone() for name in ("mean", "std"))
    fill(state)
    state["vos.encoder.mean"].copy_(mean)
    state["vos.encoder.std"].copy_(std)
    with torch.no_grad():
        for level, (start, stop, factor) in (
            (1, (256, 260, 30)),
            (1, (260, 516, 6)),
            (2, (256, 258, 8)),
            (3, (256, 258, 8)),
        ):
            state[f"vos.decoder.blend{level}.conv.weight"][:, start:stop] *= factor
        for level in (1, 2, 3):
            state[f"vos.decoder.deconv{level}.deconv.weight"] *= 0.3
    return network


def pixels(image: np.ndarray) -> Tensor:
    """uint8 (..., H, W, 3) -> (..., 3, H, W) in [0, 1]."""
    return torch.from_numpy(image.astype(np.float32) / 255).movedim(-1, -3)
