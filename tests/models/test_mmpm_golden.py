"""MMPM's parts against the published network: the same seeded weights, the same inputs, float32 on the CPU."""

import numpy as np
import pytest
import torch
from golden_files import largest, normal
from mmpm_golden import CONFIGURATIONS, case, golden_network, manifest

from engine.memory.read import Affinity, affinity, readout, similarity
from engine.models.mmpm.losses import bootstrapped_cross_entropy, dice_loss, kept_fraction
from engine.models.mmpm.network import MMPM, probabilities
from engine.models.mmpm.preprocess import normalise, pad_to, resize_image, resize_labels, target_size
from engine.nn.aggregate import soft_aggregate

TOLERANCE = 1e-4


def padded(frames: np.ndarray) -> torch.Tensor:
    """uint8 (B, 3, H, W) -> the input of the small network."""
    return normalise(pad_to(torch.tensor(frames).float(), (256, 256)))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_names_and_shapes_are_those_of_the_published_state_dicts(name: str) -> None:
    with torch.device("meta"):
        network = MMPM(CONFIGURATIONS[name])
    expected = manifest()[name]
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    assert shapes == dict(expected["state_dict"])
    assert sum(parameter.numel() for parameter in network.parameters()) == expected["parameters"]


def test_preprocessing() -> None:
    data = case("preprocess")
    small = resize_image(data["in_image"], target_size(97, 173, 256))
    assert np.array_equal(small, data["out_resized_256"])
    labels = resize_labels(data["in_labels"], small.shape[:2])
    assert np.array_equal(labels, data["out_labels_256"])
    assert np.array_equal(resize_labels(labels, (97, 173)), data["out_labels_back"])
    ours = padded(small.transpose(2, 0, 1)[None])
    assert largest(ours[:, :, 1::3, 1::3], data["out_normalised"]) < 1e-6
    large = resize_image(data["in_image_480p"], target_size(480, 854, 1024))
    assert np.array_equal(large[3::8, 3::8], data["out_resized_1024_s8"])
    for side in (1024, 256):
        sizes = [target_size(height, width, side) for height, width in data["in_sizes"].tolist()]
        assert np.array_equal(sizes, data[f"out_sizes_{side}"])


@torch.inference_mode()
def test_image_encoder_and_key() -> None:
    data, network = case("encode_key"), golden_network()
    features = network.encode_image(padded(data["in_frames"]))
    assert largest(features.coarse[None, :, 1::2], data["out_f16"]) < TOLERANCE
    key = network.project(features)
    for ours, name in zip(key, ("key", "shrinkage", "selection"), strict=True):
        assert largest(ours.unflatten(2, (16, 16)).transpose(0, 1)[None], data[f"out_{name}"]) < TOLERANCE


@torch.inference_mode()
def test_key_projection() -> None:
    data = case("key_projection")
    projected = golden_network().key_proj(torch.from_numpy(data["in_x"]))
    for ours, name in zip(projected, ("key", "shrinkage", "selection"), strict=True):
        assert largest(ours, data[f"out_{name}"]) < TOLERANCE


@torch.inference_mode()
@pytest.mark.parametrize("single", [False, True])
def test_value_encoder(single: bool) -> None:
    data = case("value_encoder_single" if single else "value_encoder")
    network = golden_network("small_single" if single else "small")
    image, masks, hidden = padded(data["in_frame"]), *(torch.from_numpy(data[f"in_{n}"]) for n in ("masks", "hidden"))
    features = network.encode_image(image)._replace(coarse=torch.from_numpy(data["in_f16"]))
    value, deep = network.encode_value(image, features, hidden, masks, deep=True)
    assert largest(value[:, :, 1::8], data["out_value"]) < TOLERANCE
    assert largest(deep[:, :, ::2], data["out_hidden"]) < TOLERANCE
    value, deep = network.encode_value(image, features, hidden[:, :1], masks[:, :1], deep=True)
    assert largest(value[:, :, 1::8], data["out_value_one_object"]) < TOLERANCE
    assert largest(deep[:, :, ::2], data["out_hidden_one_object"]) < TOLERANCE
    kept = network.encode_value(image, features, hidden, masks, deep=False)[1]
    assert torch.equal(kept, hidden)


@torch.inference_mode()
@pytest.mark.parametrize("single", [False, True])
def test_vit_of_the_value_encoder(single: bool) -> None:
    data = case("value_encoder_single" if single else "value_encoder")
    masks = torch.from_numpy(data["in_masks"])[0]
    planes = [masks] if single else [masks, masks.sum(0, keepdim=True) - masks]
    image = padded(data["in_frame"]).expand(3, -1, -1, -1)
    network = golden_network("small_single" if single else "small").value_encoder.network
    assert largest(network(torch.cat([image, torch.stack(planes, 1)], 1))[:, 1::8], data["out_vit"]) < TOLERANCE


def test_memory_read() -> None:
    data = case("memory_read")
    key, shrinkage, query, selection = (
        torch.from_numpy(data[f"in_{name}"]).flatten(2)
        for name in ("memory_key", "memory_shrinkage", "query_key", "query_selection")
    )
    scores = similarity(key, shrinkage, query, selection)
    assert largest(scores, data["out_similarity"]) < TOLERANCE
    weights = affinity(scores)
    assert largest(weights, data["out_affinity"]) < TOLERANCE
    assert largest(affinity(scores, 7), data["out_affinity_top7"]) < TOLERANCE
    assert largest(affinity(scores, 7).sum(2), data["out_usage_top7"]) < TOLERANCE
    values = normal(53, 2, 2, 512, 3, 6, 8).flatten(3)
    assert largest(readout(weights, values)[:, :, ::4].unflatten(3, (6, 8)), data["out_readout"]) < TOLERANCE
    for sample in range(2):
        alike = torch.stack([values[sample, row].T for row in range(2)])
        ours = Affinity(scores[sample]).read(alike).transpose(1, 2)[:, ::4].unflatten(2, (6, 8))
        assert largest(ours, data["out_readout"][sample]) < TOLERANCE
        assert largest(Affinity(scores[sample], 7).usage(), data["out_usage_top7"][sample]) < TOLERANCE


