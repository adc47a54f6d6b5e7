"""MMPM from a file of weights: which configuration it is, and the one tensor that may need another shape.

Our files carry their configuration; published ones (docs/mmpm.md) are told by the width of their ViT.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import CheckpointError
from engine.models.mmpm.config import CONFIGS, MMPMConfig
from engine.models.mmpm.network import MMPM
from engine.weights.load import described, load_state_dict, model_description
from engine.weights.recognise import recognise, strict_load

PATCH = "value_encoder.network.patch_embed.proj.weight"


def load_mmpm(path: str | Path, model: str | None = None) -> MMPM:
    """The network in a file, ready for inference. model: a name of CONFIGS that it has to fit; None takes what it is.

    Raises CheckpointError for files that are damaged or belong to another model.
    """
    config, state = read_mmpm(path, model)
    with described(path), torch.device("meta"):
        network = MMPM(config)
    strict_load(network, with_others_plane(state, config), path, config.name)
    return network.eval()


def read_mmpm(path: str | Path, model: str | None = None) -> tuple[MMPMConfig, dict[str, Tensor]]:
    """What a file of weights holds, before any network is built; arguments and errors as for `load_mmpm`."""
    state, metadata = load_state_dict(path)
    return _configuration(state, model_description(metadata, path), model, path), state


def with_others_plane(
    state: Mapping[str, Tensor], config: MMPMConfig, plane: Tensor | None = None
) -> dict[str, Tensor]:
    """Where a multi-object network meets weights of a single-object one: a fifth input plane, of zeros unless given.

    The plane holds the other objects, so zeros leave the result as it was; training begins with one drawn at random.
    """
    weight = state.get(PATCH)
    if config.single_object or weight is None or weight.shape[1] != 4:
        return dict(state)
    return {**state, PATCH: torch.cat([weight, torch.zeros_like(weight[:, :1]) if plane is None else plane], 1)}


def _configuration(
    state: Mapping[str, Tensor], description: dict[str, Any], model: str | None, path: str | Path
) -> MMPMConfig:
    if description:
        with described(path):
            config = MMPMConfig.from_dict(description.get("config", description))
        if model is None or config.name == model:
            return config
    name = model or recognise(state).removesuffix(" single")
    if name not in CONFIGS:
        raise CheckpointError(
            f"{path}: holds no MMPM, it looks like {name}", "choose weights of a model named mmpm-..."
        )
    return CONFIGS[name]
