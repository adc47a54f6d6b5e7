"""Three layers of gated propagation with a visual and an identity stream (DeAOT, Yang and Yang 2022).

Knows sequences (B, L, C) and what a layer remembers. Knows nothing of when something is remembered. Position
embeddings do not exist in this kind of layer.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.mavos.attention import LongTermAttention, SelfAttention, ShortTermAttention, Size
from engine.models.mavos.config import KEY_WIDTH, LAYERS, VALUE_WIDTH, WIDTH
from engine.models.mavos.drop_path import drop_path


class Tokens(NamedTuple):
    """What a layer remembers of frames: key (B, M, 128), value (B, M, 512), identity (B, M, 512)."""

    key: Tensor
    value: Tensor
    identity: Tensor


class Seen(NamedTuple):
    """A layer's own view of one frame before its labels are known. carrier (B, L, 256): None in the first layer."""

    key: Tensor
    value: Tensor
    carrier: Tensor | None


class Propagated(NamedTuple):
    """output (B, L, 512), both streams of the last layer, normalised; and each layer's view of the frame."""

    output: Tensor
    seen: list[Seen]


class GatedPropagationLayer(nn.Module):
    """One layer; the first has no identity stream to start from."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.first = first
        self.norm1 = nn.LayerNorm(WIDTH)
        self.linear_QV = nn.Linear(WIDTH, KEY_WIDTH + VALUE_WIDTH)
        self.linear_U = nn.Linear(WIDTH, VALUE_WIDTH)
        if not first:
            self.id_norm1 = nn.LayerNorm(WIDTH)
            self.linear_ID_U = nn.Linear(WIDTH, VALUE_WIDTH)
        self.linear_ID_V = nn.Linear(WIDTH if first else 2 * WIDTH, VALUE_WIDTH)
        self.long_term_attn = LongTermAttention()
        self.short_term_attn = ShortTermAttention()
        self.norm2, self.id_norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.self_attn = SelfAttention()

    def identified(self, seen: Seen, identity: Tensor) -> Tokens:
        """A view with the labels of its frame, as their identity embedding (B, L, 256): what can be remembered."""
        both = identity if seen.carrier is None else torch.cat([seen.carrier, identity], -1)
        return Tokens(seen.key, seen.value, F.silu(self.linear_ID_V(both)))

    def look(self, x: Tensor, y: Tensor) -> tuple[Seen, Tensor]:
        """The view of a frame's streams (B, L, 256) each, and the gate (B, L, 1024)."""
        n = self.norm1(x)
        q, v = self.linear_QV(n).split((KEY_WIDTH, VALUE_WIDTH), -1)
        u = F.silu(self.linear_U(n))
        carrier = None if self.first else self.id_norm1(y)
        open_ = torch.ones_like(u) if carrier is None else F.silu(self.linear_ID_U(carrier))
        return Seen(q, F.silu(v), carrier), torch.cat([u, open_], -1)

    def read(
        self, x: Tensor, y: Tensor, q: Tensor, gate: Tensor, memories: tuple[Tokens, Tokens], size: Size
    ) -> tuple[Tensor, Tensor]:
        """Both streams after reading long-term and short-term memory and after self-attention."""
        long, short = memories
        a = self.long_term_attn(q, long.key, torch.cat([long.value, long.identity], -1), gate, size)
        a = a + self.short_term_attn(q, short.key, torch.cat([short.value, short.identity], -1), gate, size)
        x, y = x + a[..., :WIDTH], y + a[..., WIDTH:]
        b = self.self_attn(torch.cat([self.norm2(x), self.id_norm2(y)], -1), size)
        return x + drop_path(b[..., :WIDTH], self.training), y + drop_path(b[..., WIDTH:], self.training)


class _StreamNorm(nn.Module):
    """Each stream normalised over all its channels and tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.gn = nn.GroupNorm(2, 2 * WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.gn(x.transpose(1, 2)).transpose(1, 2)


class GatedPropagation(nn.Module):
    """All layers. Only the last one's output is used."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(GatedPropagationLayer(first=not at) for at in range(LAYERS))
        self.decoder_norms = nn.ModuleList([_StreamNorm()])

    def forward(
        self,
        x: Tensor,
        size: Size,
        memories: list[tuple[Tokens, Tokens]] | None = None,
        identity: Tensor | None = None,
    ) -> Propagated:
        """x (B, L, 256): projected features. memories: long-term and short-term, of each layer; without them the frame
        is matched with itself, labelled by `identity` (B, L, 256)."""
        y, seen = torch.zeros_like(x), []
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, GatedPropagationLayer)
            own, gate = layer.look(x, y)
            seen.append(own)
            if memories is None:
                assert identity is not None
                itself = layer.identified(own, identity)
                x, y = layer.read(x, y, own.key, gate, (itself, itself), size)
            else:
                x, y = layer.read(x, y, own.key, gate, memories[number], size)
        return Propagated(self.decoder_norms[0](torch.cat([x, y], -1)), seen)

    def identified(self, seen: list[Seen], identity: Tensor) -> list[Tokens]:
        """What each layer may remember of a frame whose labels are known."""
        pairs = zip(self.layers, seen, strict=True)
        return [layer.identified(own, identity) for layer, own in pairs]  # type: ignore[operator]
