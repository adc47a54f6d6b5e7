"""BMVOS: encoder, matcher, mask embedder and decoder, as the published checkpoints name them.

Knows images, keys and masks as tensors. Knows nothing of time.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.bmvos.encoder import Encoder
from engine.models.bmvos.parts import Decoder, MaskEmbedder, Matcher

_EPSILON = 1e-7


class Encoded(NamedTuple):
    """A frame. key (B, 512, N) of unit length; shared: the decoder's share that no object changes; size: h, w."""

    key: Tensor
    shared: list[Tensor]
    size: tuple[int, int]


class _VOS(nn.Module):
    """Holder, so that names begin with `vos.`."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.matcher = Matcher()
        self.mask_embedder = MaskEmbedder()
        self.decoder = Decoder()


class BMVOS(nn.Module):
    """n below: objects at inference, which share one image, or clips in training."""

    def __init__(self) -> None:
        super().__init__()
        self.vos = _VOS()

    def encode(self, images: Tensor) -> Encoded:
        """(B, 3, H, W) in [0, 1], sides multiples of 16."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.encoder_learns):
            maps = self.vos.encoder(images)
        size = maps[2].shape[2], maps[2].shape[3]
        return Encoded(self.vos.matcher(maps[2]), self.vos.decoder.of_image(maps), size)

    @property
    def encoder_learns(self) -> bool:
        """Whether any weight of the encoder is trained."""
        return any(parameter.requires_grad for parameter in self.vos.encoder.parameters())

    def scores(self, frame: Encoded, matching: Tensor, history: Tensor) -> Tensor:
        """matching (n, 4, N): global background, foreground, local background, foreground. history (n, 3, H, W):
        foreground of the latest frames, newest first. Returns scores (n, 2, H, W)."""
        masks = self.vos.mask_embedder(history)
        return self.vos.decoder(frame.shared, matching.unflatten(2, frame.size).to(masks.dtype), masks)[-1]


def pooled(foreground: Tensor) -> Tensor:
    """Foreground (..., H, W) -> background and foreground (..., 2, N) at stride 16."""
    mean = F.avg_pool2d(foreground.reshape(-1, 1, *foreground.shape[-2:]), 16).flatten(1)
    return torch.stack([1 - mean, mean], 1).reshape(*foreground.shape[:-2], 2, -1)


def aggregated(soft: Tensor) -> Tensor:
    """Background and foreground of all objects (n, 2, H, W), each by itself -> shares (1 + n, H, W), background first.

    Odds against the background that the most confident object sees; shares sum to 1.
    """
    background = soft[:, 0].amin(0, keepdim=True)
    odds = [_clipped(background) / _clipped(1 - background), _clipped(soft[:, 1]) / _clipped(soft[:, 0])]
    together = torch.cat(odds)
    return together / together.sum(0)


def alone(soft: Tensor) -> Tensor:
    """The foreground's share (n, H, W) where every object competes with its own background only."""
    background = _clipped(soft[:, 0]) / _clipped(1 - soft[:, 0])
    foreground = _clipped(soft[:, 1]) / _clipped(soft[:, 0])
    return foreground / (background + foreground)


def _clipped(x: Tensor) -> Tensor:
    return x.clamp(_EPSILON, 1 - _EPSILON)
