"""MMPM's weights files: ours (safetensors that say their own configuration) and the published layout (section 9)."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.errors import CheckpointError
from engine.models.mmpm.config import CONFIGS, MMPMConfig
from engine.models.mmpm.network import MMPM
from engine.weights.load import METADATA_KEY, load_state_dict, model_description
from engine.weights.recognise import recognise, strict_load

_PATCH = "value_encoder.network.patch_embed.proj.weight"
_WIDTHS = {768: "mmpm-vit-b", 1024: "mmpm-vit-l", 1280: "mmpm-vit-h"}


def save_network(path: Path, config: MMPMConfig, state: dict[str, Tensor], training: dict[str, Any]) -> None:
    """Write weights, configuration and how they were made, whole or not at all."""
    described = json.dumps({"model": "mmpm", "config": config.as_dict(), "training": training}, sort_keys=True)
    temporary = path.with_name(path.name + ".part")
    save_file({name: t.contiguous() for name, t in state.items()}, temporary, {METADATA_KEY: described})
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def load_network(path: Path, expected: MMPMConfig | None = None) -> MMPM:
    """The network of a file, in eval mode on the CPU. CheckpointError if it is no MMPM or not the expected one."""
    state, metadata = load_state_dict(path)
    described = model_description(metadata, path)
    config = _described(described, path) if "config" in described else _published(state, path)
    if expected is not None and config != expected:
        raise CheckpointError(f"{path}: holds {config.name}, not {expected.name}", "use weights of the same model")
    if config.form == "vit":
        state, config = _with_mask_planes(state, config)
    with torch.device("meta"):
        model = MMPM(config)
    model.to_empty(device="cpu")
    strict_load(model, state, path, config.name)
    return model.eval()


def _described(described: dict[str, Any], path: Path) -> MMPMConfig:
    if described.get("model") != "mmpm":
        raise CheckpointError(f"{path}: holds weights of {described.get('model')!r}, not of mmpm")
    return MMPMConfig.from_dict(described["config"])


def _published(state: dict[str, Tensor], path: Path) -> MMPMConfig:
    """The variant of a file of the published layout, read from its shapes."""
    position, patch = state.get("image_encoder.pos_embed"), state.get(_PATCH)
    name = _WIDTHS.get(position.shape[-1]) if position is not None else None
    if name is None or patch is None:
        raise CheckpointError(f"{path}: no weights of MMPM, it looks like {recognise(state)}", "name an MMPM file")
    return CONFIGS[name]


def _with_mask_planes(state: dict[str, Tensor], config: MMPMConfig) -> tuple[dict[str, Tensor], MMPMConfig]:
    """Four input planes (a single-object file) get a fifth of zeros, so that every file serves several objects."""
    weight = state.get(_PATCH)
    if weight is not None and weight.shape[1] == 4:
        state = {**state, _PATCH: torch.cat([weight, torch.zeros_like(weight[:, :1])], 1)}
        config = replace(config, single_object=False)
    return state, config
