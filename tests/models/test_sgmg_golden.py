"""SgMg's parts against the published network: the same seeded weights, the same inputs, float32 on the CPU."""

import numpy as np
import pytest
import torch
from golden_files import normal
from sgmg_golden import CONFIGURATIONS, case, close, golden_network, manifest

from engine.models.sgmg.deformable import sample
from engine.models.sgmg.heads import patch_logits, unfold_patches
from engine.models.sgmg.network import SgMg
from engine.models.sgmg.position import position_1d, position_2d
from engine.models.sgmg.spectral import gaussians
from engine.models.sgmg.text import PAD, TextFeatures, read_words
from engine.models.sgmg.transformer import LEVELS

DEFORMABLE_SIZES = [(9, 11), (5, 6), (3, 4), (3, 3)]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_names_and_shapes_are_those_of_the_published_state_dicts(name: str) -> None:
    with torch.device("meta"):
        network = SgMg(CONFIGURATIONS[name])
    known = manifest()[name]
    assert {key: list(tensor.shape) for key, tensor in network.state_dict().items()} == dict(known["state_dict"])
    assert sum(parameter.numel() for parameter in network.parameters()) == known["parameters"]
    text = sum(parameter.numel() for parameter in network.text_encoder.parameters())
    assert known["parameters"] - text == known["parameters_without_text_encoder"]


def test_positions() -> None:
    data = case("position")
    assert close(position_2d(torch.from_numpy(data["mask2d"]), 256), data["pos2d"], 1e-4)
    assert close(position_1d(torch.from_numpy(data["mask1d"]), 256).transpose(1, 2), data["pos1d"], 1e-4)


def test_parts_of_the_backbone() -> None:
    data, swin = case("swin_parts"), golden_network().swin
    attention = swin.layers[2].blocks[0].attn
    assert close(attention(normal(103, 2, 72, 384))[:, ::2], data["attn_out"])
    assert np.array_equal(attention.relative_position_index[:72, :72], data["index_slice"])
    block = swin.layers[1].blocks[1](normal(104, 1, 10, 9, 13, 192))
    assert close(block[:, ::2, ::2, ::2, ::4], data["block_out"])
    assert close(swin.downsamples[0](normal(105, 1, 2, 5, 7, 96))[..., ::4], data["merge_out"])


def test_the_backbone_on_clips_with_and_without_shift_in_time() -> None:
    data, swin = case("backbone"), golden_network().swin
    for letter, clip in (("a", normal(101, 3, 3, 72, 104)), ("b", normal(102, 10, 3, 64, 64))):
        for level, plane in enumerate(swin(clip[None])):
            assert close(plane[:, ::8], data[f"{letter}{level}"])


def test_windows_in_groups_are_windows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    swin, clip = golden_network().swin, normal(101, 1, 2, 3, 72, 104)
    whole = swin(clip)
    monkeypatch.setattr("engine.models.sgmg.swin._GROUP", 400)
    for ours, theirs in zip(swin(clip), whole, strict=True):
        assert close(ours, theirs.numpy(), 1e-5)


def test_text() -> None:
    data, network = case("text"), golden_network()
    ids = torch.from_numpy(data["input_ids"])
    assert np.array_equal(ids != PAD, data["attention_mask"] == 1)
    words, sentence = read_words(network.text_encoder["text_backbone"], ids)
    present = data["attention_mask"] == 1
    assert close(words[..., ::4].numpy()[present], data["last_hidden_state"][present])
    assert close(sentence, data["pooler_output"])
    features = network.read(ids)
    assert close(features.words.numpy()[present], data["text_proj"][present])
    assert close(features.sentence, data["sentence_proj"])
    assert np.array_equal(features.padding, data["pad_mask"])


