"""What every system's recordings have in common: a folder beside this file with cases, a manifest, drawn inputs."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

HERE = Path(__file__).parent


def arrays(system: str, name: str) -> dict[str, np.ndarray]:
    """The arrays of one case."""
    with np.load(HERE / system / f"case_{name}.npz") as stored:
        return dict(stored)


@cache
def manifest(system: str) -> dict[str, Any]:
    """Names and shapes of every tensor of every configuration, and what else was noted."""
    with gzip.open(HERE / system / "manifest.json.gz", "rt") as file:
        return json.load(file)


def normal(seed: int, *shape: int) -> Tensor:
    """Normal inputs that are drawn rather than stored."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def largest(ours: Any, theirs: np.ndarray) -> float:
    """Largest absolute difference; also asserts equal shapes."""
    plain = np.asarray(ours.detach() if isinstance(ours, Tensor) else ours)
    assert plain.shape == theirs.shape, (plain.shape, theirs.shape)
    return float(np.abs(plain.astype(np.float64) - theirs).max())
