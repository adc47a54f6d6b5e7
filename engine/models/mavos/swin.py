"""Swin-B without its last stage, for maps of any size (Liu et al. 2021). Names are those of the detection code.

Tokens travel as (B, h, w, C).
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.mavos.mlp import MLP

WINDOW = 7
_BLOCKED = -100.0
_STAGES = ((128, 2, 4), (256, 2, 8), (512, 18, 16))  # width, blocks, heads


class WindowAttention(nn.Module):
    """Self-attention inside windows of 7x7, with a learned bias for each relative position."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions())
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, windows: Tensor, blocked: Tensor | None) -> Tensor:
        """windows (n, 49, C); blocked (windows of one image, 49, 49), added to the scores."""
        q, k, v = self.qkv(windows).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        index = self.relative_position_index.flatten()
        tokens = WINDOW * WINDOW
        bias = self.relative_position_bias_table[index].view(tokens, tokens, self.heads).permute(2, 0, 1)[None]
        if blocked is not None:
            bias = (blocked[:, None] + bias).repeat(len(windows) // len(blocked), 1, 1, 1)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.proj(mixed.transpose(1, 2).flatten(2))


def relative_positions() -> Tensor:
    """int64 (49, 49): (dy + 6) * 13 + dx + 6 of query minus key."""
    place = torch.arange(WINDOW)
    delta = place[:, None] - place[None] + WINDOW - 1
    return (delta[:, None, :, None] * (2 * WINDOW - 1) + delta[None, :, None, :]).reshape(WINDOW**2, WINDOW**2)


class SwinBlock(nn.Module):
    """Window attention and an MLP; odd blocks shift the windows by half a window."""

    def __init__(self, width: int, heads: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads)
        self.mlp = MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._windowed(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def _windowed(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, -width % WINDOW, 0, -height % WINDOW))
        padded = x.shape[1], x.shape[2]
        blocked = None
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
            blocked = _between_regions(*padded, self.shift, x.device)
        x = _merged(self.attn(_split(x), blocked), padded)
        if self.shift:
            x = x.roll((self.shift, self.shift), (1, 2))
        return x[:, :height, :width]


def _split(x: Tensor) -> Tensor:
    """(B, h, w, C) -> windows (B * n, 49, C), row by row."""
    return x.unflatten(2, (-1, WINDOW)).unflatten(1, (-1, WINDOW)).transpose(2, 3).flatten(0, 2).flatten(1, 2)


def _merged(windows: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `_split`."""
    rows, columns = size[0] // WINDOW, size[1] // WINDOW
    x = windows.unflatten(1, (WINDOW, WINDOW)).unflatten(0, (-1, rows, columns))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


@lru_cache(maxsize=8)
def _between_regions(height: int, width: int, shift: int, device: torch.device) -> Tensor:
    """(windows, 49, 49): -100 between tokens that are neighbours only because of the roll, 0 elsewhere."""
    with torch.inference_mode(False):  # what is kept may be used in training later
        rows, columns = (_regions(side, shift, device) for side in (height, width))
        region = _split((rows[:, None] * 3 + columns[None])[None, :, :, None])[..., 0]
        return (region[:, None] != region[:, :, None]).float() * _BLOCKED


def _regions(side: int, shift: int, device: torch.device) -> Tensor:
    place = torch.arange(side, device=device)
    return (place >= side - WINDOW).long() + (place >= side - shift).long()


class PatchMerging(nn.Module):
    """Four neighbours side by side, normalised, made twice as wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        parts = [x[:, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class SwinStage(nn.Module):
    """Blocks, and the way down to the next stage where there is one."""

    def __init__(self, width: int, blocks: int, heads: int, last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SwinBlock(width, heads, WINDOW // 2 * (at % 2)) for at in range(blocks))
        self.downsample = None if last else PatchMerging(width)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class _PatchEmbedding(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, 4, 4)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        image = F.pad(image, (0, -image.shape[3] % 4, 0, -image.shape[2] % 4))
        return self.norm(self.proj(image).permute(0, 2, 3, 1))


class SwinB(nn.Module):
    """Image (B, 3, H, W), normalised -> maps of 128, 256, 512, 512 channels at strides 4, 8, 16, 16."""

    def __init__(self, stages: Sequence[tuple[int, int, int]] = _STAGES) -> None:
        super().__init__()
        self.patch_embed = _PatchEmbedding(stages[0][0])
        self.layers = nn.ModuleList(SwinStage(*stage, last=stage == stages[-1]) for stage in stages)
        for number, stage in enumerate(stages):
            self.add_module(f"norm{number}", nn.LayerNorm(stage[0]))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x, maps = self.patch_embed(image), []
        for number, stage in enumerate(self.layers):
            assert isinstance(stage, SwinStage)
            x = stage(x)
            maps.append(self.get_submodule(f"norm{number}")(x).permute(0, 3, 1, 2).contiguous())
            if stage.downsample is not None:
                x = stage.downsample(x)
        return (*maps, maps[-1])

    def fixed(self) -> list[nn.Module]:
        """Patch embedding and the first stage's blocks, which training leaves as they are."""
        first = self.layers[0]
        assert isinstance(first, SwinStage)
        return [self.patch_embed, first.blocks]
