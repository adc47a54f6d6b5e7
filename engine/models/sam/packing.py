"""SAM as inference on a CPU wants it: the same encoder and decoder, equal results up to rounding, in less time."""

from typing import cast

import torch
from segment_anything.modeling import MaskDecoder, Sam
from segment_anything.modeling.image_encoder import Block
from torch import nn

from engine.nn.packed import Replacement, packed
from engine.nn.packed_vit import PackedBlock


def packed_encoder(sam: Sam, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A copy of the image encoder that works in `dtype` and shares the weights that have it."""
    return packed(sam.image_encoder, dtype, {Block: cast(Replacement, PackedBlock)})


def packed_decoder(sam: Sam, dtype: torch.dtype = torch.float32) -> MaskDecoder:
    """A copy of the mask decoder that works in `dtype` and shares the weights that have it."""
    return cast(MaskDecoder, packed(sam.mask_decoder, dtype, {}))
