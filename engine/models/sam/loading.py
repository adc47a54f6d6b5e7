"""SAM from a file of weights: which configuration it is, and the network ready for inference.

Our files carry their configuration; published ones are told by the width of their ViT.
"""

from pathlib import Path
from typing import Any

import torch
from segment_anything.modeling import Sam
from torch import Tensor

from engine.errors import CheckpointError
from engine.models.sam.config import CONFIGS, SAMConfig
from engine.models.sam.network import build_sam
from engine.weights.load import described, load_state_dict, model_description
from engine.weights.recognise import check_fit, recognise, strict_load


def load_sam(path: str | Path, model: str | None = None) -> tuple[Sam, SAMConfig]:
    """The network in a file, in evaluation mode, and its sizes. model: a name of CONFIGS that it has to fit.

    Raises CheckpointError for files that are damaged or belong to another model.
    """
    state, metadata = load_state_dict(path)
    config = _configuration(state, model_description(metadata, path), model, path)
    state = {name: tensor.float() for name, tensor in state.items()}
    with described(path), torch.device("meta"):
        check_fit(build_sam(config), state, path, config.name)
    with torch.random.fork_rng(devices=[]):
        network = build_sam(config)
    strict_load(network, state, path, config.name)
    return network.eval(), config


def _configuration(
    state: dict[str, Tensor], description: dict[str, Any], model: str | None, path: str | Path
) -> SAMConfig:
    if description.get("model") == "sam":
        with described(path):
            config = SAMConfig.from_dict(description.get("config"))
        if model is None or config.name == model:
            return config
    name = model or recognise(state)
    if name not in CONFIGS:
        raise CheckpointError(f"{path}: holds no SAM, it looks like {name}", "choose weights of a model named sam-...")
    return CONFIGS[name]
