"""ResNet-50 without its last stage (He et al. 2016). Names of parameters are torchvision's; batch norms are frozen."""

import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.mavos.frozen_norm import FrozenNorm


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 to four times the width, and the input added."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), FrozenNorm(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), FrozenNorm(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), FrozenNorm(outputs)
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), FrozenNorm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        skip = self.downsample(x) if hasattr(self, "downsample") else x
        inner = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(inner)) + skip)


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    others = [Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Bottleneck(inputs, width, stride), *others)


class ResNet50(nn.Module):
    """Image (B, 3, H, W), normalised -> maps of 256, 512, 1024, 1024 channels at strides 4, 8, 16, 16."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), FrozenNorm(64)
        self.layer1 = _stage(64, 64, blocks=3, stride=1)
        self.layer2 = _stage(256, 128, blocks=4, stride=2)
        self.layer3 = _stage(512, 256, blocks=6, stride=2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        four = self.layer1(x)
        eight = self.layer2(four)
        sixteen = self.layer3(eight)
        return four, eight, sixteen, sixteen

    def fixed(self) -> list[nn.Module]:
        """Stem and stride-4 stage, which training leaves as they are."""
        return [self.conv1, self.bn1, self.layer1]
