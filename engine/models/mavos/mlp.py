"""The two linear layers behind an attention."""

import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """(..., C) -> (..., C) by way of 4 C channels and a GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))
