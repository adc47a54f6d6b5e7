"""From the propagated streams and the encoder's maps to scores of every identity at stride 4."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.mavos.config import IDENTITIES, WIDTH


class _ConvNorm(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.gn = nn.GroupNorm(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.gn(self.conv(x)))


class Decoder(nn.Module):
    """A feature pyramid. channels: of the maps at strides 4, 8, 16."""

    def __init__(self, channels: Sequence[int], align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.conv_in = _ConvNorm(2 * WIDTH, WIDTH, 1)
        self.conv_16x = _ConvNorm(WIDTH, WIDTH, 3)
        self.conv_8x = _ConvNorm(WIDTH, WIDTH // 2, 3)
        self.conv_4x = _ConvNorm(WIDTH // 2, WIDTH // 2, 3)
        self.adapter_4x = nn.Conv2d(channels[0], WIDTH // 2, 1)
        self.adapter_8x = nn.Conv2d(channels[1], WIDTH, 1)
        self.adapter_16x = nn.Conv2d(channels[2], WIDTH, 1)
        self.conv_out = nn.Conv2d(WIDTH // 2, IDENTITIES + 1, 1)

    def forward(self, maps: Sequence[Tensor], z: Tensor) -> Tensor:
        """maps: encoder's, strides 4, 8, 16, of one image or of as many as z; z (B, 512, h, w) -> (B, 11, 4 h, 4 w)."""
        four, eight, sixteen = self.adapter_4x(maps[0]), self.adapter_8x(maps[1]), self.adapter_16x(maps[2])
        z = self.conv_16x(sixteen + self.conv_in(z))
        z = self.conv_8x(eight + self._up(z, eight))
        z = self.conv_4x(four + self._up(z, four))
        return self.conv_out(z)

    def _up(self, z: Tensor, like: Tensor) -> Tensor:
        return F.interpolate(z, size=like.shape[2:], mode="bilinear", align_corners=self.align_corners)
