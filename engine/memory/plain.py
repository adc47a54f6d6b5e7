"""Tensors as plain arrays and back, for states that are written to disk. Exact for every floating type."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_plain(tensor: Tensor) -> dict[str, Any]:
    """A tensor -> its values and the name of its type. numpy has no bfloat16, so of that its bits are kept."""
    values = tensor.detach().cpu()
    whole = values.contiguous().view(torch.int16) if tensor.dtype == torch.bfloat16 else values.float()
    return {"dtype": str(tensor.dtype).removeprefix("torch."), "values": whole.numpy().copy()}


def from_plain(plain: dict[str, Any], device: torch.device | str) -> Tensor:
    """The inverse of `to_plain`, on `device`."""
    values = torch.from_numpy(np.array(plain["values"]))
    if values.dtype == torch.int16:
        values = values.view(torch.bfloat16)
    return values.to(device=device, dtype=getattr(torch, plain["dtype"]))