def test_spectral_blocks() -> None:
    data, network = case("lfm"), golden_network()
    x1, x2, x3 = (normal(111 + at, 2, 256, *size) + 0.3 for at, size in enumerate([(10, 13), (5, 7), (5, 7)]))
    filters = gaussians([(10, 13), (5, 7), (5, 7)], torch.device("cpu"))
    for ours, name in zip(filters, ("gauss1", "gauss2", "gauss3"), strict=True):
        assert close(ours, data[name])
    first, second, post = network.input_fft[0], network.input_fft[1], network.input_fft_post[1]
    assert close(first.strength(x1), data["coef"])
    assert close(first(x1, filters[0])[:, ::4], data["y1"])
    assert close(second(x2, filters[1])[:, ::4], data["y2"])
    assert close(post(x3, filters[2])[:, ::4], data["y3"])


def test_fusion_with_words() -> None:
    """Recorded for clips as a whole; cells do not see each other, so frames may be taken one by one."""
    data, attention = case("fusion"), golden_network().fusion_module["multihead_attn"]
    cells = normal(121, 2, 6, 7, 2, 256).permute(3, 0, 1, 2, 4).flatten(1, 3)
    words, position = normal(122, 5, 2, 256).transpose(0, 1), normal(123, 5, 2, 256).transpose(0, 1)
    padding = torch.from_numpy(data["key_padding_mask"])
    text = TextFeatures(words, position, padding, words[:, 0])
    told = attention(cells, text.words + text.position, text.words, key_padding_mask=padding, need_weights=False)[0]
    assert close((cells * told).transpose(0, 1)[..., ::4], data["out"])


def test_deformable_attention() -> None:
    data, transformer = case("deform_attn"), golden_network().transformer
    given = {name: torch.from_numpy(array) for name, array in data.items()}
    assert close(sample(given["value"], [(5, 4), (3, 2)], given["locations"], given["weights"]), data["core"])
    own = transformer.encoder.layers[0].self_attn
    places = own.places(given["query"], given["ref2"], DEFORMABLE_SIZES)
    assert close(places[0], data["enc_locations"])
    assert close(places[1], data["enc_weights"])
    out = own(given["query"], given["ref2"], given["src"], DEFORMABLE_SIZES, given["padding"])
    assert close(out, data["enc_out"])
    cross = transformer.decoder.layers[1].cross_attn
    assert close(cross.places(given["query"], given["ref4"], DEFORMABLE_SIZES)[0], data["dec_locations"])
    assert close(cross(given["query"], given["ref4"], given["src"], DEFORMABLE_SIZES, None), data["dec_out"])


def test_transformer() -> None:
    data, network = case("transformer"), golden_network()
    maps = [normal(141 + level, 2, 256, *size) for level, size in enumerate(DEFORMABLE_SIZES)]
    paddings = [torch.from_numpy(data[f"mask{level}"]) for level in range(LEVELS)]
    target = normal(150, 1, 1, 1, 256)[0, 0].expand(2, -1)
    found = network.transformer(maps, paddings, target, network.query_embed.weight)
    assert close(found.states, data["hs"])
    assert close(found.boxes, data["inter_references"])
    assert close(found.first, data["init_reference"])
    for level in range(3):
        assert close(found.memory[level][:, ::8], data[f"memory{level}"])


def test_patch_kernels() -> None:
    data, network = case("patch_kernels"), golden_network()
    kernels = network.controller(normal(160, 6, 5, 256))
    assert close(kernels[..., ::16], data["params"])
    sizes = torch.tensor([(70, 85), (64, 88)]).repeat_interleave(3, 0)
    centres = torch.from_numpy(data["references"]).view(6, 5, 2) * sizes.flip(-1).unsqueeze(1)
    logits = patch_logits(kernels, normal(161, 2, 3, 256, 9, 11).flatten(0, 1), centres, 16)
    assert close(logits.reshape(2, 15, 16, 9, 11)[:, ::2], data["patch_logits"])
    assert close(unfold_patches(logits).reshape(30, 1, 36, 44)[::5], data["shuffled"])


def test_mask_refinement() -> None:
    data, network = case("mso"), golden_network()
    patches, map4, map8 = normal(170, 3, 16, 9, 11), normal(171, 3, 96, 18, 21), normal(172, 3, 192, 9, 11)
    refined = network.mask_refine(patches, map4, map8)
    assert close(refined, data["out"])
    assert close(unfold_patches(refined).unsqueeze(1), data["mask"])
