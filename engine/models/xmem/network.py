"""XMem: key encoder, key projection, value encoder, decoder (docs/xmem.md).

Knows tensors of one frame and what was read from a memory. What is remembered, and when, is the tracker's business.
State-dict names and shapes are those of the published checkpoints. Sides of inputs are multiples of 16.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.xmem.config import XMemConfig
from engine.nn.blocks import FusionBlock, HiddenGate, mask_planes, per_object, side_by_side
from engine.nn.conv_encoder import Features
from engine.nn.key import Key, KeyProjection
from engine.nn.refine import MultiScaleGate, UpBlock
from engine.nn.resnet import ResNetStages, resnet18, resnet50


class ValueEncoder(ResNetStages):
    """A ResNet-18 per object over [RGB, own mask, other masks], fused with the image features."""

    def __init__(self, config: XMemConfig) -> None:
        super().__init__(**resnet18(3 + config.mask_channels))
        self.fuser = FusionBlock(1024, 256, config.value_dim)
        if config.hidden_dim:
            self.hidden_reinforce = HiddenGate(config.value_dim, config.hidden_dim)

    def forward(
        self, image: Tensor, features: Features, hidden: Tensor, planes: Tensor, deep: bool
    ) -> tuple[Tensor, Tensor]:
        """image (B, 3, H, W), planes (B, n, 1 or 2, H, W) -> value (B, n, C_v, h, w), hidden, reinforced if `deep`."""
        value = self.fuser(features.coarse, self.masked(image, planes))
        return value, self.hidden_reinforce(value, hidden) if deep and hidden.shape[2] else hidden


class Decoder(nn.Module):
    """Fuse at stride 16, refine to stride 4; the hidden state is updated from all three strides."""

    def __init__(self, config: XMemConfig) -> None:
        super().__init__()
        self.fuser = FusionBlock(1024, config.value_dim + config.hidden_dim, 512)
        if config.hidden_dim:
            self.hidden_update = MultiScaleGate(512, 256, 256, config.hidden_dim)
        self.up_16_8 = UpBlock(512, 512, 256)
        self.up_8_4 = UpBlock(256, 256, 256)
        self.pred = nn.Conv2d(256, 1, 3, padding=1)

    def forward(
        self, features: Features, readout: Tensor, hidden: Tensor, update: bool
    ) -> tuple[Tensor, Tensor | None]:
        """readout (B, n, C_v, h, w), hidden (B, n, C_h, h, w) -> logits (B, n, H, W) and, if asked, a new hidden."""
        f8, f4 = features.fine
        g16 = self.fuser(features.coarse, side_by_side(readout, hidden))
        g8 = self.up_16_8(f8, g16)
        g4 = self.up_8_4(f4, g8)
        coarse = per_object(self.pred, F.relu(g4))
        logits = F.interpolate(coarse[:, :, 0], scale_factor=4, mode="bilinear", align_corners=False)
        if not (update and hidden.shape[2]):
            return logits, None
        return logits, self.hidden_update.gather(g16, g8, g4, coarse, hidden)


class XMem(nn.Module):
    """The network of one configuration. All methods take inputs that are normalised and padded already."""

    def __init__(self, config: XMemConfig) -> None:
        super().__init__()
        self.config = config
        self.key_encoder = ResNetStages(**resnet50(first="res2"))
        self.value_encoder = ValueEncoder(config)
        self.key_proj = KeyProjection(1024, config.key_dim)
        self.decoder = Decoder(config)

    def encode_image(self, image: Tensor) -> Features:
        """(B, 3, H, W) -> Features, coarse at stride 16, fine at strides 8 and 4."""
        f4, f8, f16 = self.key_encoder.stages(image)
        return Features(f16, (f8, f4))

    def project(self, features: Features) -> Key:
        """Key, shrinkage and selection of a frame, flattened over space."""
        return self.key_proj.flat(features.coarse.float())

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
        """read (B, n, C_v, h, w) -> object logits (B, n, H, W) and, if `update`, the new hidden state."""
        return self.decoder(features, read, hidden, update)

    def empty_hidden(self, batch: int, objects: int, size: tuple[int, int]) -> Tensor:
        """The hidden state before the first frame: zeros (B, n, C_h, h, w) for a padded input of `size`."""
        like = self.key_proj.d_proj.weight
        return like.new_zeros(batch, objects, self.config.hidden_dim, size[0] // 16, size[1] // 16)
