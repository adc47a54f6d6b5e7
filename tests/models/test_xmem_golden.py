"""XMem against the published network, part by part; files of weights; sizes of inputs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_files import largest, manifest
from safetensors.torch import save_file
from stm_golden import case, shapes
from torch import Tensor
from xmem_golden import golden_network

from engine.errors import CheckpointError
from engine.memory.read import Affinity, affinity, readout, similarity
from engine.models.xmem import loading
from engine.models.xmem.config import XMemConfig, configuration
from engine.models.xmem.loading import load_xmem, widened
from engine.models.xmem.network import XMem
from engine.models.xmem.preprocess import inner_size, normalised, padded, resized_masks, unpadded
from engine.nn.aggregate import against_rivals, soft_aggregate

MODULE = 1e-4


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    torch.set_grad_enabled(False)
    yield
    torch.set_grad_enabled(True)


def of(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array)


@pytest.mark.parametrize("name", ["base", "no_sensory", "single_object"])
def test_names_and_shapes_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        network = XMem(XMemConfig(**manifest("xmem")[name]["config"]))
    assert sorted(shapes(network)) == sorted(manifest("xmem")[name]["state_dict"])


def test_parts() -> None:
    network = golden_network()  # the packed form is what whole loops are tested with
    data, _ = case("xmem", "encode_key")
    features = network.encode_image(torch.cat([normalised(frame) for frame in data["frames"]]))
    for part, name in zip(network.key_proj(features.coarse), ("key", "shrinkage", "selection"), strict=True):
        assert largest(part, data[name]) < MODULE
    assert largest(features.coarse[:, ::8], data["f16"]) < MODULE
    assert largest(features.fine[0][:, ::8], data["f8"]) < MODULE
    assert largest(features.fine[1][:, ::8, ::2, ::2], data["f4"]) < MODULE

    data, _ = case("xmem", "encode_value")
    image = normalised(data["frames"][0])
    inputs = image, network.encode_image(image)
    value, hidden = network.encode_value(*inputs, of(data["hidden"]), of(data["masks"]), deep=True)
    assert largest(value[:, :, ::4], data["value"]) < MODULE
    assert largest(hidden, data["hidden_deep"]) < MODULE
    first = of(data["hidden"])[:, :1], of(data["masks"])[:, :1]
    value, hidden = network.encode_value(*inputs, *first, deep=True)
    assert largest(value[:, :, ::4], data["value_single"]) < MODULE
    assert largest(hidden, data["hidden_single"]) < MODULE

    data, _ = case("xmem", "segment")
    features = network.encode_image(normalised(data["frames"][0]))
    logits, hidden = network.decode(features, of(data["readout"]), of(data["hidden"]), update=True)
    assert largest(logits[..., ::2, ::2], data["object_logits"]) < MODULE
    assert largest(hidden, data["hidden_new"]) < MODULE
    joint = soft_aggregate(logits.sigmoid())
    assert largest(joint.softmax(1)[..., ::2, ::2], data["prob"]) < MODULE
    chosen = soft_aggregate(logits.sigmoid() * torch.tensor([1.0, 1, 0]).view(1, 3, 1, 1))
    assert largest(chosen[..., ::2, ::2], data["logits_selector"]) < 1e-3
    assert network.decode(features, of(data["readout"]), of(data["hidden"]), update=False)[1] is None


def test_memory_is_read_as_published() -> None:
    data, _ = case("xmem", "memory_read")
    arrays = {name: of(data[name]).flatten(2) for name in data if name.startswith(("mem", "query"))}
    key, shrinkage, value = (arrays[f"mem_{name}"] for name in ("key", "shrinkage", "value"))
    query, selection = arrays["query_key"], arrays["query_selection"]
    scores = similarity(key, shrinkage, query, selection)
    assert largest(scores, data["similarity"]) < MODULE
    assert largest(similarity(key, None, query, selection), data["similarity_no_shrinkage"]) < MODULE
    # Published without the term that is the same for all memory positions up to their shrinkage.
    plain = similarity(key, shrinkage, query, None) + shrinkage.transpose(1, 2) * (query**2).sum(1, True) / 8
    assert largest(plain, data["similarity_no_selection"]) < 1e-3
    assert largest(affinity(scores), data["affinity"]) < 1e-5
    assert largest(affinity(scores, 30), data["affinity_top30"]) < 1e-5
    assert largest(readout(affinity(scores), value[None])[0, 0], data["readout_full"][0].reshape(24, -1)) < MODULE
    best = Affinity(scores[0], 30)
    assert largest(best.usage(), data["usage_top30"][0]) < MODULE
    assert largest(best.read(value.transpose(1, 2))[0].T, data["readout_top30"][0].reshape(24, -1)) < MODULE


def write(path: Path, state: dict[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


@pytest.mark.parametrize("widen", [False, True])
def test_a_single_object_file_serves_both_networks(monkeypatch: pytest.MonkeyPatch, widen: bool) -> None:
    state = golden_network("single_object").state_dict()
    monkeypatch.setattr(loading, "load_state_dict", lambda path: (state, {}))
    network = loading.load_xmem("s0.pth", widen=widen)
    assert network.config.single_object is not widen
    data, _ = case("xmem", "encode_value")
    expected, _ = case("xmem", "single_object")
    image = normalised(data["frames"][0])
    given = of(data["hidden"]), of(data["masks"])
    value, hidden = network.encode_value(image, network.encode_image(image), *given, deep=True)
    assert largest(value[:, :, ::4], expected["value"]) < MODULE
    assert largest(hidden, expected["hidden_deep"]) < MODULE


def test_sizes_are_read_from_the_file_and_other_models_are_named(tmp_path: Path) -> None:
    with torch.device("meta"):
        other = XMem(XMemConfig(key_dim=32, value_dim=256, hidden_dim=0)).state_dict()
    sizes = configuration(other, "x.pth")
    assert (sizes.key_dim, sizes.value_dim, sizes.hidden_dim) == (32, 256, 0)
    deva = {"pixel_encoder.a": torch.zeros(1), "mask_encoder.b": torch.zeros(1), "key_proj.d_proj.c": torch.zeros(1)}
    with pytest.raises(CheckpointError, match="it looks like DEVA"):
        load_xmem(write(tmp_path / "d.safetensors", deva))
    assert widened({"value_encoder.conv1.weight": torch.ones(64, 4, 7, 7)})["value_encoder.conv1.weight"].shape[1] == 5


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((480, 490), 480, (480, 490)), ((490, 481), 480, (488, 480)), ((90, 119), None, (90, 119))],
)
def test_one_size_serves_frames_and_masks(size: tuple[int, int], side: int | None, expected: tuple[int, int]) -> None:
    assert inner_size(*size, side) == expected
    small = resized_masks(np.ones((2, *size), np.bool_), expected, "corner")
    assert small.shape == (2, *expected)
    whole = padded(torch.from_numpy(small).float())
    assert whole.shape[1] % 16 == whole.shape[2] % 16 == 0
    assert unpadded(whole, expected).min() == 1
    assert whole.sum() == small.sum()


def test_a_thin_mask_survives_being_made_smaller() -> None:
    masks = np.zeros((1, 100, 100), np.bool_)
    masks[0, 1, 7] = True
    for nearest in ("corner", "centre"):
        assert resized_masks(masks, (30, 30), nearest).sum() == 1


def test_the_likeliest_is_above_half_against_its_rivals() -> None:
    soft = torch.rand(3, 20, 20).softmax(0) * torch.rand(20, 20)
    whole = torch.cat([1 - soft.sum(0, keepdim=True), soft])
    assert torch.equal(against_rivals(soft) > 0.5, torch.stack([whole.argmax(0) == i for i in (1, 2, 3)]))
    assert torch.equal(against_rivals(soft[:1]), soft[:1])
