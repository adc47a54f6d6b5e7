"""DEVA against the published network, part by part; files of weights."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from deva_golden import golden_network
from golden_files import largest, manifest
from safetensors.torch import save_file
from stm_golden import case, shapes
from torch import Tensor

from engine.errors import CheckpointError
from engine.models.deva.config import DEVAConfig
from engine.models.deva.loading import load_deva
from engine.models.deva.network import DEVA, spread
from engine.models.xmem.preprocess import normalised

MODULE = 2e-4


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    torch.set_grad_enabled(False)
    yield
    torch.set_grad_enabled(True)


def of(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array)


def test_names_and_shapes_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = DEVA(DEVAConfig())
    assert sorted(shapes(network)) == sorted(manifest("deva")["base"]["state_dict"])


def test_parts() -> None:
    network = golden_network()  # the packed form is what whole loops are tested with
    data, _ = case("deva", "encode_image")
    p16, f8, f4, for_key = network.pixel_encoder(torch.cat([normalised(frame) for frame in data["frames"]]))
    for part, name in zip(network.key_proj(for_key), ("key", "shrinkage", "selection"), strict=True):
        assert largest(part, data[name]) < MODULE
    assert largest(p16[:, ::4], data["p16"]) < MODULE
    assert largest(f8[:, ::8], data["f8"]) < MODULE
    assert largest(f4[:, ::8, ::2, ::2], data["f4"]) < MODULE
    assert largest(for_key[:, ::8], data["key_feat"]) < MODULE

    data, _ = case("deva", "encode_mask")
    image = normalised(data["frames"][0])
    value, sensory = network.encode_mask(image, network.encode_image(image), of(data["sensory"]), of(data["masks"]))
    assert largest(value[:, :, ::4], data["value"]) < MODULE
    assert largest(sensory[:, :, ::4], data["sensory_new"]) < MODULE

    data, _ = case("deva", "segment")
    features = network.encode_image(normalised(data["frames"][0]))
    given = of(data["readout"]), of(data["sensory"]), of(data["last_mask"])
    logits, sensory = network.decode(features, *given, update=True)
    assert largest(sensory[:, :, ::4], data["sensory_new"]) < MODULE
    joint = spread(logits)[..., ::2, ::2]
    assert largest(joint, data["logits"]) < MODULE
    assert largest(joint.softmax(1), data["prob"]) < MODULE
    chosen = spread(logits, selector=torch.tensor([[1.0, 1, 0]]))[..., ::2, ::2]
    assert largest(chosen, data["logits_selector"]) < MODULE
    alone = spread(logits, joint=False).softmax(1)[None, :, 1, ::2, ::2]
    assert largest(alone, data["prob_independent"][:, 1:]) < MODULE
    auxiliary = network.mask_decoder.sensory_linear_pred(features.coarse, of(data["sensory"]))
    assert largest(spread(auxiliary, scale=16)[:, :, None, ::2, ::2], data["aux_logits"]) < MODULE


def test_files_of_other_models_are_named(tmp_path: Path) -> None:
    xmem = {"key_encoder.a": torch.zeros(1), "value_encoder.b": torch.zeros(1), "key_proj.d_proj.c": torch.zeros(1)}
    save_file(xmem, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=r"does not fit deva .* it looks like XMem"):
        load_deva(tmp_path / "x.safetensors")
