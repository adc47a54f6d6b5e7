"""A block of SAM's ViT for inference on a card: fused attention, with the relative position inside its products.

Equal to segment-anything's Block. Its decomposed relative position (MViTv2, section 4.1; in SAM q·Rh + q·Rw with the
unscaled q) becomes part of the dot product: queries carry q·Rh of every row and q·Rw of every column behind them, keys
a one for their own row and column. So torch's fused attention serves, and no matrix of all positions by all is held.
Nothing is made on the processor meanwhile, which a CUDA graph could not record.
"""

from typing import Any

import torch
import torch.nn.functional as F
from segment_anything.modeling.image_encoder import window_partition, window_unpartition
from torch import Tensor, nn

from engine.nn.packed_vit import relative

_ALIGNED = 8  # channels: what fused kernels take in 16 bits


class FusedBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), for (B, H, W, C); the modules are those of a Block."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.norm1, self.norm2, self.mlp = block.norm1, block.norm2, block.mlp
        self.qkv, self.proj = block.attn.qkv, block.attn.proj
        self.rel_pos_h, self.rel_pos_w = block.attn.rel_pos_h, block.attn.rel_pos_w
        self.heads, self.window = block.attn.num_heads, block.window_size

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        normed = self.norm1(x)
        if self.window:
            windows, padded = window_partition(normed, self.window)
            attended = window_unpartition(self._attention(windows), self.window, padded, (x.shape[1], x.shape[2]))
        else:
            attended = self._attention(normed)
        x = x + attended
        return x + self.mlp(self.norm2(x))

    def _attention(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        batch, height, width, channels = x.shape
        q, k, v = self.qkv(x).view(batch, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        down, across = (
            relative(q, table.to(q.dtype), height, width, axis)
            for axis, table in enumerate((self.rel_pos_h, self.rel_pos_w))
        )
        ones = _places(height, width, k).expand(batch, self.heads, -1, -1)
        asked = torch.cat([q * q.shape[-1] ** -0.5, down.to(q.dtype), across.to(q.dtype)], 3)
        known = torch.cat([k, ones], 3)
        more = -asked.shape[3] % _ALIGNED
        read = F.scaled_dot_product_attention(F.pad(asked, (0, more)), F.pad(known, (0, more)), v, scale=1.0)
        return self.proj(read.transpose(1, 2).reshape(batch, height, width, channels))


def _places(height: int, width: int, like: Tensor) -> Tensor:
    """(HW, H + W): a one where a position's row is, and one where its column is."""
    rows = torch.eye(height, dtype=like.dtype, device=like.device).repeat_interleave(width, 0)
    columns = torch.eye(width, dtype=like.dtype, device=like.device).repeat(height, 1)
    return torch.cat([rows, columns], 1)
