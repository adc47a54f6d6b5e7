"""A block of SAM's ViT for inference: nothing computed for padding, attention in products that stay in the cache.

Equal to segment-anything's Block. The decomposed relative position (MViTv2, section 4.1; in SAM q·Rh + q·Rw with the
unscaled q) is added to blocks of scores of some queries at a time, so that no matrix of all positions by all is held.
"""

from typing import Any

import torch
from torch import Tensor, nn

from engine.nn.packed import PackedLinear
from engine.runtime.onednn import product

_QUERIES = 512  # whose scores over all positions are held at a time


class PackedBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), for (B, H, W, C)."""

    def __init__(self, block: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.norm1, self.norm2 = block.norm1, block.norm2
        self.qkv, self.proj = PackedLinear(block.attn.qkv, dtype), PackedLinear(block.attn.proj, dtype)
        self.lin1, self.lin2 = PackedLinear(block.mlp.lin1, dtype), PackedLinear(block.mlp.lin2, dtype)
        self.act = block.mlp.act
        self.heads, self.window = block.attn.num_heads, block.window_size
        self._positions = block.attn.rel_pos_h.detach(), block.attn.rel_pos_w.detach()

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same shape."""
        qkv = self.qkv(self.norm1(x))
        attended = self._in_windows(qkv) if self.window else self._attention(qkv)
        x = x + self.proj(attended)
        return x + self.lin2(self.act(self.lin1(self.norm2(x))))

    def _in_windows(self, qkv: Tensor) -> Tensor:
        """Attention inside windows. Padding attends like any token; it is 0 when normalised, so its qkv is the bias."""
        batch, height, width, channels = qkv.shape
        side = self.window
        rows, columns = -(-height // side), -(-width // side)
        padded = qkv.new_zeros(channels) if self.qkv.bias is None else self.qkv.bias
        padded = padded.expand(batch, rows * side, columns * side, channels).clone()
        padded[:, :height, :width] = qkv
        windows = (
            padded.view(batch, rows, side, columns, side, channels).transpose(2, 3).reshape(-1, side, side, channels)
        )
        attended = self._attention(windows).view(batch, rows, columns, side, side, -1)
        return attended.transpose(2, 3).reshape(batch, rows * side, columns * side, -1)[:, :height, :width]

    def _attention(self, qkv: Tensor) -> Tensor:
        """(B, H, W, 3C) -> (B, H, W, C)."""
        batch, height, width, channels = qkv.shape
        q, k, v = qkv.view(batch, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        down, across = (
            relative(q, table.to(q.dtype), height, width, axis) for axis, table in enumerate(self._positions)
        )
        q = q * q.shape[-1] ** -0.5
        if height * width <= _QUERIES:
            read = _attend_all(
                q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), down.flatten(0, 1), across.flatten(0, 1)
            )
            read = read.unflatten(0, (batch, self.heads))
        else:
            read = torch.empty_like(v)
            for b in range(batch):
                for head in range(self.heads):
                    read[b, head] = _attend(q[b, head], k[b, head], v[b, head], down[b, head], across[b, head])
        return read.transpose(1, 2).reshape(batch, height, width, channels // 3)


def relative(q: Tensor, table: Tensor, height: int, width: int, axis: int) -> Tensor:
    """q . R of every query and every row (axis 0) or column (axis 1): (B, heads, HW, C) -> (B, heads, HW, side).

    table (2 side - 1, C): of differences -(side - 1) .. side - 1.
    """
    side = (height, width)[axis]
    place = torch.arange(side, device=q.device)
    rows = table[place[:, None] - place + side - 1]  # (of the query, of the key, C)
    grid = q.unflatten(2, (height, width))
    return torch.einsum("nmhwc,hkc->nmhwk" if axis == 0 else "nmhwc,wkc->nmhwk", grid, rows).flatten(2, 3)


def _attend(q: Tensor, k: Tensor, v: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """One head: q (Q, C), scaled, k and v (M, C), down (Q, H), across (Q, W) -> (Q, C)."""
    k = k.contiguous()
    parts = []
    for start in range(0, len(q), _QUERIES):
        part = slice(start, start + _QUERIES)
        scores = product(q[part], k)
        _add_positions(scores, down[part], across[part])
        parts.append(product(scores.softmax(1), v.T))
    return torch.cat(parts)


def _attend_all(q: Tensor, k: Tensor, v: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Many small heads at once: a leading axis on everything."""
    scores = q @ k.transpose(1, 2)
    _add_positions(scores, down, across)
    return scores.softmax(2) @ v


def _add_positions(scores: Tensor, down: Tensor, across: Tensor) -> None:
    """Add (..., Q, H) and (..., Q, W) to scores (..., Q, HW), in place."""
    grid = scores.unflatten(-1, (down.shape[-1], across.shape[-1]))
    grid += down.unsqueeze(-1)
    grid += across.unsqueeze(-2)