def test_similarity_without_its_optional_parts() -> None:
    data = case("memory_read")
    key, shrinkage, query, selection = (
        torch.from_numpy(data[f"in_{name}"]).flatten(2)
        for name in ("memory_key", "memory_shrinkage", "query_key", "query_selection")
    )
    assert largest(similarity(key, None, query, selection), data["out_similarity_no_shrinkage"]) < TOLERANCE
    # Published without the query's own square, a constant for each query that the softmax does not see.
    constant = (query * query).sum(1, keepdim=True) / 8
    plain = similarity(key, None, query, None)
    assert largest(plain + constant, data["out_similarity_plain"]) < TOLERANCE
    scaled = similarity(key, shrinkage, query, None)
    assert largest(scaled + constant * shrinkage.transpose(1, 2), data["out_similarity_no_selection"]) < TOLERANCE


@torch.inference_mode()
def test_blocks() -> None:
    data, network = case("blocks"), golden_network()
    x, g, h = normal(61, 1, 256, 7, 9), normal(62, 1, 2, 256, 7, 9), 0.5 * normal(63, 1, 2, 64, 7, 9)
    v, g2, g3 = normal(64, 1, 2, 512, 7, 9), normal(65, 1, 2, 576, 7, 9), normal(66, 1, 2, 513, 7, 9)
    value, decoder = network.value_encoder, network.mask_decoder
    assert largest(value.fuser(x, g)[:, :, ::2], data["out_value_fuser"]) < TOLERANCE
    assert largest(value.fuser.attention(v[0])[:, ::2], data["out_value_fuser_attention"]) < TOLERANCE
    assert largest(value.hidden_reinforce(v, h), data["out_hidden_reinforce"]) < TOLERANCE
    assert largest(decoder.fuser(x, g2)[:, :, ::2], data["out_decoder_fuser"]) < TOLERANCE
    assert largest(decoder.hidden_update(g3, h), data["out_hidden_update"]) < TOLERANCE


@torch.inference_mode()
def test_decoder_and_aggregation() -> None:
    data, network = case("decoder"), golden_network()
    f16, hidden, read = normal(71, 2, 256, 16, 16), 0.5 * normal(72, 2, 2, 64, 16, 16), normal(73, 2, 2, 512, 16, 16)
    features = network.encode_image(torch.zeros(1, 3, 256, 256))._replace(coarse=f16)
    logits, updated = network.decode(features, read, hidden, update=True)
    assert largest(updated, data["out_hidden"]) < TOLERANCE
    assert largest(logits[..., 1::3, 1::3], data["out_object_logits"]) < TOLERANCE
    joint, masks = probabilities(logits, torch.tensor([[1.0, 1], [1, 0]]))
    assert close_logits(joint[..., 1::3, 1::3], data["out_logits"])
    assert largest(masks[..., 1::3, 1::3], data["out_prob"]) < TOLERANCE
    free = soft_aggregate(logits.sigmoid()).softmax(1)
    assert largest(free[..., 2::5, 2::5], data["out_prob_with_bg_no_selector"]) < TOLERANCE
    aggregated = soft_aggregate(torch.from_numpy(data["in_aggregate_in"]))
    assert close_logits(aggregated, data["out_aggregate_logits"])
    assert largest(aggregated.softmax(1), data["out_aggregate_prob"]) < TOLERANCE
    assert network.decode(features, read, hidden, update=False)[1] is None


def close_logits(ours: torch.Tensor, theirs: np.ndarray) -> bool:
    """Equal, but for the rounding of 1 - 1e-7 in float32 near the clamp at 16."""
    inside = np.abs(theirs) < 12
    return largest(ours.numpy()[inside], theirs[inside]) < TOLERANCE and largest(ours, theirs) < 0.25


@pytest.mark.parametrize("iteration", [50, 100, 150, 200, 201, 1000])
def test_losses(iteration: int) -> None:
    data = case("losses")
    prob, labels = torch.from_numpy(data["in_prob"]), torch.from_numpy(data["in_cls_gt"])[:, :, 0]
    selector = torch.tensor([[1.0, 1], [1, 0]])[..., None, None]
    fraction = kept_fraction(iteration, *data["in_start_end_warm"].tolist())
    assert fraction == pytest.approx(data[f"out_it{iteration}_p"])
    total = 0.0
    for t in (1, 2):
        logits = soft_aggregate(prob[:, t] * selector)
        masks = logits.softmax(1)[:, 1:]
        assert largest(masks, data[f"out_masks_{t}"]) < 1e-6
        entropy = bootstrapped_cross_entropy(logits, labels[:, t], data["in_num_objects"].tolist(), fraction)
        dice = dice_loss(masks, torch.stack([labels[:, t] == slot for slot in (1, 2)], 1).float())
        assert float(entropy) == pytest.approx(data[f"out_it{iteration}_ce_loss_{t}"], rel=1e-5)
        assert float(dice) == pytest.approx(data[f"out_it{iteration}_dice_loss_{t}"], rel=1e-5)
        total += float(entropy + dice)
    assert total == pytest.approx(data[f"out_it{iteration}_total_loss"], rel=1e-5)
