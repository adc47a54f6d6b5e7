"""CoTracker (Karaev et al., ECCV 2024 and later) as a point tracker, where the user has its code and its weights.

Both are under a non-commercial licence and no part of this package: the code comes from torch.hub's folder, the
weights from a file that is read as tensors alone. Nothing is fetched here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.errors import UsageError
from engine.models.sampt.tracks import Tracks
from engine.types import FloatArray, UInt8Array
from engine.weights.find import find_weights
from engine.weights.load import load_state_dict
from engine.weights.recognise import strict_load


class Version(NamedTuple):
    """branch: of the repository; entry: of its hubconf; window: frames that the network looks at together."""

    branch: str
    entry: str
    window: int


VERSIONS = {
    "cotracker1": Version("v1.0", "cotracker_w8", 8),
    "cotracker2": Version("main", "cotracker2v1", 16),
    "cotracker3": Version("main", "cotracker3_offline", 16),
}

_REPOSITORY = "facebookresearch_co-tracker"
_ADDRESS = "https://github.com/facebookresearch/co-tracker"


class CoTracker:
    """A PointTracker around CoTracker's predictor: (video, queries, backward_tracking) -> (tracks, visible)."""

    def __init__(self, predictor: Any, device: torch.device, window: int) -> None:
        self._predictor, self._device = predictor, device
        self.window, self.stride = window, window // 2

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
    """The tracker of VERSIONS called `name`.

    Raises CheckpointError where its weights are not here or do not fit, UsageError where its code is not.
    """
    weights = find_weights(name)
    version = VERSIONS[name]
    folder = _code(version.branch)
    try:
        predictor = torch.hub.load(str(folder), version.entry, source="local", pretrained=False)
    except Exception as error:  # code that is not ours may fail in any way
        raise UsageError(
            f"{folder}: CoTracker's code cannot be used ({type(error).__name__}: {error})", f"get it again: {_ADDRESS}"
        ) from error
    state, _ = load_state_dict(weights)
    strict_load(predictor.model, state, weights, name)
    return CoTracker(predictor.to(device).eval(), device, version.window)


def _code(branch: str) -> Path:
    """The repository in torch.hub's folder, as torch.hub names it."""
    folder = Path(torch.hub.get_dir()) / f"{_REPOSITORY}_{branch}"
    if not (folder / "hubconf.py").is_file():
        raise UsageError(
            f"CoTracker's code is not in {folder}",
            f"put it there (its licence forbids commercial use): git clone -b {branch} {_ADDRESS} {folder}",
        )
    return folder
