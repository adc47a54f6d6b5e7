"""CoTracker (Karaev et al., ECCV 2024 and later) as a point tracker, where the user has its code and its weights.

Both are under a non-commercial licence and no part of this package: the code comes from torch.hub's folder, the
weights from a file that is read as tensors alone. Nothing is fetched here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.errors import UsageError
from engine.models.sampt.tracks import Tracks
from engine.types import FloatArray, UInt8Array
from engine.weights.find import find_weights
from engine.weights.load import load_state_dict
from engine.weights.recognise import strict_load

ENTRIES = {"cotracker2": "cotracker2v1", "cotracker3": "cotracker3_offline"}
"""Names here, and those of the repository's hub entries."""

_REPOSITORY = "facebookresearch_co-tracker"
_ADDRESS = "https://github.com/facebookresearch/co-tracker"


class CoTracker:
    """A PointTracker around CoTracker's predictor: (video, queries, backward_tracking) -> (tracks, visible)."""

    window, stride = 16, 8

    def __init__(self, predictor: Any, device: torch.device) -> None:
        self._predictor, self._device = predictor, device

    @torch.inference_mode()
    def track(self, frames: Sequence[UInt8Array], queries: FloatArray) -> Tracks:
        """Clips shorter than the network's window are filled up with their last frame."""
        if len(queries) == 0:
            return Tracks(np.zeros((len(frames), 0, 2)), np.zeros((len(frames), 0), np.bool_))
        filled = [*frames, *[frames[-1]] * (self.window - len(frames))]
        video = self._tensor(np.stack(filled)).permute(0, 3, 1, 2)[None]
        asked = self._tensor(queries)[None]
        backwards = bool((queries[:, 0] > 0).any())
        xy, visible = self._predictor(video, queries=asked, backward_tracking=backwards)[:2]
        count = len(frames)
        return Tracks(xy[0, :count].double().cpu().numpy(), visible[0, :count].cpu().numpy() > 0.5)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self._device, torch.float32)


def load_cotracker(name: str, device: torch.device) -> CoTracker:
    """The tracker of ENTRIES called `name`.

    Raises CheckpointError where its weights are not here or do not fit, UsageError where its code is not.
    """
    weights = find_weights(name)
    folder = _code()
    try:
        predictor = torch.hub.load(str(folder), ENTRIES[name], source="local", pretrained=False)
    except Exception as error:  # code that is not ours may fail in any way
        raise UsageError(
            f"{folder}: CoTracker's code cannot be used ({type(error).__name__}: {error})", f"get it again: {_ADDRESS}"
        ) from error
    state, _ = load_state_dict(weights)
    strict_load(predictor.model, state, weights, name)
    return CoTracker(predictor.to(device).eval(), device)


def _code() -> Path:
    """The repository in torch.hub's folder, of any branch."""
    hub = Path(torch.hub.get_dir())
    found = sorted(folder for folder in hub.glob(f"{_REPOSITORY}*") if (folder / "hubconf.py").is_file())
    if not found:
        raise UsageError(
            f"CoTracker's code is not in {hub}",
            f"put it there (its licence forbids commercial use): git clone {_ADDRESS} {hub / _REPOSITORY}_main",
        )
    return found[0]
