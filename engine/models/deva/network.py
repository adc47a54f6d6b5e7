"""DEVA: pixel encoder, key projection, mask encoder, mask decoder (docs/deva.md).

Knows tensors of one frame and what was read from a memory. What is remembered, and when, is the tracker's business.
State-dict names and shapes are those of the published checkpoint. Sides of inputs are multiples of 16. Every object is
encoded without knowing of the others; they meet in the aggregation, at stride 4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.deva.config import DEVAConfig
from engine.nn.aggregate import soft_aggregate
from engine.nn.blocks import FusionBlock, HiddenGate, per_object, side_by_side
from engine.nn.conv_encoder import Features
from engine.nn.key import Key, KeyProjection
from engine.nn.refine import MultiScaleGate, UpBlock
from engine.nn.resnet import ResNetStages, resnet18, resnet50


class PixelEncoder(ResNetStages):
    """A ResNet-50 whose stride-16 features are projected twice, for masks and for keys."""

    def __init__(self, config: DEVAConfig) -> None:
        super().__init__(**resnet50(first="res2"))
        self.proj1 = nn.Conv2d(1024, config.feature_dim, 1)
        self.proj2 = nn.Conv2d(1024, config.feature_dim, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, 3, H, W) -> features at strides 16, 8 and 4, and those of the key."""
        f4, f8, f16 = self.stages(image)
        return self.proj1(f16), f8, f4, self.proj2(f16)


class MaskEncoder(ResNetStages):
    """A ResNet-18 per object over [RGB, its mask], fused with the pixel features."""

    def __init__(self, config: DEVAConfig) -> None:
        super().__init__(**resnet18(4))
        self.fuser = FusionBlock(config.feature_dim, 256, config.value_dim, skip_kernel=1)
        self.sensory_update = HiddenGate(config.value_dim, config.value_dim)

    def forward(
        self, image: Tensor, features: Features, sensory: Tensor, masks: Tensor, deep: bool
    ) -> tuple[Tensor, Tensor]:
        """image (B, 3, H, W), masks (B, n, H, W) -> value (B, n, C_v, h, w) and sensory, updated if `deep`."""
        value = self.fuser(features.coarse, self.masked(image, masks.unsqueeze(2)))
        return value, self.sensory_update(value, sensory) if deep else sensory


