"""MobileNet-V2 at output stride 16, by dilation instead of the last stride (Sandler et al. 2018; Chen et al. 2017).

Names of parameters are torchvision's. Batch norms are frozen.
"""

from typing import NamedTuple

from torch import Tensor, nn

from engine.models.mavos.frozen_norm import FrozenNorm


class _Stage(NamedTuple):
    expansion: int
    width: int
    repeats: int
    stride: int
    first_dilation: int = 1
    dilation: int = 1


_STAGES = (
    _Stage(1, 16, 1, 1),
    _Stage(6, 24, 2, 2),
    _Stage(6, 32, 3, 2),
    _Stage(6, 64, 4, 2),
    _Stage(6, 96, 3, 1),
    _Stage(6, 160, 3, 1, 1, 2),
    _Stage(6, 320, 1, 1, 2),
)
_TAPS = (3, 6, 13, 18)


def _normed(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1) -> nn.Module:
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
    return nn.Sequential(conv, FrozenNorm(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depth-wise, 1x1 projection; the input added where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, dilation: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers = [_normed(inputs, hidden, 1)] if expansion > 1 else []
        layers.append(_normed(hidden, hidden, 3, stride, dilation, hidden))
        self.conv = nn.Sequential(*layers, nn.Conv2d(hidden, outputs, 1, bias=False), FrozenNorm(outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Image (B, 3, H, W), normalised -> maps of 24, 32, 96, 1280 channels at strides 4, 8, 16, 16."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_normed(3, 32, 3, 2)]
        width = 32
        for stage in _STAGES:
            for repeat in range(stage.repeats):
                stride, dilation = (1, stage.dilation) if repeat else (stage.stride, stage.first_dilation)
                blocks.append(InvertedResidual(width, stage.width, stride, stage.expansion, dilation))
                width = stage.width
        self.features = nn.Sequential(*blocks, _normed(width, 1280, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for number, block in enumerate(self.features):
            x = block(x)
            if number in _TAPS:
                maps.append(x)
        return tuple(maps)

    def fixed(self) -> list[nn.Module]:
        """Stem and stride-4 stage, which training leaves as they are."""
        return list(self.features[:4])
