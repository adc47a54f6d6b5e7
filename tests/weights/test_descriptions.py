"""Weights that say something of their network that makes no sense: one line, before anything is allocated by it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engine import limits
from engine.errors import CheckpointError
from engine.models.mavos.config import CONFIGS as MAVOS
from engine.models.mavos.config import MAVOSConfig
from engine.models.mavos.loading import load_mavos
from engine.models.mmpm.config import CONFIGS as MMPM
from engine.models.mmpm.config import MMPMConfig
from engine.models.mmpm.loading import load_mmpm
from engine.models.sam.config import CONFIGS as SAM
from engine.models.sam.config import SAMConfig
from engine.models.sam.loading import load_sam
from engine.models.sgmg.config import CONFIGS as SGMG
from engine.models.sgmg.config import SgMgConfig
from engine.models.sgmg.loading import load_sgmg

VIT = {"embed_dim": 768, "depth": 12, "num_heads": 0, "global_attn_indexes": [2], "window_size": 14}


def described(path: Path, text: str) -> Path:
    save_file({"a": torch.zeros(2)}, path, {"mugvos": text})
    return path


@pytest.mark.parametrize(
    "kind, configs", [(MMPMConfig, MMPM), (SAMConfig, SAM), (SgMgConfig, SGMG), (MAVOSConfig, MAVOS)]
)
def test_descriptions_survive_json(kind: Any, configs: dict[str, Any]) -> None:
    for config in configs.values():
        assert kind.from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize(
    "load, model, config, said",
    [
        (load_sam, "sam", {"name": "x", "depth": 10**9}, "depth"),
        (load_sam, "sam", {"name": "x", "depth": limits.LAYERS + 1}, "depth"),
        (load_sam, "sam", {"name": "x", "embed_dim": limits.NETWORK_WIDTH, "mlp_dim": 65536}, "does not fit x"),
        (load_sam, "sam", {"name": "x", "image_side": 10**6}, "image_side"),
        (load_sam, "sam", {"name": "x", "num_heads": 0}, "num_heads"),
        (load_sam, "sam", {"name": "x", "form": "conv", "widths": []}, "damaged"),
        (load_sam, "sam", {"name": ["x"]}, "name"),
        (load_sam, "sam", {"name": "x", "stability": 10**400}, "stability"),
        (load_sam, "sam", {"name": "x", "fine": True}, "fine"),
        (load_sam, "sam", {"name": "x", "a": 1}, "has no 'a'"),
        (load_sam, "sam", [], "no object"),
        (load_sam, "sam", {}, "name"),
        (load_mmpm, "mmpm", {"name": "x", "form": "conv", "conv": {"widths": [1] * 65}}, "widths"),
        (load_mmpm, "mmpm", {"name": "x", "form": "conv", "conv": {"widths": [8, 8]}}, "damaged"),
        (load_mmpm, "mmpm", {"name": "x", "form": "vit", "image_encoder": VIT}, "num_heads"),
        (load_mmpm, "mmpm", {"name": "x", "form": "vit", "image_encoder": 3}, "ViTConfig"),
        (load_mmpm, "mmpm", {"name": "x", "form": "conv", "feature_dim": 65536, "value_dim": 65536}, "does not fit"),
        (load_mavos, "mavos", {}, "damaged"),
        (load_mavos, "mavos", {"name": "mavos", "encoder": "x", "channels": [1, 2, 3, 4]}, "encoder"),
        (load_mavos, "mavos", {"name": "mavos", "encoder": "swin-b", "channels": [1, 2, 3]}, "channels"),
        (
            load_sgmg,
            "sgmg",
            {"name": "x", "embed_dim": 8, "depths": [1] * 4, "heads": [1] * 4, "window": [99] * 3},
            "window",
        ),
        (load_sgmg, "sgmg", None, "no object"),
    ],
)
def test_networks_that_make_no_sense(
    tmp_path: Path, load: Callable[..., Any], model: str, config: Any, said: str
) -> None:
    path = described(tmp_path / "w.safetensors", json.dumps({"model": model, "config": config}))
    with pytest.raises(CheckpointError, match=said) as refused:
        load(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, '{"a": ' + "1" * 5000 + "}", "\ufeff{}"])
def test_descriptions_that_are_no_json(tmp_path: Path, text: str) -> None:
    with pytest.raises(CheckpointError, match="description inside"):
        load_sam(described(tmp_path / "w.safetensors", text))
