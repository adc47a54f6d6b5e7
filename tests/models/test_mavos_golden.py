"""MAVOS part by part against recorded outputs of the published networks."""

import numpy as np
import pytest
import torch
from golden_files import largest
from mavos_golden import PUBLISHED, case, drawn, golden_network, manifest, sequence

from engine.models.mavos.config import CONFIGS
from engine.models.mavos.engines import aggregated, counts, one_hot
from engine.models.mavos.gated_propagation import Tokens
from engine.models.mavos.losses import IGNORED, hardest_cross_entropy, sample_loss, soft_jaccard
from engine.models.mavos.network import MAVOS, suppressed
from engine.models.mavos.preprocess import network_size, prepared
from engine.models.mmpm.losses import kept_fraction


@pytest.mark.parametrize("name", CONFIGS)
def test_state_dicts_have_the_published_names_and_shapes(name):
    with torch.device("meta"):
        ours = {key: list(value.shape) for key, value in MAVOS(CONFIGS[name]).state_dict().items()}
    assert ours == dict(manifest()[PUBLISHED[name]]["state_dict"])


def test_sizes_and_pixels_of_inputs_are_the_published_ones():
    arrays = case("preprocess")
    for height, width, *expected in arrays["sizes_h_w_align_h_w_noalign_h_w"].tolist():
        assert [*network_size(height, width, True), *network_size(height, width, False)] == expected
    image = arrays["image_u8"]
    assert largest(prepared(image, network_size(120, 160, True))[:, :, ::2, ::2], arrays["input_align"]) < 1e-5
    plain = prepared(image, network_size(120, 160, False))[:, :, ::4, ::4]
    assert largest(plain, arrays["input_noalign_s4"]) < 1e-5


@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_encoders(name):
    arrays = case(f"encoder_{PUBLISHED[name]}")
    features = golden_network(name).encode(prepared(arrays["image_u8"], arrays["image_u8"].shape[:2]))
    recorded = [key for key in arrays if key.startswith("stage") and not key.startswith("stage3")]
    assert len(recorded) == 3
    for key in recorded:
        stage, stride = int(key[5]), int(key.split("stride")[1])
        assert largest(features.maps[stage][:, ::stride], arrays[key]) < 1e-4 * np.abs(arrays[key]).max()
    assert largest(features.projected, arrays["projected"]) < 1e-4


@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_decoders(name):
    channels = CONFIGS[name].channels
    sizes = ((25, 33), (13, 17), (7, 9)) if CONFIGS[name].align_corners else ((24, 32), (12, 16), (6, 8))
    shapes = [(1, width, *size) for width, size in zip(channels, sizes, strict=False)]
    *maps, _, tokens = drawn(105, *shapes, (1, 256, *sizes[2]), (sizes[2][0] * sizes[2][1], 1, 512))
    planes = sequence(tokens).transpose(1, 2).unflatten(2, sizes[2])
    assert largest(golden_network(name).decoder(maps, planes), case(f"decoder_{PUBLISHED[name]}")["logits"]) < 1e-4


@torch.inference_mode()
def test_identity_embedding():
    arrays = case("id_embedding")
    for name, mask, key in (
        ("mavos", arrays["mask_u8"], "id_emb"),
        ("mavos-swinb", arrays["mask_u8"][:112, :144], "id_emb_noalign_mask_cropped_112x144"),
    ):
        found = golden_network(name).identity(one_hot(torch.from_numpy(mask), 3))
        planes = found.transpose(1, 2).unflatten(2, arrays[key].shape[2:])
        assert largest(planes, arrays[key]) < 1e-4


@torch.inference_mode()
def test_long_term_attention():
    q, k, v, gate = map(sequence, drawn(100, (80, 2, 128), (160, 2, 128), (160, 2, 1024), (80, 2, 1024)))
    found = golden_network().LSTT.layers[1].long_term_attn(q, k, v, gate, (8, 10))
    assert largest(sequence(found), case("long_attn")["output"]) < 1e-4


@torch.inference_mode()
def test_short_term_attention():
    q, k, v, gate = drawn(101, (2, 128, 10, 12), (2, 128, 10, 12), (2, 1024, 10, 12), (120, 2, 1024))
    module = golden_network().LSTT.layers[1].short_term_attn
    tokens = [x.flatten(2).transpose(1, 2) for x in (q, k, v)]
    arrays = case("short_attn")
    assert largest(sequence(module(*tokens, sequence(gate), (10, 12))), arrays["output"]) < 1e-4
    weights = module.mixed(*tokens[:2], torch.eye(120).expand(2, -1, -1), (10, 12))[0].view(120, 10, 12)
    for query in range(120):
        y, x = divmod(query, 12)
        padded = torch.nn.functional.pad(weights[query], (7, 7, 7, 7))[y : y + 15, x : x + 15]
        assert largest(padded.flatten(), arrays["attn_b0"][0, :, query]) < 1e-5


