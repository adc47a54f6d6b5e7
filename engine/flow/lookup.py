"""Optical flow by name."""

import torch

from engine.errors import UsageError
from engine.flow.dis import DISFlow
from engine.flow.interface import Flow
from engine.weights.find import find_weights

FLOWS = ("dis", "raft-small", "raft-large")


def make_flow(name: str, device: torch.device | None = None, dtype: torch.dtype = torch.float32) -> Flow:
    """The flow called so. Raises UsageError for other names, CheckpointError where its weights are not here."""
    if name == "dis":
        return DISFlow()
    if name not in FLOWS:
        raise UsageError(f"no optical flow is called {name!r}", f"use one of {', '.join(FLOWS)}")
    from engine.flow.raft import load_raft

    return load_raft(name, find_weights(name), device or torch.device("cpu"), dtype)
