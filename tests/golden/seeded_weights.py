"""Weights that follow from their names, so that two implementations of a network can be compared without a checkpoint.

Every tensor is drawn from a generator seeded with its own name and scaled so that activations stay near one. Knows
state dicts; knows no network.
"""

import zlib

import numpy as np
import torch
from torch import Tensor


def seeded_tensor(name: str, shape: torch.Size) -> Tensor:
    """The float32 values of one tensor.

    Matrices and kernels: normal, divided by the root of their fan-in. Biases and running means: 0.05 normal. Running
    variances: 1 + 0.1 |normal|. What else has at most one axis, scales of norms: 1 + 0.05 normal.
    """
    generator = np.random.RandomState(zlib.crc32(name.encode()))
    normal = generator.standard_normal(tuple(shape)).astype(np.float32)
    kind = name.split(".")[-1]
    if kind in ("bias", "running_mean"):
        values = 0.05 * normal
    elif kind == "running_var":
        values = 1 + 0.1 * np.abs(normal)
    elif len(shape) > 1:
        values = normal / np.sqrt(np.prod(shape[1:]))
    else:
        values = 1 + 0.05 * normal
    return torch.from_numpy(np.asarray(values, dtype=np.float32).reshape(tuple(shape)))


def fill(state: dict[str, Tensor]) -> None:
    """Overwrite every tensor of a state dict in place; integers become 0."""
    with torch.no_grad():
        for name, tensor in state.items():
            if tensor.is_floating_point():
                tensor.copy_(seeded_tensor(name, tensor.shape))
            else:
                tensor.zero_()
