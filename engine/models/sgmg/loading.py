"""SgMg from a file of weights: which sizes it has, and what published files hold besides the network.

Our files carry their configuration; published ones are told by the shapes of their tensors.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from engine.errors import CheckpointError
from engine.models.sgmg.config import CONFIGS, SgMgConfig, TextConfig
from engine.models.sgmg.network import SgMg
from engine.models.sgmg.windows import relative_index
from engine.weights.load import described, load_state_dict, model_description
from engine.weights.recognise import recognise, strict_load

_TEXT = "text_encoder.text_backbone."
_LEFT_OVER = ("embeddings.position_ids", "total_ops", "total_params")
_INDEX = ".relative_position_index"
_PATCH = "backbone.0.body.patch_embed.proj.weight"


class Loaded(NamedTuple):
    """A network ready for inference. ours: trained by this program, so not under the publishers' licence."""

    network: SgMg
    ours: bool


def load_sgmg(path: str | Path) -> Loaded:
    """The network in a file. Raises CheckpointError for files that are damaged or belong to another model."""
    state, metadata = load_state_dict(path)
    description = model_description(metadata, path)
    with described(path):
        config = SgMgConfig.from_dict(description["config"]) if "config" in description else config_of(state, path)
        with torch.device("meta"):
            network = SgMg(config)
    strict_load(network, cleaned(state, config, path), path, config.name)
    return Loaded(network.eval(), bool(description))


def config_of(state: Mapping[str, Tensor], path: str | Path) -> SgMgConfig:
    """The published configuration that tensors belong to, with the text encoder's sizes read from them."""
    patch = state.get(_PATCH)
    blocks = _count(state, r"backbone\.0\.body\.layers\.2\.blocks\.(\d+)\.")
    for config in CONFIGS.values():
        if patch is not None and (config.embed_dim, config.depths[2]) == (patch.shape[0], blocks):
            return SgMgConfig(**{**vars(config), "text": _text_config(state, path)})
    raise CheckpointError(
        f"{path}: holds no SgMg, it looks like {recognise(state)}", "choose weights of a model named sgmg-..."
    )


def cleaned(state: Mapping[str, Tensor], config: SgMgConfig, path: str | Path) -> dict[str, Tensor]:
    """Without what profilers and older versions of transformers left behind, and with the index of relative positions
    that this program computes. Raises CheckpointError where a file has another index."""
    index = relative_index(config.window)
    kept = {}
    for name, tensor in state.items():
        if name.endswith(_LEFT_OVER):
            continue
        if name.endswith(_INDEX) and not torch.equal(tensor.long(), index):
            raise CheckpointError(f"{path}: {name} is not that of windows {config.window}", "use other weights")
        kept[name] = index if name.endswith(_INDEX) else tensor
    return kept


def _text_config(state: Mapping[str, Tensor], path: str | Path) -> TextConfig:
    """Heads are 64 wide, as in every RoBERTa."""
    try:
        words = state[f"{_TEXT}embeddings.word_embeddings.weight"]
        places = state[f"{_TEXT}embeddings.position_embeddings.weight"]
        inner = state[f"{_TEXT}encoder.layer.0.intermediate.dense.weight"]
    except KeyError as error:
        raise CheckpointError(f"{path}: its text encoder lacks {error.args[0]}", "use a whole checkpoint") from error
    layers = _count(state, re.escape(_TEXT) + r"encoder\.layer\.(\d+)\.")
    return TextConfig(words.shape[0], words.shape[1], layers, words.shape[1] // 64, inner.shape[0], places.shape[0])


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    found = [int(match[1]) for name in state if (match := re.match(pattern, name))]
    return max(found, default=-1) + 1
