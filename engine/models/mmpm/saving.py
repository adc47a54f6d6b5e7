"""Writing an MMPM's weights in our own form: safetensors that say their configuration and how they were made."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from engine.models.mmpm.config import MMPMConfig
from engine.weights.load import METADATA_KEY


def save_network(path: Path, config: MMPMConfig, state: dict[str, Tensor], training: dict[str, Any]) -> None:
    """Write weights, configuration and how they were made, whole or not at all."""
    described = json.dumps({"model": "mmpm", "config": config.as_dict(), "training": training}, sort_keys=True)
    temporary = path.with_name(path.name + ".part")
    save_file({name: t.contiguous() for name, t in state.items()}, temporary, {METADATA_KEY: described})
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
