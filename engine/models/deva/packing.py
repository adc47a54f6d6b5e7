"""DEVA as inference on a CPU wants it: the same network, equal results up to rounding, a fraction of the time."""

from typing import cast

import torch

from engine.models.deva.network import DEVA
from engine.nn.blocks import FusionBlock
from engine.nn.key import KeyProjection
from engine.nn.packed import Replacement, packed
from engine.nn.packed_fusion import PackedFusion
from engine.nn.resnet import PACKED_BLOCKS, fold_norms


def packed_deva(network: DEVA, dtype: torch.dtype) -> DEVA:
    """A copy of the network for inference on the CPU. Keys stay in float32: small differences of them decide."""
    result = cast(DEVA, packed(network, dtype, {**PACKED_BLOCKS, FusionBlock: cast(Replacement, PackedFusion)}))
    fold_norms(result.pixel_encoder, network.pixel_encoder, dtype)
    fold_norms(result.mask_encoder, network.mask_encoder, dtype)
    result.key_proj = cast(KeyProjection, packed(network.key_proj, torch.float32, {}))
    return result
