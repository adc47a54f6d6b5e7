"""A tracker's state as bytes and back: numbers, strings, lists, tuples, dicts and numpy arrays; nothing is pickled.

The structure is JSON, the arrays lie beside it in one NPZ file. Knows no torch: callers turn tensors into arrays.
"""

import io
import json
from typing import Any

import numpy as np

from engine.errors import StoreError

_MARK = "__mugvos__"


def pack(state: dict[str, Any]) -> bytes:
    """The state as the bytes of an NPZ file. Raises StoreError for a value of another type, naming where it is."""
    arrays: dict[str, np.ndarray] = {}
    structure = _plain(state, arrays, "state")
    arrays["structure"] = np.frombuffer(json.dumps(structure).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, Any]:
    """The state of packed bytes, equal to what was given in values and types."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        structure = json.loads(arrays["structure"].tobytes())
        state: dict[str, Any] = _restore(structure, arrays)
    return state


def _plain(value: Any, arrays: dict[str, np.ndarray], where: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        name = f"a{len(arrays)}"
        arrays[name] = np.asarray(value)
        if arrays[name].dtype.hasobject:
            raise StoreError(f"{where}: an array of objects cannot be kept", "use numbers")
        return {_MARK: "array" if isinstance(value, np.ndarray) else "scalar", "name": name}
    if isinstance(value, bytes):
        return {_MARK: "bytes", "hex": value.hex()}
    if isinstance(value, list):
        return [_plain(item, arrays, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, tuple):
        return {_MARK: "tuple", "items": [_plain(item, arrays, f"{where}[{i}]") for i, item in enumerate(value)]}
    if isinstance(value, dict):
        items = [[_plain(k, arrays, where), _plain(v, arrays, f"{where}[{k!r}]")] for k, v in value.items()]
        return {_MARK: "dict", "items": items}
    raise StoreError(f"{where}: a value of type {type(value).__name__} cannot be kept", "turn it into a numpy array")


def _restore(value: Any, arrays: Any) -> Any:
    if isinstance(value, list):
        return [_restore(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value[_MARK]
    if kind == "array":
        return arrays[value["name"]]
    if kind == "scalar":
        return arrays[value["name"]][()]
    if kind == "bytes":
        return bytes.fromhex(value["hex"])
    if kind == "tuple":
        return tuple(_restore(item, arrays) for item in value["items"])
    return {_restore(k, arrays): _restore(v, arrays) for k, v in value["items"]}
