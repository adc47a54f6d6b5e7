"""MAVOS: encoder, gated propagation, modulated memory, decoder, identity bank, as the published checkpoints name them.

Knows images, one-hot labels and memories as tensors. Knows nothing of time: what is remembered when is the caller's.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.models.mavos.config import IDENTITIES, WIDTH, MAVOSConfig
from engine.models.mavos.decoder import Decoder
from engine.models.mavos.gated_propagation import GatedPropagation, Propagated, Seen, Tokens
from engine.models.mavos.mobilenet import MobileNetV2
from engine.models.mavos.modulated_memory import ModulatedMemory
from engine.models.mavos.resnet import ResNet50
from engine.models.mavos.swin import SwinB

_ENCODERS: dict[str, type[MobileNetV2] | type[ResNet50] | type[SwinB]] = {
    "mobilenet": MobileNetV2,
    "resnet50": ResNet50,
    "swin-b": SwinB,
}


class Features(NamedTuple):
    """maps: strides 4, 8, 16, (B, C, h, w) each; projected (B, 256, h, w) at stride 16."""

    maps: tuple[Tensor, ...]
    projected: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns at stride 16."""
        return self.projected.shape[2], self.projected.shape[3]


class MAVOS(nn.Module):
    """B below: engines at inference, which share one image (features of batch 1), or clips in training."""

    def __init__(self, config: MAVOSConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _ENCODERS[config.encoder]()
        self.encoder_projector = nn.Conv2d(config.channels[3], WIDTH, 1)
        self.LSTT = GatedPropagation()
        self.decoder = Decoder(config.channels[:3], config.align_corners)
        padding = 8 if config.align_corners else 0
        self.patch_wise_id_bank = nn.Conv2d(IDENTITIES + 1, WIDTH, config.id_kernel, 16, padding)
        self.id_norm = nn.LayerNorm(WIDTH)
        self.long_term_memory_attention = ModulatedMemory()

    def encode(self, image: Tensor) -> Features:
        """Image (B, 3, H, W), normalised, of a size that fits (engine.models.mavos.preprocess)."""
        *maps, last = self.encoder(image)
        return Features(tuple(maps), self.encoder_projector(last))

    def identity(self, one_hot: Tensor) -> Tensor:
        """One-hot labels (B, 11, H, W), background first -> identity embedding (B, L, 256)."""
        return self.id_norm(self.patch_wise_id_bank(one_hot).flatten(2).transpose(1, 2))

    def reference(self, features: Features, identity: Tensor) -> Propagated:
        """A frame whose labels are given, matched with itself."""
        return self.LSTT(_tokens(features, len(identity)), features.size, identity=identity)

    def match(self, features: Features, long: list[Tokens], short: list[Tokens]) -> Propagated:
        """A frame matched with the long-term and the short-term memory of each layer."""
        memories = list(zip(long, short, strict=True))
        return self.LSTT(_tokens(features, len(long[0].key)), features.size, memories)

    def remembered(self, seen: list[Seen], identity: Tensor) -> list[Tokens]:
        """What each layer keeps of a frame once its labels are known."""
        return self.LSTT.identified(seen, identity)

    def merge(self, new: list[Tokens], old: list[Tokens], size: tuple[int, int]) -> list[Tokens]:
        """The long-term memory after a frame more: never longer than two frames."""
        return self.long_term_memory_attention.merge(new, old, size)

    def decode(self, features: Features, output: Tensor) -> Tensor:
        """Streams (B, L, 512) -> scores (B, 11, H/4, W/4) of background and ten identities, none suppressed."""
        planes = output.transpose(1, 2).unflatten(2, features.size)
        return self.decoder(features.maps, planes)


def _tokens(features: Features, batch: int) -> Tensor:
    tokens = features.projected.flatten(2).transpose(1, 2)
    return tokens if len(tokens) == batch else tokens.expand(batch, -1, -1)


def suppressed(scores: Tensor, objects: int | Tensor) -> Tensor:
    """Scores (B, 11, h, w) with the channels above each engine's number of objects (int, or (B,)) at -1e10."""
    number = torch.arange(IDENTITIES + 1, device=scores.device)
    limit = torch.as_tensor(objects, device=scores.device).view(-1, 1)
    unused = (number[None] > limit)[:, :, None, None]
    return scores.float().masked_fill(unused, -1e10)
