"""RAFT against torchvision's own use of its network, frames of other sizes, and flow by name."""

import numpy as np
import pytest
import torch
from torchvision.models.optical_flow import raft_small
from torchvision.transforms._presets import OpticalFlow

from engine.errors import CheckpointError, UsageError
from engine.flow.dis import DISFlow
from engine.flow.raft import RAFTFlow
from engine.models.flow import FLOWS, make_flow


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return raft_small(weights=None).eval()


def test_flow_is_that_of_torchvision(network: torch.nn.Module) -> None:
    first, second = noise(128, 136), noise(128, 136, 1)
    planes = [torch.from_numpy(image).permute(2, 0, 1)[None] for image in (first, second)]
    with torch.inference_mode():
        expected = network(*OpticalFlow()(*planes))[-1][0].numpy()
    ours = RAFTFlow(network)(first, second)
    assert ours.shape == (2, 128, 136) and ours.dtype == np.float32
    assert np.allclose(ours, expected, atol=1e-3)


def test_both_directions(network: torch.nn.Module) -> None:
    flow, first, second = RAFTFlow(network), noise(128, 128), noise(128, 128, 1)
    there, back = flow.both(first, second)
    assert np.allclose(there, flow(first, second), atol=1e-3)
    assert np.allclose(back, flow(second, first), atol=1e-3)


def test_any_size_of_frame(network: torch.nn.Module) -> None:
    flow = RAFTFlow(network)
    assert flow(noise(61, 131), noise(61, 131, 1)).shape == (2, 61, 131)
    filled = np.pad(noise(121, 130), [(0, 7), (0, 6), (0, 0)], mode="edge")
    assert np.allclose(flow(noise(121, 130), noise(121, 130)), flow(filled, filled)[:, :121, :130], atol=1e-3)


def test_weights_from_a_file(network: torch.nn.Module, tmp_path, monkeypatch) -> None:
    torch.save(network.state_dict(), tmp_path / "raft_small_C_T_V2-01064c6d.pth")
    monkeypatch.setenv("MUGVOS_WEIGHTS", str(tmp_path))
    first, second = noise(128, 128), noise(128, 128, 1)
    assert np.array_equal(make_flow("raft-small")(first, second), RAFTFlow(network)(first, second))
    with pytest.raises(CheckpointError, match="mugvos models fetch raft-large"):
        make_flow("raft-large")
    (tmp_path / "raft_small_C_T_V2-01064c6d.pth").rename(tmp_path / "raft_large_C_T_SKHT_V2-ff5fadd5.pth")
    with pytest.raises(CheckpointError, match="does not fit raft-large"):
        make_flow("raft-large")


def test_names() -> None:
    assert FLOWS == ("dis", "raft-small", "raft-large")
    assert isinstance(make_flow("dis"), DISFlow)
    with pytest.raises(UsageError, match="use one of dis, raft-small, raft-large"):
        make_flow("farneback")


def test_dis_takes_small_frames_and_both_directions() -> None:
    first, second = noise(9, 40), noise(9, 40, 1)
    there, back = DISFlow().both(first, second)
    assert there.shape == back.shape == (2, 9, 40)
    assert np.array_equal(there, DISFlow()(first, second)) and np.array_equal(back, DISFlow()(second, first))
