"""MMPM: image encoder, key projection, value encoder, mask decoder (docs/mmpm.md).

Knows tensors of one frame and memories given to it. What is remembered, and when, is the tracker's business.
"""

import torch
from torch import Tensor, nn

from engine.memory.read import affinity, nearness, readout, similarity
from engine.models.mmpm.config import MMPMConfig
from engine.models.mmpm.conv_parts import ConvMaskDecoder, ConvValueEncoder
from engine.models.mmpm.vit_parts import ViTImageEncoder, ViTMaskDecoder, ViTValueEncoder
from engine.nn.aggregate import soft_aggregate
from engine.nn.blocks import mask_planes
from engine.nn.conv_encoder import ConvEncoder, Features
from engine.nn.key import Key, KeyProjection


class MMPM(nn.Module):
    """The network of one configuration. All methods take inputs that are padded and normalised already."""

    def __init__(self, config: MMPMConfig) -> None:
        super().__init__()
        self.config = config
        if config.form == "vit":
            self.image_encoder: nn.Module = ViTImageEncoder(config)
            self.value_encoder: nn.Module = ViTValueEncoder(config)
            self.mask_decoder: nn.Module = ViTMaskDecoder(config)
        else:
            self.image_encoder = ConvEncoder(config.conv.widths, config.feature_dim)
            self.value_encoder = ConvValueEncoder(config)
            self.mask_decoder = ConvMaskDecoder(config)
        self.key_proj = KeyProjection(config.feature_dim, config.key_dim)
        if config.local_read:
            self.reach = nn.Parameter(torch.tensor(1.0))

    def encode_image(self, image: Tensor) -> Features:
        """(B, 3, H, W) -> Features."""
        return self.image_encoder.features(image)  # type: ignore[operator]

    def project(self, features: Features) -> Key:
        """Key, shrinkage and selection of a frame, flattened over space."""
        return self.key_proj.flat(features.coarse)

    def encode_value(
        self,
        image: Tensor,
        features: Features,
        hidden: Tensor,
        masks: Tensor,
        deep: bool,
        others: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """masks (B, n, H, W) in [0, 1] -> value (B, n, C_v, h, w) and the hidden state, reinforced if `deep`.

        others: see `mask_planes`.
        """
        planes = mask_planes(masks, others, self.config.single_object)
        return self.value_encoder(image, features, hidden, planes, deep)

    def decode(self, features: Features, read: Tensor, hidden: Tensor, update: bool) -> tuple[Tensor, Tensor | None]:
        """read (B, n, C, h, w) -> object logits (B, n, H, W) and, if `update`, the new hidden state."""
        return self.mask_decoder(features, read, hidden, update)

    def empty_hidden(self, batch: int, objects: int, size: tuple[int, int]) -> Tensor:
        """The hidden state before the first frame: zeros (B, n, C_h, h, w) for a padded input of `size`."""
        height, width = (length // self.config.stride for length in size)
        parameter = self.key_proj.d_proj.weight
        return parameter.new_zeros(batch, objects, self.config.hidden_dim, height, width)

    def read(self, query: Key, key: Tensor, shrinkage: Tensor, values: Tensor, top_k: int | None = None) -> Tensor:
        """Memory key (B, C_k, M), shrinkage (B, 1, M), values (B, n, C_v, M) -> (B, n, C_v, Q)."""
        return readout(affinity(similarity(key, shrinkage, query.key, query.selection), top_k), values)

    def read_near(self, query: Key, previous: Key, value: Tensor) -> Tensor:
        """Read the previous frame, preferring the same place: similarity minus d² / (2 reach²), d in positions.

        value (B, n, C_v, h, w) -> (B, n, C_v, h, w). Only for configurations with `local_read`.
        """
        height, width = value.shape[-2:]
        near = nearness(height, width, self.reach.exp())
        scores = similarity(previous.key, previous.shrinkage, query.key, query.selection, near)
        return readout(affinity(scores), value.flatten(3)).unflatten(3, (height, width))


def probabilities(logits: Tensor, selector: Tensor | None = None, joint: bool = True) -> tuple[Tensor, Tensor]:
    """Object logits (B, n, H, W) -> aggregated logits (with background) and probabilities, objects only.

    selector: 0/1 (B, n), switches object slots off. joint: objects compete with each other; otherwise each competes
    with its own background and the aggregated logits are those of n problems of one object, (B * n, 2, H, W).
    """
    p = logits.sigmoid()
    if selector is not None:
        p = p * selector[..., None, None]
    if joint:
        aggregated = soft_aggregate(p)
        return aggregated, aggregated.softmax(1)[:, 1:]
    aggregated = soft_aggregate(p.flatten(0, 1).unsqueeze(1))
    return aggregated, aggregated.softmax(1)[:, 1:].view_as(p)
