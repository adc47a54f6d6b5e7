"""MMPM as inference wants it, on a CPU and on a card: the same network, equal results up to rounding, less time."""

from typing import cast

import torch
from segment_anything.modeling.image_encoder import Block

from engine.models.mmpm.network import MMPM
from engine.nn.blocks import FusionBlock
from engine.nn.fused_vit import FusedBlock
from engine.nn.key import KeyProjection
from engine.nn.packed import Replacement, packed, replaced
from engine.nn.packed_fusion import PackedFusion
from engine.nn.packed_vit import PackedBlock

_REPLACEMENTS = {FusionBlock: cast(Replacement, PackedFusion), Block: cast(Replacement, PackedBlock)}


def packed_mmpm(network: MMPM, dtype: torch.dtype) -> MMPM:
    """A copy of the network for inference on the CPU. Keys stay in float32: small differences of them decide."""
    result = cast(MMPM, packed(network, dtype, _REPLACEMENTS))
    result.key_proj = cast(KeyProjection, packed(network.key_proj, torch.float32, {}))
    return result


def fused_mmpm(network: MMPM) -> MMPM:
    """A copy of the network, which it shares its weights with, for inference on a card."""
    return cast(MMPM, replaced(network, {Block: FusedBlock}))
