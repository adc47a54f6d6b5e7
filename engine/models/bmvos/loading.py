"""BMVOS from a file of weights."""

from pathlib import Path

import torch

from engine.models.bmvos.network import BMVOS
from engine.weights.load import load_state_dict
from engine.weights.recognise import strict_load

MODEL = "bmvos"


def load_bmvos(path: str | Path) -> BMVOS:
    """The network in a file, ready for inference. Raises CheckpointError for files that are damaged or unfit."""
    state, _ = load_state_dict(path)
    with torch.device("meta"):
        network = BMVOS()
    strict_load(network, state, path, MODEL)
    return network.float().eval()