class FeatureTransforms(nn.Module):
    """Projections of the finer image features; once a frame, for all objects."""

    def __init__(self) -> None:
        super().__init__()
        self.transforms = nn.ModuleList([nn.Conv2d(512, 512, 1), nn.Conv2d(256, 256, 1)])

    def forward(self, f8: Tensor, f4: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 512, H/8, W/8), (B, 256, H/4, W/4) -> the same shapes."""
        return self.transforms[0](f8), self.transforms[1](f4)


class SensoryPrediction(nn.Module):
    """The auxiliary head of training: a linear classifier of pixel features, made from the sensory memory."""

    def __init__(self, config: DEVAConfig) -> None:
        super().__init__()
        self.projection = nn.Conv2d(config.value_dim, config.feature_dim + 1, 1)

    def forward(self, pixels: Tensor, sensory: Tensor) -> Tensor:
        """pixels (B, C, h, w), sensory (B, n, C_v, h, w) -> logits (B, n, h, w) at stride 16."""
        weights = per_object(self.projection, sensory)
        return (pixels.unsqueeze(1) * weights[:, :, :-1]).sum(2) + weights[:, :, -1]


class MaskDecoder(nn.Module):
    """Read-out, sensory memory and the last mask meet at stride 16; refined to stride 4."""

    def __init__(self, config: DEVAConfig) -> None:
        super().__init__()
        width = config.value_dim
        self.fuser = FusionBlock(config.feature_dim, width, width, skip_kernel=1)
        self.sensory_compress = nn.Conv2d(width + 1, width, 1)
        self.sensory_update = MultiScaleGate(width, 256, width, width)
        self.decoder_feat_proc = FeatureTransforms()
        self.up_16_8 = UpBlock(None, width, 256, skip_kernel=1)
        self.up_8_4 = UpBlock(None, 256, 256, skip_kernel=1)
        self.pred = nn.Conv2d(256, 1, 3, padding=1)
        self.sensory_linear_pred = SensoryPrediction(config)

    def forward(
        self, features: Features, readout: Tensor, sensory: Tensor, last: Tensor, update: bool
    ) -> tuple[Tensor, Tensor | None]:
        """readout and sensory (B, n, C_v, h, w), last: masks (B, n, H, W) of the frame before.

        Returns logits (B, n, H/4, W/4) and, if asked, the new sensory memory.
        """
        t8, t4 = features.fine[:2]
        seen = F.avg_pool2d(last, 16).unsqueeze(2)
        compressed = per_object(self.sensory_compress, side_by_side(sensory, seen))
        g16 = self.fuser(features.coarse, readout + compressed)
        g8 = self.up_16_8(t8, g16)
        g4 = self.up_8_4(t4, g8)
        logits = per_object(self.pred, F.relu(g4))
        new = self.sensory_update.gather(g16, g8, g4, logits, sensory) if update else None
        return logits[:, :, 0].float(), new


class DEVA(nn.Module):
    """The network. All methods take inputs that are normalised and padded already."""

    def __init__(self, config: DEVAConfig) -> None:
        super().__init__()
        self.config = config
        self.pixel_encoder = PixelEncoder(config)
        self.mask_encoder = MaskEncoder(config)
        self.key_proj = KeyProjection(config.feature_dim, config.key_dim)
        self.mask_decoder = MaskDecoder(config)

    def encode_image(self, image: Tensor) -> Features:
        """(B, 3, H, W) -> pixel features; fine: transformed features of strides 8 and 4, and those of the key."""
        p16, f8, f4, for_key = self.pixel_encoder(image)
        return Features(p16, (*self.mask_decoder.decoder_feat_proc(f8, f4), for_key))

    def project(self, features: Features) -> Key:
        """Key, shrinkage and selection of a frame, flattened over space."""
        return self.key_proj.flat(features.fine[2].float())

    def encode_mask(
        self, image: Tensor, features: Features, sensory: Tensor, masks: Tensor, deep: bool = True
    ) -> tuple[Tensor, Tensor]:
        """masks (B, n, H, W) in [0, 1] -> value (B, n, C_v, h, w) and the sensory memory, updated if `deep`."""
        return self.mask_encoder(image, features, sensory, masks, deep)

    def decode(
        self, features: Features, readout: Tensor, sensory: Tensor, last: Tensor, update: bool
    ) -> tuple[Tensor, Tensor | None]:
        """See MaskDecoder.forward; logits at stride 4."""
        return self.mask_decoder(features, readout, sensory, last, update)

    def empty_hidden(self, batch: int, objects: int, size: tuple[int, int]) -> Tensor:
        """The sensory memory before the first frame: zeros (B, n, C_v, h, w) for a padded input of `size`."""
        like = self.key_proj.d_proj.weight
        return like.new_zeros(batch, objects, self.config.value_dim, size[0] // 16, size[1] // 16)


def spread(logits: Tensor, joint: bool = True, selector: Tensor | None = None, scale: int = 4) -> Tensor:
    """Object logits (B, n, h, w) -> aggregated logits at full size, background first: (B, n + 1, H, W).

    joint: objects compete with each other; otherwise each is alone with its background, (B * n, 2, H, W).
    selector: 0/1 (B, n), switches objects off. scale: from the logits' stride to 1.
    """
    p = logits.sigmoid()
    if selector is not None:
        p = p * selector[..., None, None]
    aggregated = soft_aggregate(p if joint else p.flatten(0, 1).unsqueeze(1))
    return F.interpolate(aggregated, scale_factor=scale, mode="bilinear", align_corners=False)


def masks_of(logits: Tensor, joint: bool) -> Tensor:
    """Object logits (n, h, w) at stride 4 -> probabilities (n, H, W)."""
    full = spread(logits.unsqueeze(0), joint).softmax(1)
    return full[0, 1:] if joint else torch.flatten(full[:, 1:], 0, 1)
