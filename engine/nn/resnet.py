"""The first three stages of ResNets (He et al. 2016), with torchvision's names, for networks that match at stride 16.

Knows images and feature maps. The stride of a bottleneck is on its 3x3 convolution. Where a network is packed
(`fold_norms`), convolutions carry their normalisation and the norms beside them are not asked.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.nn.packed import PackedConv, Replacement, packed

Block = Callable[[int, int, int], nn.Module]


def normed(conv: nn.Module, norm: nn.Module, x: Tensor, relu: bool = False, plus: Tensor | None = None) -> Tensor:
    """relu(norm(conv(x)) + plus), in one pass where the convolution is packed."""
    if isinstance(conv, PackedConv):
        return conv(x, relu, plus)
    y = norm(conv(x)) if plus is None else norm(conv(x)) + plus
    return F.relu(y) if relu else y


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y = normed(self.conv1, self.bn1, x, relu=True)
        return normed(self.conv2, self.bn2, y, relu=True, plus=skip)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and a shortcut; four times `width` come out."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y = normed(self.conv1, self.bn1, x, relu=True)
        y = normed(self.conv2, self.bn2, y, relu=True)
        return normed(self.conv3, self.bn3, y, relu=True, plus=skip)


class ResNetStages(nn.Module):
    """Stem and three stages of `depths` blocks. planes: channels of the input; first: the name of the first stage."""

    def __init__(
        self, block: type[BasicBlock] | type[Bottleneck], depths: Sequence[int], planes: int = 3, first: str = "layer1"
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(planes, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        self._names = (first, "layer2", "layer3")
        for number, (name, depth) in enumerate(zip(self._names, depths, strict=True)):
            width = 64 * 2**number
            blocks = [block(inputs, width, 2 if number else 1)]
            inputs = width * block.expansion
            blocks += [block(inputs, width) for _ in range(depth - 1)]
            self.add_module(name, nn.Sequential(*blocks))

    def stages(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, planes, H, W) -> features at strides 4, 8 and 16."""
        y = F.max_pool2d(normed(self.conv1, self.bn1, x, relu=True), 3, 2, 1)
        first, second, third = (self.get_submodule(name) for name in self._names)
        f4 = first(y)
        f8 = second(f4)
        return f4, f8, third(f8)

    def masked(self, image: Tensor, planes: Tensor) -> Tensor:
        """Stride-16 features of every object: image (B, 3, H, W), planes (B, n, C, H, W) -> (B, n, C', h, w)."""
        batch, objects = planes.shape[:2]
        repeated = image.unsqueeze(1).expand(-1, objects, -1, -1, -1)
        joined = torch.cat([repeated, planes.to(image.dtype)], 2).flatten(0, 1)
        return self.stages(joined)[2].unflatten(0, (batch, objects))


def resnet50(first: str = "layer1") -> dict[str, Any]:
    """Arguments of ResNetStages for a ResNet-50 on RGB: 256, 512 and 1024 channels."""
    return {"block": Bottleneck, "depths": (3, 4, 6), "first": first}


def resnet18(planes: int) -> dict[str, Any]:
    """Arguments of ResNetStages for a ResNet-18 on `planes` channels: 64, 128 and 256 channels."""
    return {"block": BasicBlock, "depths": (2, 2, 2), "planes": planes}


def fold_norms(module: nn.Module, original: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Give every packed convN of `module` the statistics of bnN, both read from `original`. Returns `module`."""
    for name, conv in original.named_children():
        norm = getattr(original, name.replace("conv", "bn"), None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, PackedConv.with_norm(conv, norm, dtype))
            setattr(module, name.replace("conv", "bn"), nn.Identity())
    return module


def _packed_block(block: nn.Module, dtype: torch.dtype) -> nn.Module:
    return fold_norms(packed(block, dtype, {}), block, dtype)


PACKED_BLOCKS: dict[type[nn.Module], Replacement] = {BasicBlock: _packed_block, Bottleneck: _packed_block}
"""How `packed` makes the blocks of this module."""


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """The projection beside a block whose result has another shape than its input."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
