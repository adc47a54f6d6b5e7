"""The published form of MMPM's parts: two SAM ViTs, prediction at stride 16 (docs/mmpm.md).

State-dict names and shapes are those of the reference network. Both ViTs are segment-anything's ImageEncoderViT.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from engine.models.mmpm.config import MMPMConfig, ViTConfig
from engine.nn.blocks import FusionBlock, HiddenGate, per_object, side_by_side
from engine.nn.conv_encoder import Features


def _vit_sizes(vit: ViTConfig, config: MMPMConfig, channels: int) -> dict[str, Any]:
    """The arguments of SAM's ViT of one size for `channels` input planes."""
    return {
        "img_size": config.image_side,
        "patch_size": config.stride,
        "in_chans": channels,
        "embed_dim": vit.embed_dim,
        "depth": vit.depth,
        "num_heads": vit.num_heads,
        "mlp_ratio": 4,
        "out_chans": config.feature_dim,
        "qkv_bias": True,
        "norm_layer": partial(nn.LayerNorm, eps=1e-6),
        "use_rel_pos": True,
        "window_size": vit.window_size,
        "global_attn_indexes": list(vit.global_attn_indexes),
    }


class ViTImageEncoder(ImageEncoderViT):
    """SAM's image encoder; its only output is the stride-16 map."""

    def __init__(self, config: MMPMConfig) -> None:
        super().__init__(**_vit_sizes(config.image_encoder, config, 3))

    def features(self, image: Tensor) -> Features:
        """Normalised, padded (B, 3, S, S) -> Features with `coarse` (B, 256, S/16, S/16)."""
        return Features(self(image))


class ViTValueEncoder(nn.Module):
    """A full ViT per object over [RGB, own mask, other masks], fused with the image features."""

    def __init__(self, config: MMPMConfig) -> None:
        super().__init__()
        self.network = ImageEncoderViT(**_vit_sizes(config.value_encoder, config, 3 + config.mask_channels))
        self.fuser = FusionBlock(config.feature_dim, config.feature_dim, config.value_dim)
        self.hidden_reinforce = HiddenGate(config.value_dim, config.hidden_dim)

    def forward(
        self, image: Tensor, features: Features, hidden: Tensor, planes: Tensor, deep: bool
    ) -> tuple[Tensor, Tensor]:
        """Hidden (B, n, C_h, P, P), image, planes (B, n, 1 or 2, S, S) -> value (B, n, C_v, P, P) and hidden."""
        objects = planes.shape[1]
        stacked = torch.cat([image.unsqueeze(1).expand(-1, objects, -1, -1, -1), planes], 2)
        value = self.fuser(features.coarse, per_object(self.network, stacked))
        return value, self.hidden_reinforce(value, hidden) if deep else hidden


class HiddenUpdate(HiddenGate):
    """The decoder's gate: features and coarse logit reduced to 256 channels, then the gate."""

    def __init__(self, inputs: int, middle: int, hidden: int) -> None:
        super().__init__(middle, hidden)
        self.g16_conv = nn.Conv2d(inputs, middle, 1)

    def forward(self, a: Tensor, hidden: Tensor) -> Tensor:
        return super().forward(per_object(self.g16_conv, a), hidden)


class ViTMaskDecoder(nn.Module):
    """Fuse image, read-out and hidden state; one logit a position, upsampled sixteen times."""

    def __init__(self, config: MMPMConfig) -> None:
        super().__init__()
        self.fuser = FusionBlock(config.feature_dim, config.value_dim + config.hidden_dim, config.value_dim)
        self.hidden_update = HiddenUpdate(config.value_dim + 1, 256, config.hidden_dim)
        self.pred = nn.Conv2d(config.value_dim, 1, 3, padding=1)
        self.stride = config.stride

    def forward(
        self, features: Features, readout: Tensor, hidden: Tensor, update: bool
    ) -> tuple[Tensor, Tensor | None]:
        """readout (B, n, C_v, P, P), hidden (B, n, C_h, P, P) -> logits (B, n, S, S) and, if asked, a new hidden."""
        fused = self.fuser(features.coarse, side_by_side(readout, hidden))
        coarse = per_object(self.pred, F.relu(fused))
        new_hidden = self.hidden_update(side_by_side(fused, coarse), hidden) if update else None
        logits = F.interpolate(coarse.squeeze(2), scale_factor=self.stride, mode="bilinear", align_corners=False)
        return logits, new_hidden
