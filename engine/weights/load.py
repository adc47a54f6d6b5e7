"""A file of weights, read without running any code in it.

safetensors files and torch's .pth in both forms are told apart by their first bytes, not by their names. Knows
tensors by name; knows nothing of models.
"""

import argparse
import json
import pickle
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine import limits
from engine.errors import CheckpointError, MugvosError

WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "module")
PREFIXES = ("module.", "_orig_mod.")
METADATA_KEY = "mugvos"

_WHOLE = "the file may be cut off or damaged; fetch or copy it again"


def load_state_dict(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, on the CPU, and the file's metadata (empty for .pth).

    Wrappings such as {"state_dict": ...}, {"network": ...} and "module." before every name are taken off.
    Raises CheckpointError for files that are missing, damaged, hold anything but data, or numbers that are not finite.
    """
    path = Path(path)
    if _kind(path) == "safetensors":
        state, metadata = _read_safetensors(path)
    else:
        state, metadata = _unwrapped(_read_torch(path), path), {}
    state = _without_prefixes(state)
    _check_extent(state, path)
    _check_finite(state, path)
    return state, metadata


def model_description(metadata: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """The JSON object under the metadata key "mugvos"; empty if there is none. Raises CheckpointError if damaged."""
    with described(path):
        description = json.loads(metadata.get(METADATA_KEY, "{}"))
    if not isinstance(description, dict):
        raise CheckpointError(f"{path}: the model description inside is no JSON object", _WHOLE)
    return description


@contextmanager
def described(path: str | Path) -> Iterator[None]:
    """Whatever goes wrong with the description in a file of weights, and with a network built by it, is one
    CheckpointError."""
    try:
        yield
    except MugvosError:
        raise
    except Exception as error:  # a network of sizes that make no sense fails anywhere
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: the model description inside is damaged ({reason})", _WHOLE) from error


def _kind(path: Path) -> str:
    """ "safetensors" or "torch", by the first bytes. Raises CheckpointError if it is neither."""
    if not path.exists():
        raise CheckpointError(f"{path}: no such file of weights", "check the path, or see `mugvos models`")
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder", "name the file of weights inside it")
    with path.open("rb") as file:
        head = file.read(9)
    if not head:
        raise CheckpointError(f"{path}: the file is empty", "fetch or copy it again")
    if len(head) == 9 and head[8:] == b"{" and struct.unpack("<Q", head[:8])[0] < limits.WEIGHTS_HEADER:
        return "safetensors"
    if head[:2] == b"PK" or head[:1] == b"\x80":
        return "torch"
    raise CheckpointError(f"{path} is no file of weights", "use a .safetensors file or a torch .pth file")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError, OSError, MemoryError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})", _WHOLE) from error


def _read_torch(path: Path) -> Any:
    _check_unpacked(path)
    # Training scripts keep their options beside the weights; a Namespace is a plain record without code of its own.
    with path.open("rb") as file, warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
        warnings.simplefilter("ignore")
        return _read_open(file, path)


def _read_open(file: BinaryIO, path: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_pickle_fault(path, str(error)), _pickle_hint(str(error))) from error
    except Exception as error:  # an unpickler does what the file says: any error may come out of it
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path}: cannot be read ({first})", _WHOLE) from error


def _pickle_fault(path: Path, message: str) -> str:
    if "Unsupported" in message or "GLOBAL" in message or "global" in message:
        return f"{path}: holds more than tensors, and reading it would run code from the file; refused"
    return f"{path}: is no torch checkpoint, or a damaged one"


def _pickle_hint(message: str) -> str:
    return "save its state_dict alone, or as .safetensors" if "lobal" in message or "GLOBAL" in message else _WHOLE


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    """The innermost dict of tensors. Entries beside tensors (step counts, names) are left out."""
    for _ in range(limits.WRAPPINGS):  # a pickle may hold itself
        if not isinstance(content, Mapping):
            break
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise CheckpointError(f"{path}: holds no named tensors", "use a checkpoint that holds a model's state_dict")
    return tensors


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _check_unpacked(path: Path) -> None:
    """Torch stores its records as they are; one that unpacks to far more than the file is no checkpoint."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return  # torch's old form, or damaged: torch says so
    if size > _most_bytes(path):
        raise CheckpointError(f"{path}: unpacks to {size} bytes, which no checkpoint does", _WHOLE)


def _check_extent(state: dict[str, Tensor], path: Path) -> None:
    """A tensor may say that it repeats one number a billion times; no weights do."""
    for name, tensor in state.items():
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
            raise CheckpointError(f"{path}: {name} is no plain tensor", "save the weights as plain tensors")
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if size > _most_bytes(path):
        raise CheckpointError(f"{path}: its tensors claim {size} bytes, far more than it holds", _WHOLE)


def _most_bytes(path: Path) -> int:
    return limits.WEIGHTS_RATIO * path.stat().st_size + limits.WEIGHTS_BYTES


def _check_finite(state: dict[str, Tensor], path: Path) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"{path}: {name} holds NaN or infinite values",
                "the training that wrote it went wrong; use an earlier one",
            )
