"""The three attentions of a gated propagation layer (DeAOT, Yang and Yang 2022): long-term, self, short-term.

Sequences are (B, L, C) in row-major order of the map. Queries are worked off in blocks where no gradient is wanted, so
that scores of all pairs never exist at once; the short-term attention sees only the rows within its reach.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.mavos.config import KEY_WIDTH, VALUE_WIDTH, WIDTH
from engine.models.mavos.window import REACH, ROWS_AT_ONCE, offsets

Size = tuple[int, int]
BLOCK = 1 << 21
"""Most scores in memory at once, without gradient (8 MB in float32)."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for (..., L, d), (..., M, d), (..., M, D) -> (..., L, D)."""
    q = q / math.sqrt(q.shape[-1])
    keys = k.transpose(-1, -2)
    rows = q.shape[-2] if torch.is_grad_enabled() else max(BLOCK // (k.shape[:-1].numel()), 16)
    parts = [(part @ keys).softmax(-1) @ v for part in q.split(rows, -2)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, -2)


class _DepthWise(nn.Module):
    """Holder of one convolution, so that its name is that of the checkpoints."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class GatedTail(nn.Module):
    """What follows every attention: gate, depth-wise 5x5, projection to both streams."""

    def __init__(self) -> None:
        super().__init__()
        self.dw_conv = _DepthWise(2 * VALUE_WIDTH)
        self.projection = nn.Linear(2 * VALUE_WIDTH, 2 * WIDTH)
        self.dropout = nn.Dropout2d(0.1)

    def gated(self, z: Tensor, gate: Tensor, size: Size) -> Tensor:
        """z, gate (B, L, 1024) -> (B, L, 512)."""
        spread = (z * gate).transpose(1, 2).unflatten(2, size)
        return self.projection(self.dropout(self.dw_conv(spread)).flatten(2).transpose(1, 2))


class LongTermAttention(GatedTail):
    """Every position reads all of the long-term memory. There are no projections of its own."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, gate: Tensor, size: Size) -> Tensor:
        return self.gated(attend(q, k, v), gate, size)


class SelfAttention(GatedTail):
    """The two streams of one frame, side by side, attend to each other; keys are the queries."""

    def __init__(self) -> None:
        super().__init__()
        self.linear_QK = nn.Linear(2 * WIDTH, KEY_WIDTH)
        for name in ("V1", "V2", "U1", "U2"):
            self.add_module(f"linear_{name}", nn.Linear(WIDTH, VALUE_WIDTH))

    def forward(self, s: Tensor, size: Size) -> Tensor:
        """s (B, L, 512), visual stream first -> (B, L, 512)."""
        q = self.linear_QK(s)
        v, u = (self._both(s, kind) for kind in "VU")
        return self.gated(attend(q, q, v), u, size)

    def _both(self, s: Tensor, kind: str) -> Tensor:
        first, second = s.split(WIDTH, -1)
        parts = [self.get_submodule(f"linear_{kind}{at}")(x) for at, x in ((1, first), (2, second))]
        return F.silu(torch.cat(parts, -1))


class ShortTermAttention(GatedTail):
    """Each position reads the previous frame within 15x15 around itself, with a bias for each offset.

    In bands of query rows: their keys lie in the rows within reach, which are contiguous in memory, so a band is two
    dense products without copies. One look-up gives the bias and excludes what is out of reach.
    """

    def __init__(self) -> None:
        super().__init__()
        self.relative_emb_k = nn.Conv2d(KEY_WIDTH, (2 * REACH + 1) ** 2, 1)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, gate: Tensor, size: Size) -> Tensor:
        return self.gated(self.mixed(q, k, v, size), gate, size)

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, size: Size) -> Tensor:
        """The values, averaged by attention: (B, L, D)."""
        height, width = size
        bias = self._bias(q)
        q = q / math.sqrt(q.shape[-1])
        bands = []
        for first in range(0, height, ROWS_AT_ONCE):
            last = min(first + ROWS_AT_ONCE, height)
            top, bottom = max(first - REACH, 0), min(last + REACH, height)
            rows, reach = slice(first * width, last * width), slice(top * width, bottom * width)
            index = offsets(last - first, bottom - top, first - top, width, q.device)
            scores = q[:, rows] @ k[:, reach].transpose(1, 2)
            scores = scores + bias[:, rows].gather(2, index.expand(len(q), -1, -1))
            bands.append(scores.softmax(-1) @ v[:, reach])
        return torch.cat(bands, 1)

    def _bias(self, q: Tensor) -> Tensor:
        """(B, L, 226): the bias of each offset, from queries not yet scaled; minus infinity for none."""
        bias = F.linear(q, self.relative_emb_k.weight.flatten(1), self.relative_emb_k.bias)
        return F.pad(bias, (0, 1), value=-torch.inf)
