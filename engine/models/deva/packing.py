"""DEVA as inference on a CPU wants it."""

import torch

from engine.models.deva.network import DEVA
from engine.models.xmem.packing import packed_residual


def packed_deva(network: DEVA, dtype: torch.dtype) -> DEVA:
    """A copy of the network for inference on the CPU."""
    return packed_residual(network, dtype, ("pixel_encoder", "mask_encoder"))
