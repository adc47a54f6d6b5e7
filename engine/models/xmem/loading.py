"""XMem from a file of weights: its sizes are read from the file, and a single-object file may serve several objects."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from engine.models.xmem.config import FIRST, XMemConfig, configuration
from engine.models.xmem.network import XMem
from engine.weights.load import load_state_dict
from engine.weights.recognise import recognise, strict_load


def load_xmem(path: str | Path, model: str = "xmem", widen: bool = True) -> XMem:
    """The network in a file, ready for inference. model: what to call it.

    widen: a single-object file (four input planes) becomes a network of several objects, whose fifth plane of zeros
    changes nothing as long as nobody trains it. Raises CheckpointError for files that are damaged or no XMem.
    """
    state, _ = load_state_dict(path)
    config = configuration(state, path, model) if recognise(state).startswith("XMem") else XMemConfig(model)
    if widen and config.single_object:
        config, state = replace(config, single_object=False), widened(state)
    with torch.device("meta"):
        network = XMem(config)
    strict_load(network, state, path, config.name)
    return network.eval()


def widened(state: Mapping[str, Tensor], plane: Tensor | None = None) -> dict[str, Tensor]:
    """The weights of a single-object network with a plane for the other objects, zeros unless given (64, 1, 7, 7)."""
    weight = state[FIRST]
    return {**state, FIRST: torch.cat([weight, torch.zeros_like(weight[:, :1]) if plane is None else plane], 1)}
