"""MAVOS from a file of weights. Published files tell their variant by the names of their encoder's tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import CheckpointError
from engine.models.mavos.config import CONFIGS, MAVOSConfig
from engine.models.mavos.network import MAVOS
from engine.weights.load import described, load_state_dict, model_description
from engine.weights.recognise import recognise, strict_load

_MEMORY = "long_term_memory_attention."


def load_mavos(path: str | Path, model: str | None = None) -> MAVOS:
    """The network in a file, ready for inference. model: a name of CONFIGS that it has to fit; None takes what it is.

    Raises CheckpointError for files that are damaged, belong to another model, or were written before the memory was
    trained: nothing is ever filled up with random values.
    """
    state, metadata = load_state_dict(path)
    config = _configuration(state, model_description(metadata, path), model, path)
    if not any(name.startswith(_MEMORY) for name in state):
        raise CheckpointError(
            f"{path}: holds no {_MEMORY}*, so its memory was never trained ({recognise(state)})",
            "use a checkpoint of MAVOS trained on videos; one like this can begin a training: mugvos train --init",
        )
    with described(path), torch.device("meta"):
        network = MAVOS(config)
    strict_load(network, state, path, config.name)
    return network.float().eval()


def _configuration(
    state: Mapping[str, Tensor], description: dict[str, Any], model: str | None, path: str | Path
) -> MAVOSConfig:
    if description.get("model") == "mavos":
        with described(path):
            config = MAVOSConfig.from_dict(description.get("config"))
        if model is None or config.name == model:
            return config
    name = model or variant(state)
    if name is None:
        raise CheckpointError(f"{path}: holds no MAVOS, it looks like {recognise(state)}", "choose weights of MAVOS")
    return CONFIGS[name]


def variant(state: Mapping[str, Tensor]) -> str | None:
    """Which network of CONFIGS these tensors belong to, by their encoder."""
    marks = (("encoder.features.", "mavos"), ("encoder.layer3.", "mavos-r50"), ("encoder.patch_embed.", "mavos-swinb"))
    return next((name for mark, name in marks if any(key.startswith(mark) for key in state)), None)
