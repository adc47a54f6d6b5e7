"""Writing safetensors: exact, described, whole or not at all."""

import pytest
import torch

from engine.errors import OutputError
from engine.weights import convert as convert_module
from engine.weights import convert_weights, load_state_dict, model_description, save_weights


def test_round_trip_with_description(tmp_path):
    shared = torch.rand(3, 4)
    state = {"a": shared, "tied": shared, "t": shared.t(), "half": shared.half(), "n": torch.tensor(5)}
    save_weights(tmp_path / "new" / "w.safetensors", state, {"name": "x", "sizes": [1, 2]})
    back, metadata = load_state_dict(tmp_path / "new" / "w.safetensors")
    assert back.keys() == state.keys()
    assert all(torch.equal(back[k], state[k]) and back[k].dtype == state[k].dtype for k in state)
    assert model_description(metadata, "w") == {"name": "x", "sizes": [1, 2]}


def test_convert_keeps_description(tmp_path):
    save_weights(tmp_path / "a.safetensors", {"x": torch.ones(2)}, {"name": "x"})
    assert convert_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors") == "unknown"
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_convert_from_torch(tmp_path):
    torch.save({"state_dict": {"module.x": torch.ones(2)}}, tmp_path / "a.pth")
    convert_weights(tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert torch.equal(load_state_dict(tmp_path / "b.safetensors")[0]["x"], torch.ones(2))


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"):
        save_weights(path, {"x": torch.ones(2)})
    assert path.read_bytes() == b"precious"
    save_weights(path, {"x": torch.ones(2)}, overwrite=True)
    assert load_state_dict(path)[0].keys() == {"x"}


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "w.safetensors"
    path.write_bytes(b"precious")
    monkeypatch.setattr(convert_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_weights(path, {"x": torch.ones(2)}, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]
    assert path.read_bytes() == b"precious"
