"""Optical flow by name, with its weights."""

import torch

from engine.errors import UsageError
from engine.flow.dis import DISFlow
from engine.flow.interface import Flow
from engine.weights.find import find_weights
from engine.weights.load import load_state_dict
from engine.weights.recognise import strict_load

FLOWS = ("dis", "raft-small", "raft-large")


def make_flow(name: str, device: torch.device | None = None, dtype: torch.dtype = torch.float32) -> Flow:
    """The flow called so. Raises UsageError for other names, CheckpointError where weights are missing or misfit."""
    if name not in FLOWS:
        raise UsageError(f"no optical flow is called {name!r}", f"use one of {', '.join(FLOWS)}")
    if name == "dis":
        return DISFlow()
    from engine.flow.raft import NETWORKS, RAFTFlow  # torchvision takes its time

    path = find_weights(name)
    state, _ = load_state_dict(path)
    network = NETWORKS[name](weights=None, progress=False)
    strict_load(network, state, path, name)
    return RAFTFlow(network.to(device or torch.device("cpu")), dtype)
