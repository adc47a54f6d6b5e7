"""A small residual image encoder with batch normalisation, shared by the models that run without a ViT.

Knows images and feature maps only.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from engine.nn.packed import convolve


class Features(NamedTuple):
    """Image features: `coarse` (B, C, H/stride, W/stride) and, for decoders that refine, finer maps, finest last."""

    coarse: Tensor
    fine: tuple[Tensor, ...] = ()


def conv_norm(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution and batch normalisation, no activation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))


class NormBlock(nn.Module):
    """A residual block with batch normalisation, optionally halving the resolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv_norm(inputs, outputs, stride)
        self.conv2 = conv_norm(outputs, outputs)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return convolve(self.conv2, convolve(self.conv1, x, relu=True), relu=True, plus=self.skip(x))


class ConvEncoder(nn.Module):
    """A residual network to stride 16 or 32, whose context is added back to stride 8.

    widths: channels at strides 2, 4, 8, 16 and, if there is a fifth, 32.
    """

    def __init__(self, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        w2, w4, w8, w16 = widths[:4]
        self.stem = conv_norm(3, w2, 2)
        self.layer4 = nn.Sequential(NormBlock(w2, w4, 2), NormBlock(w4, w4))
        self.layer8 = nn.Sequential(NormBlock(w4, w8, 2), NormBlock(w8, w8))
        self.layer16 = nn.Sequential(NormBlock(w8, w16, 2), NormBlock(w16, w16))
        self.lateral = nn.Conv2d(w8, outputs, 1)
        self.top = nn.Conv2d(w16, outputs, 1)
        self.deep = len(widths) > 4
        if self.deep:
            self.layer32 = nn.Sequential(NormBlock(w16, widths[4], 2), NormBlock(widths[4], widths[4]))
            self.top32 = nn.Conv2d(widths[4], outputs, 1)
        self.out = NormBlock(outputs, outputs)

    def features(self, image: Tensor) -> Features:
        """Normalised (B, 3, H, W), sides multiples of 16 -> coarse at stride 8, fine at strides 4 and 2."""
        f2 = convolve(self.stem, image, relu=True)
        f4 = self.layer4(f2)
        f8 = self.layer8(f4)
        f16 = self.layer16(f8)
        context = self.top(f16)
        if self.deep:
            context = context + resized(self.top32(self.layer32(f16)), context)
        return Features(self.out(convolve(self.lateral, f8, plus=resized(context, f8))), (f4, f2))


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Bilinearly to the sides of another map."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
