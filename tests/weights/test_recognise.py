"""Telling layouts apart, and the message when weights do not fit."""

import gzip
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.errors import CheckpointError
from engine.weights import recognise, strict_load

LAYOUTS = json.loads(gzip.decompress((Path(__file__).parents[1] / "golden/weights/layouts.json.gz").read_bytes()))


@pytest.mark.parametrize("name", LAYOUTS)
def test_published_layouts(name):
    state = {key: torch.empty(shape, device="meta") for key, shape in LAYOUTS[name]}
    assert recognise(state) == name


def test_the_light_form():
    from engine.models.mmpm.config import CONFIGS
    from engine.models.mmpm.network import MMPM

    assert recognise(MMPM(CONFIGS["mmpm-tiny"]).state_dict()) == "mmpm-tiny"


@pytest.mark.parametrize(
    ("names", "looks"),
    [
        (("image_encoder.blocks.0", "prompt_encoder.x", "mask_decoder.y", "mask_decoder.hf_token.weight"), "HQ-SAM"),
        (("image_encoder.patch_embed.seq.0.c.weight", "prompt_encoder.x", "mask_decoder.y"), "MobileSAM"),
        (("fnet.conv1.weight", "updateformer.blocks.0"), "CoTracker"),
    ],
)
def test_relatives_that_do_not_fit(names, looks):
    assert recognise({name: torch.zeros(1) for name in names}) == looks


def test_unknown():
    assert recognise({"foo.weight": torch.zeros(1)}) == "unknown"
    assert recognise({}) == "unknown"


def test_strict_load_takes_what_fits():
    model = nn.Linear(3, 2)
    state = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    strict_load(model, state, "w.pth")
    assert torch.equal(model.weight, torch.ones(2, 3))


def test_strict_load_counts_and_names_misfits():
    state = {"weight": torch.ones(2, 4), **{f"extra.{i}": torch.zeros(1) for i in range(5)}}
    with pytest.raises(CheckpointError) as caught:
        strict_load(nn.Linear(3, 2), state, "w.pth", "my-model")
    message = str(caught.value)
    assert message.startswith("w.pth: does not fit my-model")
    for part in ("1 missing: bias", "5 unexpected: extra.0, extra.1, extra.2, ...", "weight 2x4 instead of 2x3"):
        assert part in message
    assert "extra.3" not in message


def test_strict_load_says_what_it_is_instead():
    state = {key: torch.empty(shape, device="meta") for key, shape in LAYOUTS["XMem"]}
    with pytest.raises(CheckpointError, match="looks like XMem"):
        strict_load(nn.Linear(3, 2), state, "w.pth")
