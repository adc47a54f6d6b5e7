"""A small U-Net that looks at a picture with one prompt's eyes.

It stands before SAM's two-way transformer in sam-tiny: convolutions follow borders and textures from where the prompt
lies, which a transformer without pretraining on a billion masks hardly learns (docs/sam.md). Knows feature maps only.
"""

from torch import Tensor, nn

from engine.nn.conv_encoder import NormBlock, resized


class PromptedNet(nn.Module):
    """Down from stride 8 to 32 and back, widths (w8, w16, w32)."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        w8, w16, w32 = widths
        self.enter = NormBlock(w8, w8)
        self.down16 = NormBlock(w8, w16, 2)
        self.down32 = nn.Sequential(NormBlock(w16, w32, 2), NormBlock(w32, w32))
        self.top32 = nn.Conv2d(w32, w16, 1)
        self.up16 = NormBlock(w16, w16)
        self.top16 = nn.Conv2d(w16, w8, 1)
        self.up8 = NormBlock(w8, w8)

    def forward(self, x: Tensor) -> Tensor:
        """(P, w8, h, w) -> the same shape; sides of any length."""
        x8 = self.enter(x)
        x16 = self.down16(x8)
        x16 = self.up16(x16 + resized(self.top32(self.down32(x16)), x16))
        # A 1x1 convolution and what resizes bilinearly may change places, and there are fewer positions before.
        return self.up8(x8 + resized(self.top16(x16), x8))
