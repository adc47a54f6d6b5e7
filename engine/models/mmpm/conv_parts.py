"""The light form of MMPM's parts, for CPUs and for training from nothing.

Same roles and interfaces as the published parts. Left where it pays: convolutions for ViTs, stride 8 instead of 16,
a value encoder that reuses the image features, a decoder that refines at strides 4 and 2 with finer image features.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.mmpm.config import MMPMConfig
from engine.nn.blocks import FusionBlock, HiddenGate, ResidualBlock, per_object, side_by_side
from engine.nn.conv_encoder import Features
from engine.nn.elementwise import added, rectified
from engine.nn.packed import convolve
from engine.nn.refine import rise


class ConvValueEncoder(nn.Module):
    """Masks and colours brought to stride 8 by two strided convolutions, fused with the image features."""

    def __init__(self, config: MMPMConfig) -> None:
        super().__init__()
        planes, width = 3 + config.mask_channels, config.feature_dim
        self.patch = nn.Conv2d(planes, width // 2, 4, stride=4)
        self.reduce = nn.Conv2d(width // 2, width, 3, stride=2, padding=1)
        self.mix = ResidualBlock(width, width)
        self.fuser = FusionBlock(width, width, config.value_dim, skip_kernel=1)
        self.hidden_reinforce = HiddenGate(config.value_dim, config.hidden_dim)

    def forward(
        self, image: Tensor, features: Features, hidden: Tensor, planes: Tensor, deep: bool
    ) -> tuple[Tensor, Tensor]:
        """image (B, 3, H, W), planes (B, n, 1 or 2, H, W) -> value (B, n, C_v, H/8, W/8), hidden."""
        weight = self.patch.weight
        rgb = F.conv2d(image.to(weight.dtype), weight[:, :3], self.patch.bias, stride=4)
        own = per_object(self._patch_masks, planes)
        value = self.fuser(features.coarse, per_object(self._reduce, added(own, rgb.unsqueeze(1))))
        return value, self.hidden_reinforce(value, hidden) if deep else hidden

    def _patch_masks(self, planes: Tensor) -> Tensor:
        """The masks' share of the (linear) patch convolution; the image's share is the same for all objects."""
        weight = self.patch.weight
        return F.conv2d(planes.to(weight.dtype), weight[:, 3:], stride=4)

    def _reduce(self, x: Tensor) -> Tensor:
        return self.mix(self.reduce(rectified(x, fresh=True)))


class ConvMaskDecoder(nn.Module):
    """Fuse at stride 8, then refine at strides 4 and 2; the hidden state is updated at stride 8."""

    def __init__(self, config: MMPMConfig) -> None:
        super().__init__()
        w2, w4 = config.conv.widths[:2]
        reads = 2 if config.local_read else 1
        width = config.value_dim
        self.fuser = FusionBlock(config.feature_dim, reads * config.value_dim + config.hidden_dim, width, skip_kernel=1)
        self.hidden_update = HiddenGate(width, config.hidden_dim)
        self.up4 = nn.Conv2d(width, w4, 1)
        self.skip4 = nn.Conv2d(w4, w4, 1)
        self.refine4 = ResidualBlock(w4, w4)
        self.up2 = nn.Conv2d(w4, w2, 1)
        self.skip2 = nn.Conv2d(w2, w2, 1)
        self.refine2 = nn.Conv2d(w2, w2, 3, padding=1)
        self.pred = nn.Conv2d(w2, 1, 3, padding=1)

    def forward(
        self, features: Features, readout: Tensor, hidden: Tensor, update: bool
    ) -> tuple[Tensor, Tensor | None]:
        """readout (B, n, reads * C_v, H/8, W/8) -> logits (B, n, H, W) and, if asked, a new hidden."""
        fused = self.fuser(features.coarse, side_by_side(readout, hidden))
        new_hidden = self.hidden_update(fused, hidden) if update else None
        objects = fused.shape[1]
        f4, f2 = features.fine
        x = self.refine4(rise(self.up4(rectified(fused.flatten(0, 1))), self.skip4(f4), objects))
        x = rise(self.up2(rectified(x, fresh=True)), self.skip2(f2), objects)
        x = convolve(self.refine2, rectified(x, fresh=True), relu=True)
        logits = F.interpolate(self.pred(x).float(), scale_factor=2, mode="bilinear", align_corners=False)
        return logits.unflatten(0, (-1, objects)).squeeze(2), new_hidden
