"""BMVOS part by part against recorded outputs of the published network."""

import numpy as np
import pytest
import torch
from bmvos_golden import case, golden_network, manifest, pixels
from golden_files import largest

from engine.models.bmvos.matching import bijective, read, similarity
from engine.models.bmvos.network import BMVOS, aggregated, alone, pooled
from engine.models.bmvos.parts import coordinates
from engine.models.bmvos.preprocess import border, cropped, nearest, padded, resized, usual_size


def test_the_state_dict_has_the_published_names_and_shapes():
    with torch.device("meta"):
        ours = {key: list(value.shape) for key, value in BMVOS().state_dict().items()}
    assert ours == dict(manifest()["state_dict"])


@torch.inference_mode()
def test_encoder_and_key():
    arrays = case("encoder")
    vos = golden_network().vos
    s4, s8, s16 = vos.encoder(pixels(arrays["image_u8"])[None])
    assert min(s4.min(), s8.min(), s16.min()) < 0
    for found, key in ((s4[:, ::4], "s4_c4"), (s8[:, ::4], "s8_c4"), (s16, "s16")):
        assert largest(found, arrays[key]) < 1e-4 * np.abs(arrays[key]).max()
    assert largest(vos.matcher(s16).unflatten(2, (6, 8)), arrays["key"]) < 1e-5


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_matching(kind):
    arrays = {name: torch.from_numpy(array) for name, array in case("matcher").items()}
    first, last, query = (arrays[f"{name}key"].flatten(2)[0] for name in ("init_", "prev_", ""))
    planes = {name: arrays[f"{kind}_{name}_seg_16"].flatten(2)[0] for name in ("init", "prev")}
    local = similarity(last, query)
    found = torch.cat([read(similarity(first, query), planes["init"]), read(bijective(local), planes["prev"])])
    assert largest(found.view(1, 4, 6, 8), arrays[f"{kind}_matching_score"].numpy()) < 1e-5
    uncut = read(local, planes["prev"]).view(1, 2, 6, 8)
    assert largest(uncut, arrays[f"{kind}_local_without_cut"].numpy()) < 1e-5
    assert (uncut - found[2:].view(1, 2, 6, 8)).abs().max() > 0.01


def test_each_reference_pixel_speaks_for_four_and_ties_stay():
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.5, 0.4, 0.5], [0.3] * 6])
    cut = bijective(scores, 2)
    assert torch.equal(cut[0], torch.tensor([0.1, 0.9, 0.5, 0.5, 0.1, 0.5]))
    assert torch.equal(cut[1], scores[1])


def test_one_pass_over_all_masks_equals_one_pass_each():
    scores, planes = torch.rand(60, 60), torch.rand(7, 60)
    with torch.inference_mode():
        together = read(scores, planes)
    assert torch.equal(together, torch.cat([read(scores, plane[None]) for plane in planes]))


@torch.inference_mode()
def test_mask_embedder():
    arrays = case("mask_embedder")
    oldest_first = torch.from_numpy(arrays["prev_segs_oldest_first"])[:, 0, 1]
    assert largest(coordinates(96, 128, oldest_first), arrays["add_coords_yxr"]) < 1e-6
    found = golden_network().vos.mask_embedder(oldest_first.flip(0)[None])
    # The recorded masks have 11 bits, so that their background and foreground do not quite sum to 1 as ours do.
    assert largest(found, arrays["mask_feats"]) < 1e-4


@torch.inference_mode()
def test_decoder():
    draw = np.random.RandomState(21)
    s16, s8, s4 = (draw.randn(*shape) for shape in ((1, 1024, 4, 5), (1, 512, 8, 10), (1, 256, 16, 20)))
    matching, masks = draw.rand(1, 4, 4, 5), draw.randn(1, 256, 4, 5)
    scaled = [(0.2, s16), (0.5, s8), (1, s4), (1, matching), (0.2, masks)]
    s16, s8, s4, matching, masks = (torch.from_numpy(x.astype(np.float32)) * factor for factor, x in scaled)
    decoder, arrays = golden_network().vos.decoder, case("decoder")
    found = decoder(decoder.of_image([s4, s8, s16]), matching, masks)
    for ours, key in zip(found, ("score_s8", "score_s4", "final_score"), strict=True):
        assert largest(ours, arrays[key]) < 1e-4 * max(np.abs(arrays[key]).max(), 1)


def test_aggregation():
    arrays = case("aggregate")
    ids = arrays["object_ids"].tolist()
    soft = torch.cat([torch.from_numpy(arrays[f"seg_{number}"]) for number in ids])
    shares = aggregated(soft)
    for row, number in enumerate(ids, 1):
        assert largest(shares[row], arrays[f"agg_{number}"][0, 1]) < 1e-5
    labels = torch.tensor([0, *ids])[shares.argmax(0)]
    assert (labels.numpy() == arrays["pred_mask"][0, 0]).mean() > 0.999
    assert torch.allclose(alone(soft[:1])[0], aggregated(soft[:1])[1])


def test_borders_and_sizes():
    arrays = case("padding")
    for size, expected in zip(arrays["sizes"].tolist(), arrays["pad_left_right_top_bottom"].tolist(), strict=True):
        assert list(border(*size)) == expected
    ramp = torch.arange(17 * 31.0).view(1, 1, 17, 31)
    framed = padded(ramp, border(17, 31))
    assert largest(framed, arrays["ramp_padded"].reshape(framed.shape)) == 0
    assert torch.equal(cropped(framed, border(17, 31)), ramp)
    for height, width, *expected in arrays["rule_480p_h_w_newh_neww"].tolist():
        assert list(usual_size(height, width)) == expected


def test_resizing():
    arrays = case("resize")
    image = resized(pixels(arrays["image_u8"])[None], (150, 200))
    assert largest(image, arrays["image_bicubic_150x200"]) < 1e-5
    mask = nearest(torch.from_numpy(arrays["mask_u8"][None].astype(np.float32)), (150, 200))
    assert np.array_equal(mask[0].numpy(), arrays["mask_nearest_150x200"][0, 0])


def test_masks_are_pooled_to_background_and_foreground():
    half = torch.zeros(2, 32, 16)
    half[1, :, :4] = 1
    assert pooled(half).tolist() == [[[1, 1], [0, 0]], [[0.75, 0.75], [0.25, 0.25]]]
