"""DEVA from a file of weights."""

from pathlib import Path

import torch

from engine.models.deva.config import DEVAConfig
from engine.models.deva.network import DEVA
from engine.weights.load import load_state_dict
from engine.weights.recognise import strict_load


def load_deva(path: str | Path) -> DEVA:
    """The network in a file, ready for inference. Raises CheckpointError for files that are damaged or no DEVA."""
    state, _ = load_state_dict(path)
    with torch.device("meta"):
        network = DEVA(DEVAConfig())
    strict_load(network, state, path, "deva")
    return network.eval()
