"""Weights written as safetensors: our own after training, and published .pth files once and for all."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from engine.errors import OutputError
from engine.weights.load import METADATA_KEY, load_state_dict, model_description
from engine.weights.recognise import recognise


def save_weights(
    path: str | Path, state: Mapping[str, Tensor], description: Mapping[str, Any] | None = None, overwrite: bool = False
) -> None:
    """Write tensors and, as JSON under the metadata key "mugvos", the description of their model.

    The file appears whole or not at all. Raises OutputError if it exists and `overwrite` is off.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists", "choose another name, or give --overwrite")
    metadata = {} if description is None else {METADATA_KEY: json.dumps(description, sort_keys=True)}
    # safetensors refuses tensors that share memory, as tied weights do: each gets its own.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    _write(path, save(plain, metadata))


def convert_weights(source: str | Path, output: str | Path, overwrite: bool = False) -> str:
    """Rewrite any readable checkpoint as safetensors; metadata is kept. Returns what it looks like.

    Raises OutputError for an output of another name, which would be read as what it is not.
    """
    refuse_other_name(Path(output))
    state, metadata = load_state_dict(source)
    description = model_description(metadata, source) if METADATA_KEY in metadata else None
    save_weights(output, state, description, overwrite)
    return recognise(state)


def refuse_other_name(output: Path) -> None:
    """Raises OutputError for an output that is not called .safetensors."""
    if output.suffix.lower() != ".safetensors":
        raise OutputError(f"{output}: weights are written as safetensors", f"name it {output.stem}.safetensors")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
