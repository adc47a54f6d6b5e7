"""Reading weights: every wrapping, every kind of damage, and no code from the file."""

import argparse
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import CheckpointError
from engine.weights import load_state_dict, model_description

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.count": torch.tensor(3)}


def _same(state) -> bool:
    return state.keys() == STATE.keys() and all(torch.equal(state[k], STATE[k]) for k in STATE)


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE},
        {"model": STATE, "optimizer": {"lr": 0.1}},
        {"it": 7, "network": STATE, "optimizer": {}, "scheduler": {}},
        {"state_dict": {"model": STATE}},
        {f"module.{k}": v for k, v in STATE.items()},
        {f"module._orig_mod.{k}": v for k, v in STATE.items()},
        {**STATE, "epoch": 3},
        {"model": STATE, "epoch": 5, "args": argparse.Namespace(lr=1e-4, dataset="ytvos")},
    ],
)
@pytest.mark.parametrize("old_form", [False, True])
def test_wrappings_are_taken_off(tmp_path, content, old_form):
    path = tmp_path / "w.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not old_form)
    state, metadata = load_state_dict(path)
    assert _same(state)
    assert metadata == {}


def test_safetensors_with_description(tmp_path):
    path = tmp_path / "any.name"
    save_file(STATE, path, {"mugvos": '{"name": "x"}', "format": "pt"})
    state, metadata = load_state_dict(path)
    assert _same(state)
    assert model_description(metadata, path) == {"name": "x"}
    assert model_description({}, path) == {}


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_damaged_description(text):
    with pytest.raises(CheckpointError, match="description"):
        model_description({"mugvos": text}, "w.safetensors")


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("form", ["zip", "old", "plain"])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, form):
    path, mark = tmp_path / "w.pth", tmp_path / "ran"
    content = {"a": torch.zeros(2), "b": _Evil(mark)}
    if form == "plain":
        path.write_bytes(pickle.dumps({"b": _Evil(mark)}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        load_state_dict(path)
    assert not mark.exists()


def test_the_refusal_says_why(tmp_path):
    torch.save({"b": _Evil(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="would run code"):
        load_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_named(tmp_path, bad):
    torch.save({**STATE, "b.bias": torch.tensor([0.0, bad])}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"b\.bias holds NaN"):
        load_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("kind", ["pth", "old.pth", "safetensors"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9, 0.99])
def test_cut_off(tmp_path, kind, kept):
    path = tmp_path / f"w.{kind}"
    big = {"a": torch.rand(50, 50), "b": torch.rand(50)}
    if kind == "safetensors":
        save_file(big, path)
    else:
        torch.save(big, path, _use_new_zipfile_serialization=kind == "pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(CheckpointError, match=r"w\."):
        load_state_dict(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"hello world, no weights", "no file of weights"), (b"PK\x03\x04zip", "w")],
)
def test_not_a_checkpoint(tmp_path, content, message):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_state_dict(path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(2), {}])
def test_no_named_tensors(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="no named tensors"):
        load_state_dict(tmp_path / "w.pth")


def test_missing_or_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_state_dict(tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="folder"):
        load_state_dict(tmp_path)


def test_messages_are_one_line(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"PK\x03\x04 broken \n\n")
    with pytest.raises(CheckpointError) as caught:
        load_state_dict(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)