@torch.inference_mode()
def test_self_attention():
    (s,) = drawn(102, (42, 2, 512))
    found = golden_network().LSTT.layers[1].self_attn(sequence(s), (6, 7))
    assert largest(sequence(found), case("self_attn")["output"]) < 1e-4


@torch.inference_mode()
def test_layers_on_a_reference_frame_and_on_the_next_one():
    first, second, identity, next_identity = drawn(103, (1, 256, 8, 10), (1, 256, 8, 10), (80, 1, 256), (80, 1, 256))
    arrays, network = case("lstt"), golden_network()
    x, later = (planes.flatten(2).transpose(1, 2) for planes in (first, second))
    itself = network.LSTT(x, (8, 10), identity=sequence(identity))
    memory = network.remembered(itself.seen, sequence(identity))
    assert largest(sequence(itself.output)[::2, :, ::2], arrays["ref_emb2"]) < 1e-4
    found = network.LSTT(later, (8, 10), [(layer, layer) for layer in memory])
    assert largest(sequence(found.output)[::2], arrays["emb2"]) < 1e-4
    fused = network.remembered(found.seen, sequence(next_identity))
    for layer in range(3):
        for ours, key, stride in (
            (memory[layer].key, "ref_long_K", 1),
            (memory[layer].identity, "ref_long_IDV_c4", 4),
            (found.seen[layer].key, "cur_K", 1),
            (found.seen[layer].value, "cur_V_c4", 4),
            (fused[layer].identity, "fused_IDV_c4", 4),
        ):
            assert largest(sequence(ours)[::2, :, ::stride], arrays[key][layer]) < 1e-4


@torch.inference_mode()
def test_modulated_memory():
    arrays = case("mca")
    shapes = [(80, 2, width) for width in (128, 128, 512, 512, 512, 512)]
    tokens = list(map(sequence, drawn(104, *shapes)))
    memory = golden_network().long_term_memory_attention
    for at, (slot, stride) in enumerate(((0, 1), (1, 4), (3, 4))):
        module = memory["1"][str(slot)].joint_modulation
        new, old = tokens[2 * at], tokens[2 * at + 1]
        modulator = module.attn.modulator(module.norm_c(old), (8, 10))
        assert largest(modulator[:, ::stride], arrays[f"modulator_slot{slot}"]) < 1e-4
        assert largest(sequence(module(new, old, (8, 10)))[:, :, ::stride], arrays[f"out_slot{slot}"]) < 1e-4
    new, old = (Tokens(*tokens[at::2]) for at in (0, 1))
    two = memory.merge([new] * 3, [old] * 3, (8, 10))
    assert torch.equal(two[1].key, torch.cat([new.key, old.key], 1))
    again = memory.merge([new] * 3, two, (8, 10))
    assert again[1].key.shape[1] == 160
    assert torch.equal(again[2].value[:, 80:], old.value)


def test_engines_share_labels_out_and_put_scores_together():
    arrays = case("multi_engine")
    first, second = drawn(106, (1, 11, 9, 12), (1, 11, 9, 12))
    scores = torch.cat([2 * first, suppressed(2 * second, 2)])
    assert largest(aggregated(scores), arrays["aggregated"][0]) < 1e-4
    labels = torch.from_numpy(arrays["mask"][0, 0])
    shares = one_hot(labels, 12).argmax(1).float()
    assert largest(shares[0], arrays["split0"][0, 0]) == largest(shares[1], arrays["split1"][0, 0]) == 0
    assert counts(12) == arrays["split_counts"].tolist() == [10, 2]
    assert counts(20) == [10, 10]


def test_losses():
    arrays = case("losses")
    scores = [2 * x[0] for x in drawn(107, (1, 4, 33, 41), (1, 3, 33, 41))]
    generator = np.random.RandomState(107)
    for shape in ((1, 4, 33, 41), (1, 3, 33, 41)):
        generator.standard_normal(shape)
    labels = [torch.from_numpy(generator.randint(0, n, (1, 33, 41)))[0] for n in (4, 3)]
    labels[0][:5, :6] = IGNORED
    pairs = list(zip(scores, labels, strict=True))
    for step in (0, 10_000, 25_000, 50_000, 90_000):
        kept = kept_fraction(step, 0, 50_000)
        found = torch.stack([hardest_cross_entropy(score, label, kept) for score, label in pairs])
        assert largest(found, arrays[f"ce_step{step}"]) < 1e-5
    assert largest(torch.stack([soft_jaccard(*pair) for pair in pairs]), arrays["soft_jaccard"]) < 1e-5
    both = torch.stack([sample_loss(*pair, kept_fraction(25_000, 0, 50_000)) for pair in pairs])
    assert largest(both, arrays["total_step25000"]) < 1e-5
