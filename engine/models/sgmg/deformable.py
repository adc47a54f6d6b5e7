"""Multi-scale deformable attention in plain torch: a few places of every level are looked at, weighted and summed.

Deformable DETR, Zhu et al., ICLR 2021, section 4.1. Sampling is `grid_sample`, so any device and any batch will do.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Sizes = list[tuple[int, int]]


class DeformableAttention(nn.Module):
    """Attention of queries to `levels` maps, `points` places each and head."""

    def __init__(self, channels: int, levels: int, heads: int, points: int) -> None:
        super().__init__()
        self.levels, self.heads, self.points = levels, heads, points
        self.sampling_offsets = nn.Linear(channels, heads * levels * points * 2)
        self.attention_weights = nn.Linear(channels, heads * levels * points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)

    def begin(self) -> None:
        """Initial weights: places on a ring around the reference, one direction a head, all equally heavy."""
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        ring = torch.stack([angle.cos(), angle.sin()], -1)
        ring = ring / ring.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1).view(1, 1, -1, 1)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_((ring[:, None, None] * steps).expand(-1, self.levels, -1, -1).flatten())
        for parameter in (self.sampling_offsets.weight, self.attention_weights.weight, self.attention_weights.bias):
            nn.init.zeros_(parameter)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, query: Tensor, references: Tensor, memory: Tensor, sizes: Sizes, padding: Tensor | None
    ) -> Tensor:
        """query (N, Q, C); references (N, Q, levels, 2 or 4) as centres or boxes (cx, cy, w, h) in [0, 1] of the maps;
        memory (N, S, C), the maps of these sizes one behind the other; padding bool (N, S) -> (N, Q, C)."""
        value = self.value_proj(memory)
        if padding is not None:
            value = value.masked_fill(padding.unsqueeze(-1), 0)
        locations, weights = self.places(query, references, sizes)
        mixed = sample(value.unflatten(-1, (self.heads, -1)).float(), sizes, locations.float(), weights.float())
        return self.output_proj(mixed)

    def places(self, query: Tensor, references: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor]:
        """Where to look, (N, Q, heads, levels, points, 2) in [0, 1], and how heavily, without the last axis."""
        shape = (self.heads, self.levels, self.points)
        offsets = self.sampling_offsets(query).unflatten(-1, (*shape, 2))
        weights = self.attention_weights(query).unflatten(-1, (self.heads, -1)).softmax(-1).unflatten(-1, shape[1:])
        centre = references[:, :, None, :, None, :2]
        if references.shape[-1] == 2:
            scale = offsets.new_tensor([(width, height) for height, width in sizes])
            return centre + offsets / scale[None, None, None, :, None], weights
        return centre + offsets / self.points * references[:, :, None, :, None, 2:] * 0.5, weights


def sample(value: Tensor, sizes: Sizes, locations: Tensor, weights: Tensor) -> Tensor:
    """value (N, S, heads, D), locations and weights as from `places` -> (N, Q, heads * D). Outside of a map is 0."""
    n, queries, heads = locations.shape[:3]
    grids = 2 * locations - 1
    total = value.new_zeros(())
    parts = value.split([height * width for height, width in sizes], 1)
    for level, (part, (height, width)) in enumerate(zip(parts, sizes, strict=True)):
        plane = part.permute(0, 2, 3, 1).reshape(n * heads, -1, height, width)
        grid = grids[:, :, :, level].transpose(1, 2).flatten(0, 1)
        seen = F.grid_sample(plane, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        weight = weights[:, :, :, level].transpose(1, 2).flatten(0, 1).unsqueeze(1)
        total = total + (seen * weight).sum(-1)
    return total.view(n, -1, queries).transpose(1, 2)
