"""Reads the reference scores of tests/golden/evaluate. Knows the layout of those files only."""

import json
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden" / "evaluate"


def bits(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bool masks of the given shape from their packed bits."""
    return np.unpackbits(packed)[: int(np.prod(shape))].reshape(shape).astype(bool)


def masks(case: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """The arrays of a case and its masks, predicted and true, bool (tracks, frames, H, W)."""
    z = np.load(GOLDEN / f"{case}.npz")
    shape = tuple(z["shape"])
    return z, bits(z["pred"], shape), bits(z["gt"], shape)


def document(case: str) -> Any:
    return json.loads((GOLDEN / f"{case}.json").read_text())
