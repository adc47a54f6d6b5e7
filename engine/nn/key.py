"""From image features to what a feature memory is asked with: key, shrinkage, selection (XMem, section 3.2).

Knows feature maps only; how similar two keys are is engine.memory's business.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Key(NamedTuple):
    """Projections of one frame, flattened over space: key and selection (B, C_k, HW), shrinkage (B, 1, HW)."""

    key: Tensor
    shrinkage: Tensor
    selection: Tensor


class KeyProjection(nn.Module):
    """Key k, shrinkage s = conv² + 1, selection e = sigmoid(conv), all 3x3."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.key_proj = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.d_proj = nn.Conv2d(inputs, 1, 3, padding=1)
        self.e_proj = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.orthogonal_(self.key_proj.weight)
        self.key_proj.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, H, W) -> key (B, C_k, H, W), shrinkage (B, 1, H, W) >= 1, selection (B, C_k, H, W) in (0, 1)."""
        return self.key_proj(x), self.d_proj(x) ** 2 + 1, self.e_proj(x).sigmoid()

    def flat(self, x: Tensor) -> Key:
        """The same, flattened over space."""
        return Key(*(part.flatten(2) for part in self(x)))
