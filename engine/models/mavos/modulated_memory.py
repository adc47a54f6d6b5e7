"""Modulated cross-attention: two frames of memory become one (Shaker et al. 2025, section 3.2).

One module for each layer and each of keys, values and identities. What is spatial about the old memory modulates what
is read from it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.mavos.attention import Size, attend
from engine.models.mavos.config import KEY_WIDTH, LAYERS, VALUE_WIDTH
from engine.models.mavos.drop_path import drop_path
from engine.models.mavos.gated_propagation import Tokens
from engine.models.mavos.mlp import MLP

HEADS = 4
_SLOTS = (("0", KEY_WIDTH), ("1", VALUE_WIDTH), ("3", VALUE_WIDTH))


class _ModulatedAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.proj = nn.Linear(width, width)
        self.f_context = nn.Linear(width, width + 3)
        self.h = nn.Conv2d(width, width, 1)
        self.focal_layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False))
            for kernel in (3, 5)
        )

    def modulator(self, context: Tensor, size: Size) -> Tensor:
        """Old memory, normalised (B, L, C) -> (B, C, h, w): context of three extents, gated and mixed."""
        planes = self.f_context(context).transpose(1, 2).unflatten(2, size)
        m, gates = planes[:, :-3], planes[:, -3:].split(1, 1)
        near = F.gelu(self.focal_layers[0](m))
        far = F.gelu(self.focal_layers[1](near))
        whole = F.gelu(far.mean((2, 3), keepdim=True))
        return self.h(near * gates[0] + far * gates[1] + whole * gates[2])

    def forward(self, new: Tensor, context: Tensor, size: Size) -> Tensor:
        # The planes' memory is taken for tokens as it lies, channels first. Published weights were trained with that.
        values = self.modulator(context, size).contiguous().view(context.shape)
        q, k, v = (x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in (self.q(new), self.k(context), values))
        return self.proj(attend(q, k, v).transpose(1, 2).flatten(2))


class JointModulation(nn.Module):
    """new, old (B, L, C) -> (B, L, C). What is added to is the new frame as it came, not normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_l, self.norm_c, self.norm2 = (nn.LayerNorm(width) for _ in range(3))
        self.attn = _ModulatedAttention(width)
        self.mlp = MLP(width)

    def forward(self, new: Tensor, old: Tensor, size: Size) -> Tensor:
        y = new + drop_path(self.attn(self.norm_l(new), self.norm_c(old), size), self.training)
        return y + drop_path(self.mlp(self.norm2(y)), self.training)


class _Slot(nn.Module):
    """Holder of one module, so that its name is that of the checkpoints."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.joint_modulation = JointModulation(width)


class ModulatedMemory(nn.ModuleDict):
    """The long-term memory of all layers: a running frame, mixed again and again, and the reference frame behind it."""

    def __init__(self) -> None:
        slots = {str(layer): nn.ModuleDict({name: _Slot(width) for name, width in _SLOTS}) for layer in range(LAYERS)}
        super().__init__(slots)

    def merge(self, new: list[Tokens], old: list[Tokens], size: Size) -> list[Tokens]:
        """Memories of each layer after a frame more; new ones first. `old` holds one frame or two, the result two."""
        return [self._layer(str(layer), *pair, size) for layer, pair in enumerate(zip(new, old, strict=True))]

    def _layer(self, layer: str, new: Tokens, old: Tokens, size: Size) -> Tokens:
        length = new.key.shape[1]
        if old.key.shape[1] > length:
            merged = [
                self.get_submodule(f"{layer}.{name}.joint_modulation")(fresh, past[:, :length], size)
                for (name, _), fresh, past in zip(_SLOTS, new, old, strict=True)
            ]
            new, old = Tokens(*merged), Tokens(*(past[:, length:] for past in old))
        return Tokens(*(torch.cat(pair, 1) for pair in zip(new, old, strict=True)))
