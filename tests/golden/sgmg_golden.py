"""The recorded inputs and outputs of the published SgMg, and networks with the weights they were recorded with."""

from dataclasses import replace
from functools import cache, partial
from typing import Any

import golden_files
import numpy as np
import torch
from seeded_weights import seeded_tensor
from torch import Tensor

from engine.models.sgmg.config import CONFIGS, SgMgConfig, TextConfig
from engine.models.sgmg.network import SgMg
from engine.models.sgmg.windows import relative_index

manifest, case = (partial(read, "sgmg") for read in (golden_files.manifest, golden_files.arrays))
TINY_BPE = golden_files.HERE / "sgmg" / "tiny_bpe"
_SMALL_TEXT = TextConfig(vocabulary=1000, layers=2)

CONFIGURATIONS: dict[str, SgMgConfig] = {
    **{name: CONFIGS[name] for name in ("sgmg-t", "sgmg-b")},
    **{f"{name} small text": replace(CONFIGS[name], text=_SMALL_TEXT) for name in ("sgmg-t", "sgmg-b")},
}


def uniform(seed: int, low: float, high: float, *shape: int) -> Tensor:
    """Uniform inputs that are drawn rather than stored."""
    return torch.from_numpy(np.random.RandomState(seed).uniform(low, high, shape).astype(np.float32))


def golden_state(name: str) -> dict[str, Tensor]:
    """Seeded tensors by name; the box heads have two names and the values of the shorter one."""
    known = manifest()[name]
    shapes = {key: torch.Size(shape) for key, shape in known["state_dict"]}
    return {
        key: seeded_tensor(known["aliases"].get(key, key), shape)
        for key, shape in shapes.items()
        if key not in known["int64_entries"] and key not in known["aliases"]
    }


@cache
@torch.inference_mode(False)
def golden_network(name: str = "sgmg-t small text") -> SgMg:
    """A network with seeded weights, built without drawing others; indices of relative positions are computed."""
    config, known = CONFIGURATIONS[name], manifest()[name]
    with torch.device("meta"):
        network = SgMg(config)
    index = relative_index(config.window)
    state = golden_state(name)
    state |= {alias: state[key] for alias, key in known["aliases"].items()}
    state |= dict.fromkeys(known["int64_entries"], index)
    network.load_state_dict(state, assign=True)
    return network.eval()


def close(ours: Any, theirs: np.ndarray, tolerance: float = 1e-5) -> bool:
    """Whether arrays of equal shape differ by no more than `tolerance` of the largest value."""
    plain = np.asarray(ours.detach() if isinstance(ours, Tensor) else ours, dtype=np.float64)
    assert plain.shape == theirs.shape, (plain.shape, theirs.shape)
    scale = max(float(np.abs(theirs).max()), 1e-3)
    worst = float(np.abs(plain - theirs).max()) / scale
    assert worst <= tolerance, f"largest relative difference {worst:.2e}"
    return True
