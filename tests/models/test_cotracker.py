"""CoTracker where the user has it: its code from torch.hub's folder, its weights read as tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.errors import CheckpointError, UsageError
from engine.models.sampt.cotracker import load_cotracker

HUB = '''
import torch

class Predictor(torch.nn.Module):
    """Moves every point by the learned step a frame, and hides it after four frames."""

    def __init__(self):
        super().__init__()
        self.model = torch.nn.Module()
        self.model.step = torch.nn.Parameter(torch.zeros(2))

    def forward(self, video, queries, backward_tracking=False):
        assert video.shape[1] >= 16 and video.shape[2] == 3
        since = torch.arange(video.shape[1])[None, :, None] - queries[:, None, :, 0]
        assert backward_tracking == bool((queries[..., 0] > 0).any())
        return queries[:, None, :, 1:] + since[..., None] * self.model.step, since.abs() < 4

def cotracker3_offline(*, pretrained=True):
    assert not pretrained
    return Predictor()
'''


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of torch.hub and of weights, empty."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setenv("MUGVOS_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "hub").mkdir()
    (tmp_path / "weights").mkdir()
    return tmp_path


def weights(home: Path, **tensors: torch.Tensor) -> None:
    torch.save(tensors, home / "weights" / "scaled_offline.pth")


def code(home: Path, text: str = HUB) -> None:
    folder = home / "hub" / "facebookresearch_co-tracker_main"
    folder.mkdir()
    (folder / "hubconf.py").write_text(text)


def test_what_is_missing_is_said(home: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cotracker3 is not on this machine: fetch it by hand"):
        load_cotracker("cotracker3", torch.device("cpu"))
    weights(home, step=torch.ones(2))
    with pytest.raises(UsageError, match="git clone"):
        load_cotracker("cotracker3", torch.device("cpu"))


def test_points_through_a_short_clip(home: Path) -> None:
    weights(home, step=torch.tensor([1.0, -2.0]))
    code(home)
    tracker = load_cotracker("cotracker3", torch.device("cpu"))
    frames = [np.zeros((8, 9, 3), np.uint8)] * 6
    found = tracker.track(frames, np.array([[0.0, 5, 6], [2, 5, 6]]))
    assert found.xy.shape == (6, 2, 2)
    assert found.xy[5].tolist() == [[10, -4], [8, 0]]
    assert found.visible[:, 0].tolist() == [True] * 4 + [False] * 2
    assert tracker.track(frames, np.zeros((0, 3))).xy.shape == (6, 0, 2)


def test_weights_of_something_else_and_code_that_fails(home: Path) -> None:
    save_file({"other": torch.ones(2)}, home / "weights" / "scaled_offline.pth")
    code(home)
    with pytest.raises(CheckpointError, match="does not fit cotracker3"):
        load_cotracker("cotracker3", torch.device("cpu"))
    (home / "hub" / "facebookresearch_co-tracker_main" / "hubconf.py").write_text("import no_such_module_anywhere")
    with pytest.raises(UsageError, match="no_such_module_anywhere"):
        load_cotracker("cotracker3", torch.device("cpu"))
