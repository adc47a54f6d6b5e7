"""From stride 16 to stride 4 for every object, and the hidden state that all three strides update (XMem, DEVA).

Shapes as in blocks.py: (B, n, C, h, w) per object, (B, C, h, w) of the image.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from engine.nn.blocks import HiddenGate, ResidualBlock, per_object, side_by_side
from engine.nn.elementwise import added


def rise(x: Tensor, skip: Tensor, objects: int) -> Tensor:
    """x (B * n, C, h, w) brought to the skip's sides, plus the image's skip (B, C, H, W) for each of n objects."""
    risen = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
    return added(risen.unflatten(0, (-1, objects)), skip.unsqueeze(1)).flatten(0, 1)


class UpBlock(nn.Module):
    """out_conv(skip_conv(skip) + g doubled). skip: its channels; None where it is projected already."""

    def __init__(self, skip: int | None, inputs: int, outputs: int, skip_kernel: int = 3) -> None:
        super().__init__()
        if skip is not None:
            self.skip_conv = nn.Conv2d(skip, inputs, 3, padding=1)
        self.out_conv = ResidualBlock(inputs, outputs, skip_kernel)

    def forward(self, skip: Tensor, objects: Tensor) -> Tensor:
        """skip (B, C, 2h, 2w), objects (B, n, inputs, h, w) -> (B, n, outputs, 2h, 2w)."""
        count = objects.shape[1]
        image = self.skip_conv(skip) if hasattr(self, "skip_conv") else skip
        return self.out_conv(rise(objects.flatten(0, 1), image, count)).unflatten(0, (-1, count))


class MultiScaleGate(HiddenGate):
    """The decoder's update of the hidden state: features of strides 16, 8 and 4, each reduced to `middle` channels."""

    def __init__(self, wide: int, narrow: int, middle: int, hidden: int) -> None:
        super().__init__(middle, hidden)
        self.g16_conv = nn.Conv2d(wide, middle, 1)
        self.g8_conv = nn.Conv2d(narrow, middle, 1)
        self.g4_conv = nn.Conv2d(narrow + 1, middle, 1)

    def gather(self, g16: Tensor, g8: Tensor, g4: Tensor, logits: Tensor, hidden: Tensor) -> Tensor:
        """(B, n, C, ...) of each stride and the logits (B, n, 1, ...) of stride 4 -> the new hidden state."""
        half = per_object(lambda x: self.g8_conv(F.avg_pool2d(x, 2)), g8)
        quarter = per_object(lambda x: self.g4_conv(F.avg_pool2d(x, 4)), side_by_side(g4, logits))
        return self(per_object(self.g16_conv, g16) + half + quarter, hidden)
