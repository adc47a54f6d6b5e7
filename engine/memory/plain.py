"""Tensors as plain arrays and back, for states that are written to disk. Exact for every floating type."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_plain(tensor: Tensor) -> dict[str, Any]:
    """A tensor -> its values as float32 (which holds 16-bit types exactly) and the name of its type."""
    return {"dtype": str(tensor.dtype).removeprefix("torch."), "values": tensor.detach().float().cpu().numpy().copy()}


def from_plain(plain: dict[str, Any], device: torch.device | str) -> Tensor:
    """The inverse of `to_plain`, on `device`."""
    values = torch.from_numpy(np.array(plain["values"], dtype=np.float32))
    return values.to(device=device, dtype=getattr(torch, plain["dtype"]))
