"""A network's parts compiled for the shapes that training gives them. Knows modules; state dicts stay as they are."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def compile_parts(model: nn.Module, backend: str | Callable[..., Any] = "inductor") -> None:
    """Compile what the model's top-level parts compute, in place; the first steps take longer for it."""
    for part in model.children():
        part.compile(backend=backend)
        features: Any = getattr(part, "features", None)
        if callable(features) and not isinstance(features, nn.Module):
            part.__dict__["features"] = torch.compile(features, backend=backend)
