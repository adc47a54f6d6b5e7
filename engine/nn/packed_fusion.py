"""The fusion block for inference: what depends on the image alone is worked out once for any number of objects."""

import torch
from torch import Tensor, nn

from engine.nn.blocks import FusionBlock
from engine.nn.elementwise import rectified
from engine.nn.packed import PackedConv, packed


class SharedConv(nn.Module):
    """A convolution of [image, object] channels as the sum of two; linear, so the image's share serves all objects."""

    def __init__(self, conv: nn.Conv2d, image: int, dtype: torch.dtype) -> None:
        super().__init__()
        whole = PackedConv.of(conv, dtype)
        self.of_image = whole.part(0, image, True, conv)
        self.of_object = whole.part(image, None, False, conv)

    def forward(self, image: Tensor, objects: Tensor, relu: bool = False) -> Tensor:
        """image (B, C_image, H, W), objects (B * n, C_object, H, W) -> (B * n, outputs, H, W)."""
        return self.of_object(objects, relu, plus=for_each(self.of_image(image), len(objects)))


class PackedFusion(nn.Module):
    """Equal to a FusionBlock."""

    def __init__(self, block: FusionBlock, dtype: torch.dtype) -> None:
        super().__init__()
        first = block.block1
        self.conv1 = SharedConv(first.conv1, block.image, dtype)
        self.conv2 = PackedConv.of(first.conv2, dtype)
        self.skip = SharedConv(first.downsample, block.image, dtype) if hasattr(first, "downsample") else None
        self.attention = packed(block.attention, dtype, {})
        self.block2 = packed(block.block2, dtype, {})

    def forward(self, image: Tensor, objects: Tensor) -> Tensor:
        """image (B, C_image, H, W), objects (B, n, C_object, H, W) -> (B, n, outputs, H, W)."""
        own = objects.flatten(0, 1)
        middle = self.conv1(rectified(image), rectified(own), relu=True)
        if self.skip is None:
            skip = torch.cat([for_each(image, len(own)), own.to(image.dtype)], 1)
        else:
            skip = self.skip(image, own)
        u = self.conv2(middle, plus=skip)
        result: Tensor = self.block2(u + self.attention(u)).unflatten(0, objects.shape[:2])
        return result


def for_each(image: Tensor, count: int) -> Tensor:
    """(B, C, H, W), each repeated for its share of `count` objects, as convolutions here take it."""
    repeated = image.unsqueeze(1).expand(-1, count // len(image), -1, -1, -1).flatten(0, 1)
    return repeated.contiguous(memory_format=torch.channels_last)
