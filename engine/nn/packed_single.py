"""A 3x3 convolution with one output channel, as one matrix product and nine sums of shifted planes.

Processors multiply for sixteen or more outputs at once; a convolution with one of them leaves the others idle.
Knows weights and tensors.
"""

from itertools import product as pairs

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.runtime.onednn import product, usable


class PackedSingle(nn.Module):
    """Equal to a convolution that `fits`, but for float32 sums; takes channels-last tensors, gives contiguous ones."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = conv.weight.detach().to(dtype)
        self.bias = None if conv.bias is None else conv.bias.detach().float()
        self._rows = self.weight[0].flatten(1).T.contiguous()  # (9, C)

    @staticmethod
    def fits(conv: nn.Conv2d) -> bool:
        """Whether a convolution is 3x3 with one output for each pixel."""
        plain = conv.stride == conv.dilation == conv.padding == (1, 1) and conv.padding_mode == "zeros"
        return plain and conv.out_channels == 1 and conv.groups == 1 and conv.kernel_size == (3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C, H, W) -> float32 (N, 1, H, W)."""
        x = x.to(self.weight.dtype)
        if not usable(x):
            bias = None if self.bias is None else self.bias.to(x.dtype)
            return F.conv2d(x, self.weight, bias, padding=1).float()
        number, _, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(number * height * width, -1)
        total = _shifted_sum(product(self._rows, pixels).view(3, 3, number, height, width))
        return (total if self.bias is None else total.add_(self.bias)).unsqueeze(1)


def _shifted_sum(planes: Tensor) -> Tensor:
    """Products (3, 3, N, H, W) of every pixel with every weight -> float32 (N, H, W), the sums over neighbourhoods."""
    height, width = planes.shape[-2:]
    total = planes[1, 1].float()
    for row, column in pairs(range(3), range(3)):
        if (row, column) != (1, 1):
            rows, from_rows = _overlap(row - 1, height)
            columns, from_columns = _overlap(column - 1, width)
            total[:, rows, columns] += planes[row, column][:, from_rows, from_columns]
    return total


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Where pixels have a neighbour `shift` further on, and where that neighbour is."""
    first, stop = max(0, -shift), max(0, length - max(0, shift))
    return slice(first, stop), slice(first + shift, stop + shift)
