"""SgMg on whole clips against the published network, and what its inference promises beyond it."""

import numpy as np
import pytest
import torch
from sgmg_golden import case, close, golden_network

from engine.errors import UsageError
from engine.models.sgmg.inference import answer_clip, answer_frame, exclusive_labels, to_size
from engine.models.sgmg.network import features_of
from engine.models.sgmg.preprocess import (
    LOADER_MULTIPLE,
    VIDEO_MULTIPLE,
    normalised,
    padded,
    picture_size,
    resized,
    video_size,
)


def test_sizes_and_resizing() -> None:
    data = case("resize")
    for width, height, *expected in data["sizes"].tolist():
        assert [*video_size(height, width)[::-1], *picture_size(height, width)[::-1]] == expected
    small = normalised([resized(data["image"], (36, 50))])[0]
    assert close(small, data["resized36"], 1e-6)
    assert close(normalised([resized(data["image"], (150, 210))])[0][:, ::3, ::3], data["resized150"], 1e-6)


@torch.inference_mode()
@pytest.mark.parametrize(("name", "step"), [("forward_video", 16), ("forward_video_b", 32)])
def test_a_clip_and_a_sentence(name: str, step: int) -> None:
    data = case(name)
    network = golden_network("sgmg-b small text" if name.endswith("_b") else "sgmg-t small text")
    clip, text = normalised(data["frames"]), network.read(torch.from_numpy(data["input_ids"])[None])
    batch, padding = padded([clip], VIDEO_MULTIPLE)
    seen = network.look(network.swin(batch), padding[0])
    whole = text.rows(torch.zeros(len(clip), dtype=torch.long))
    fused = network.fuse(seen, whole)
    assert close(fused[0][:, ::step], data["scf0"])
    assert close(fused[3][:, ::step], data["scf3"])
    decoded = network.refer(seen, whole)
    assert close(decoded.memory[0][:, ::step], data["memory0"])
    assert close(decoded.states, data["hs"])
    assert close(decoded.boxes, data["inter_references"])
    assert close(network.scores(decoded)[..., None], data["all_logits"])
    query = int(data["selected"])
    chosen = network.patches(decoded, features_of(decoded), torch.from_numpy(data["size"]).expand(len(clip), -1))
    assert close(network.refined(chosen[:, query], seen), data["pred_masks"][0, :, 0])


def test_answers_are_the_same_in_groups_of_any_length() -> None:
    data, network = case("forward_video"), golden_network()
    clip, text = normalised(data["frames"]), network.read(torch.from_numpy(data["input_ids"])[None])
    (answer,) = answer_clip(network, clip, text, at_once=2)
    assert answer.query == int(data["selected"])
    assert close(answer.scores, torch.from_numpy(data["pred_logits"]).sigmoid().numpy()[0, :, 0, 0])
    assert close(answer.boxes, data["pred_boxes"][0, :, 0])
    height, width = clip.shape[2:]
    assert close(answer.logits, data["pred_masks"][0, :, 0, :height, :width])
    assert answer.means.argmax() == answer.query and len(answer.means) == 5


def test_annotated_frames_of_two_clips() -> None:
    data, network = case("forward_frame"), golden_network()
    clips = [normalised(data["frames0"]), normalised(data["frames1"])]
    assert padded(clips, LOADER_MULTIPLE)[0].shape[-2:] == (160, 192)
    text = network.read(torch.from_numpy(data["input_ids"]))
    found = answer_frame(network, clips, text, data["valid_indices"].tolist())
    for row, guesses in enumerate(found):
        size = tuple(data["orig_sizes"][row].tolist())
        assert close(np.array([guess.score for guess in guesses]), data[f"a2d_scores{row}"])
        masks = torch.stack([to_size(guess.logits[None], size) > 0.5 for guess in guesses])
        assert (masks.numpy() == data[f"a2d_masks{row}"]).mean() > 0.999
        assert close(torch.stack([guess.box for guess in guesses]), data["pred_boxes"][row, 0])


def test_sentences_that_compete_for_pixels() -> None:
    probabilities = torch.tensor([[[0.9, 0.6, 0.4, 0.7]], [[0.8, 0.7, 0.45, 0.7]]])
    assert exclusive_labels(probabilities).tolist() == [[1, 2, 0, 1]]


def test_pictures_that_are_too_small_are_refused() -> None:
    with pytest.raises(UsageError, match=r"100x90 .* at least 129"):
        padded([torch.zeros(1, 3, 90, 100)], VIDEO_MULTIPLE)
