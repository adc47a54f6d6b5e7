"""Trackers by name, and MMPM weights of every form."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmpm_golden import golden_network
from safetensors.torch import save_file
from torch import Tensor

from engine.errors import CheckpointError, UsageError
from engine.models.mmpm.config import CONFIGS, MMPMConfig
from engine.models.mmpm.loading import load_mmpm, with_others_plane
from engine.models.mmpm.network import MMPM
from engine.propagation.factory import make_tracker
from engine.propagation.mmpm import MMPMTracker
from engine.propagation.options import MMPMOptions
from engine.propagation.xmem import XMemTracker


def write(path: Path, network: MMPM, config: MMPMConfig | None) -> Path:
    """A file of ours, with its configuration unless None."""
    metadata = {"mugvos": json.dumps(config.as_dict())} if config else None
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path, metadata)
    return path


def test_random_weights_are_asked_for_and_announced() -> None:
    made = make_tracker("mmpm-tiny", random_weights=True)
    assert made.random_weights
    assert made.weights is None
    assert isinstance(made.tracker, MMPMTracker)
    again = make_tracker("mmpm-tiny", random_weights=True, options=MMPMOptions(memory="long-term"))
    assert isinstance(again.tracker, XMemTracker)
    ours, theirs = (m.tracker.frames.network.key_proj.key_proj.weight for m in (made, again))
    assert torch.equal(ours, theirs)


def test_a_missing_file_is_no_reason_for_random_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        make_tracker(str(tmp_path / "none.pth"))


def test_unknown_models_are_named() -> None:
    with pytest.raises(UsageError, match="did you mean mmpm-tiny"):
        make_tracker("mmpm-tini")
    with pytest.raises(UsageError, match=r"use one of mmpm-vit-b.*dis"):
        make_tracker("xyz")


def test_the_configuration_travels_with_the_weights(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIGS["mmpm-tiny"], image_side=96, top_k=7)
    network = MMPM(config).eval()
    loaded = load_mmpm(write(tmp_path / "w.safetensors", network, config))
    assert loaded.config == config
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])
    made = make_tracker(str(tmp_path / "w.safetensors"))
    assert not made.random_weights
    assert made.tracker.frames.config.top_k == 7


def test_light_weights_without_configuration_are_recognised(tmp_path: Path) -> None:
    network = MMPM(CONFIGS["mmpm-tiny"])
    assert load_mmpm(write(tmp_path / "w.safetensors", network, None)).config.name == "mmpm-tiny"


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "w.safetensors", MMPM(CONFIGS["mmpm-tiny"]), CONFIGS["mmpm-tiny"])
    with pytest.raises(CheckpointError, match=r"w\.safetensors.*mmpm-vit-b"):
        load_mmpm(path, "mmpm-vit-b")
    torch.save(
        {"fnet.a": torch.zeros(1), "cnet.a": torch.zeros(1), "update_block.a": torch.zeros(1)}, tmp_path / "r.pth"
    )
    with pytest.raises(CheckpointError, match="RAFT"):
        load_mmpm(tmp_path / "r.pth")


def test_a_damaged_description_is_one_clear_error(tmp_path: Path) -> None:
    network = MMPM(CONFIGS["mmpm-tiny"])
    for text in ("{", '{"name": "a", "form": "conv", "colour": 3}'):
        save_file(network.state_dict(), tmp_path / "w.safetensors", {"mugvos": text})
        with pytest.raises(CheckpointError):
            load_mmpm(tmp_path / "w.safetensors")


def test_single_object_weights_in_a_multi_object_network_change_nothing() -> None:
    single, config = golden_network("small_single"), golden_network("small").config
    with torch.device("meta"):
        network = MMPM(config)
    network = network.to_empty(device="cpu").eval()
    network.load_state_dict(with_others_plane(single.state_dict(), config))
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.standard_normal((1, 3, 256, 256)).astype(np.float32))
    masks = torch.from_numpy(rng.random((1, 2, 256, 256)).astype(np.float32))

    def value(model: MMPM) -> Tensor:
        features = model.encode_image(image)
        return model.encode_value(image, features, model.empty_hidden(1, 2, (256, 256)), masks, deep=True)[0]

    with torch.inference_mode():
        assert (value(network) - value(single)).abs().max() < 1e-5


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"chunk": -1}, {"deep_update": "often"}, {"memory": "short"}])
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        MMPMOptions(**wrong)


@pytest.mark.parametrize(
    ("model", "options", "flag"),
    [
        ("xmem", MMPMOptions(evict="fifo"), "--evict"),
        ("deva", MMPMOptions(deep_update="never"), "--deep-update"),
        ("mmpm-tiny", MMPMOptions(short_side=240), "--short-side"),
        ("dis", MMPMOptions(top_k=4), "--top-k"),
    ],
)
def test_options_that_mean_nothing_to_a_model_are_refused(model: str, options: MMPMOptions, flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag} means nothing to"):
        make_tracker(model, options=options, random_weights=True)
