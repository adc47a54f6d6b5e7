"""XMem and DEVA as inference on a CPU wants them: the same networks in less time, equal up to rounding."""

from collections.abc import Sequence
from typing import TypeVar, cast

import torch
from torch import nn

from engine.models.xmem.network import XMem
from engine.nn.blocks import FusionBlock
from engine.nn.key import KeyProjection
from engine.nn.packed import Replacement, packed
from engine.nn.packed_fusion import PackedFusion
from engine.nn.resnet import PACKED_BLOCKS, fold_norms

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def packed_xmem(network: XMem, dtype: torch.dtype) -> XMem:
    """A copy of the network for inference on the CPU."""
    return packed_residual(network, dtype, ("key_encoder", "value_encoder"))


def packed_residual(network: NetworkT, dtype: torch.dtype, encoders: Sequence[str]) -> NetworkT:
    """A copy whose residual `encoders` have their norms folded in.

    Keys stay in float32: small differences of them decide.
    """
    result = cast(NetworkT, packed(network, dtype, {**PACKED_BLOCKS, FusionBlock: cast(Replacement, PackedFusion)}))
    for name in encoders:
        fold_norms(result.get_submodule(name), network.get_submodule(name), dtype)
    result.key_proj = cast(KeyProjection, packed(network.get_submodule("key_proj"), torch.float32, {}))
    return result
