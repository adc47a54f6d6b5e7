"""Video-Swin: windows of time and space attend to themselves; one feature map a frame at strides 4, 8, 16 and 32.

Knows clips as tensors. Video Swin Transformer, Liu et al., CVPR 2022, in the form that SgMg trains: patches of one
frame, no norm after the stages. Without gradients it works through its windows in groups, so that its memory grows with
the maps alone.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import stochastic_depth

from engine.models.sgmg.config import SgMgConfig
from engine.models.sgmg.windows import Size3, cut, fitted, join, pad_to_windows, regions, relative_index

_GROUP = 16_384
_APART = -100.0


class WindowAttention(nn.Module):
    """Self-attention inside windows, with a bias for each head and relative position."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: Size3) -> None:
        super().__init__()
        self.heads = heads
        rows = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, heads))
        self.register_buffer("relative_position_index", relative_index(window))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, region: Tensor | None = None) -> Tensor:
        """Windows (B, tokens, C); region (B, tokens) where tokens of different regions are kept apart."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self._bias(x.shape[1])
        if region is not None:
            apart = (region[:, :, None] != region[:, None]).to(bias.dtype) * _APART
            bias = bias + apart[:, None]
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + bias
        mixed: Tensor = scores.softmax(-1) @ value
        return self.proj(mixed.transpose(1, 2).flatten(2))

    def _bias(self, tokens: int) -> Tensor:
        """(1, heads, tokens, tokens). A shrunk window takes the top left corner of the full index, whatever its shape:
        the published weights were trained so."""
        index = self.relative_position_index[:tokens, :tokens]
        return self.relative_position_bias_table[index].permute(2, 0, 1).unsqueeze(0)


class MLP(nn.Module):
    """Two layers with GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention and MLP with their norms. drop: chance that a branch is left out for a clip in training."""

    def __init__(self, width: int, heads: int, window: Size3, shifted: bool, drop: float) -> None:
        super().__init__()
        self.window, self.shifted, self.drop = window, shifted, drop
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) to the same."""
        x = x + stochastic_depth(self._attend(x), self.drop, "row", self.training)
        changed = in_groups(lambda rows: self.mlp(self.norm2(rows)), x.reshape(-1, x.shape[-1]), _GROUP)
        return x + stochastic_depth(changed.view_as(x), self.drop, "row", self.training)

    def _attend(self, x: Tensor) -> Tensor:
        """Padding is zeros behind the norm and takes part: its keys and values are the biases."""
        b, *size, _ = x.shape
        window, shift = fitted(size, self.window, self.shifted)
        padded = pad_to_windows(self.norm1(x), window)
        moved = any(shift)
        if moved:
            padded = padded.roll([-step for step in shift], (1, 2, 3))
        shape = padded.shape[:4]
        tokens = cut(padded, window)
        region = None
        if moved:
            region = regions((shape[1], shape[2], shape[3]), window, shift, x.device).repeat(b, 1)
        at_once = max(1, _GROUP // tokens.shape[1])
        back = join(in_groups(self.attn, tokens, at_once, region), window, shape)
        if moved:
            back = back.roll(shift, (1, 2, 3))
        return back[:, : size[0], : size[1], : size[2]]


class PatchMerging(nn.Module):
    """Half the height and width, twice the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) -> (B, T, ceil(H / 2), ceil(W / 2), 2C)."""
        x = F.pad(x, (0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2))
        quarters = [x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(quarters, -1)))


class Stage(nn.Module):
    """The blocks of one stage."""

    def __init__(self, blocks: list[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


class PatchEmbedding(nn.Module):
    """Patches of 4x4 pixels of one frame as tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, width, (1, 4, 4), (1, 4, 4))
        self.norm = nn.LayerNorm(width)

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, T, ceil(H / 4), ceil(W / 4), C)."""
        padded = F.pad(clips, (0, -clips.shape[-1] % 4, 0, -clips.shape[-2] % 4))
        return self.norm(self.proj(padded.transpose(1, 2)).permute(0, 2, 3, 4, 1))


class VideoSwin(nn.Module):
    """The backbone."""

    def __init__(self, config: SgMgConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(config.embed_dim)
        rates = torch.linspace(0, config.stochastic_depth, sum(config.depths), device="cpu").tolist()
        stages = []
        for width, depth, heads in zip(config.stage_channels, config.depths, config.heads, strict=True):
            drops, rates = rates[:depth], rates[depth:]
            stages.append(
                Stage([Block(width, heads, config.window, at % 2 == 1, drop) for at, drop in enumerate(drops)])
            )
        self.layers = nn.ModuleList(stages)
        self.downsamples = nn.ModuleList(PatchMerging(width) for width in config.stage_channels[:3])

    def forward(self, clips: Tensor) -> list[Tensor]:
        """(B, T, 3, H, W) -> four maps (B * T, C_i, h_i, w_i) at strides 4, 8, 16, 32, sizes rounded up."""
        x = self.patch_embed(clips)
        maps = []
        for at, stage in enumerate(self.layers):
            for block in stage.blocks:  # type: ignore[union-attr]
                x = block(x)
            maps.append(x.flatten(0, 1).permute(0, 3, 1, 2))
            if at < len(self.downsamples):
                x = self.downsamples[at](x)
        return maps


def in_groups(work: Callable[..., Tensor], rows: Tensor, at_once: int, *others: Tensor | None) -> Tensor:
    """`work` on groups of rows where no gradient is wanted, on all of them otherwise. Rows do not see each other."""
    if torch.is_grad_enabled() or len(rows) <= at_once:
        return work(rows, *others)
    starts = range(0, len(rows), at_once)
    return torch.cat(
        [work(rows[i : i + at_once], *(o if o is None else o[i : i + at_once] for o in others)) for i in starts]
    )
