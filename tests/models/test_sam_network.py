"""SAM from our configurations: segment-anything's names, shapes and arithmetic; files that explain themselves."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry
from segment_anything.modeling import MaskDecoder, Sam
from torch import Tensor

from engine.errors import CheckpointError
from engine.models.mmpm.config import CONFIGS as MMPM_CONFIGS
from engine.models.mmpm.network import MMPM
from engine.models.sam.config import CONFIGS, SAMConfig
from engine.models.sam.decoding import decode
from engine.models.sam.loading import load_sam
from engine.models.sam.network import begin_encoder, build_sam
from engine.models.sam.prompt_encoder import REACHES, DrawnPromptEncoder
from engine.models.sam.prompting import Prompter
from engine.models.sam.shared_drawn import NOTHING
from engine.weights.convert import save_weights
from engine.weights.recognise import recognise

SMALL = SAMConfig(
    "sam-small", "conv", image_side=64, stride=8, prompt_dim=32, mlp_dim=64, widths=(8, 8, 16, 16, 16), mask_in_chans=4
)


DRAWN = dataclasses.replace(SMALL, drawn_prompts=True, fine=4, prompted_widths=(8, 16, 16))


def seeded(config: SAMConfig = SMALL) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build_sam(config).eval()


def shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("size", ["b", "l", "h"])
def test_published_sizes_have_segment_anythings_names_and_shapes(size: str) -> None:
    with torch.device("meta"):
        ours, theirs = build_sam(CONFIGS[f"sam-vit-{size}"]), sam_model_registry[f"vit_{size}"]()
    assert shapes(ours) == shapes(theirs)
    assert recognise(ours.state_dict()) == f"sam-vit-{size}"


def test_sam_tiny_is_recognised_and_its_decoder_is_segment_anythings() -> None:
    network = build_sam(CONFIGS["sam-tiny"])
    assert recognise(network.state_dict()) == "sam-tiny"
    assert isinstance(network, Sam)
    assert isinstance(network.mask_decoder, MaskDecoder)
    assert network.mask_decoder.num_multimask_outputs == 3


def test_the_configuration_survives_its_plain_form() -> None:
    for config in CONFIGS.values():
        assert SAMConfig.from_dict(config.as_dict()) == config
    with pytest.raises(ValueError, match="colour"):
        SAMConfig.from_dict({"name": "x", "colour": 3})
    with pytest.raises(ValueError, match="drawn prompts"):
        SAMConfig.from_dict({"name": "x", "drawn_prompts": True})


def test_decoding_a_batch_equals_segment_anything_image_by_image() -> None:
    network = seeded()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 64, 64, generator=generator)
    points = torch.rand(4, 1, 2, generator=generator) * 64
    with torch.inference_mode():
        embedding = network.image_encoder(images)
        sparse, dense = network.prompt_encoder((points, torch.ones(4, 1)), None, None)
        position = network.prompt_encoder.get_dense_pe()
        logits, quality = decode(network.mask_decoder, embedding.repeat_interleave(2, 0), position, sparse, dense)
        for image in range(2):
            part = slice(2 * image, 2 * image + 2)
            wanted, wanted_quality = network.mask_decoder.predict_masks(
                embedding[image : image + 1], position, sparse[part], dense[part]
            )
            torch.testing.assert_close(logits[part], wanted, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(quality[part], wanted_quality, atol=1e-5, rtol=1e-5)


def drawing_encoder() -> DrawnPromptEncoder:
    encoder = seeded(DRAWN).prompt_encoder
    assert isinstance(encoder, DrawnPromptEncoder)
    return encoder


def test_points_are_drawn_by_label_and_nearness() -> None:
    points = torch.tensor([[[19.5, 35.5], [59.5, 3.5], [0.0, 0.0]]])
    planes = drawing_encoder().planes((points, torch.tensor([[1, 0, -1]])), None)[0]
    assert planes.shape == (10, 8, 8)
    assert np.unravel_index(int(planes[0].argmax()), (8, 8)) == (4, 2)  # 8 pixels a cell; cell centres at 4, 12, 20...
    assert np.unravel_index(int(planes[3].argmax()), (8, 8)) == (0, 7)
    assert planes[0, 4, 2] == pytest.approx(1)
    across = 8 / 64
    assert planes[1, 4, 3] == pytest.approx(np.exp(-(across**2) / (2 * REACHES[1] ** 2)), rel=1e-4)
    assert planes[:3, 0, 0].max() < 0.1  # label -1 is no point
    assert planes[6:].abs().max() == 0


def test_positive_points_alone_fill_three_planes() -> None:
    points = torch.tensor([[[19.5, 35.5], [59.5, 3.5]], [[3.0, 60.0], [40.0, 41.0]]], dtype=torch.float64)
    encoder = drawing_encoder()
    planes = encoder.planes((points, torch.ones(2, 2, dtype=torch.int)), None)
    torch.testing.assert_close(encoder.near(points), planes[:, :3])
    assert planes[:, 3:].abs().max() == 0


def test_a_box_is_drawn_as_places_within_it() -> None:
    boxes = torch.tensor([[7.5, 15.5, 39.5, 47.5], [float("nan")] * 4])
    planes = drawing_encoder().planes(None, boxes)
    inside = torch.zeros(8, 8)
    inside[2:6, 1:5] = 1
    assert torch.equal(planes[0, 6], inside)
    assert planes[0, 7, 3, 1:5].tolist() == pytest.approx([-0.75, -0.25, 0.25, 0.75], abs=1e-4)
    assert planes[0, 8, 2:6, 3].tolist() == pytest.approx([-0.75, -0.25, 0.25, 0.75], abs=1e-4)
    assert planes[0, 9].min() == 1
    assert planes[1].abs().max() == 0


def test_drawn_prompts_decode_in_batches_as_in_segment_anythings_predictor() -> None:
    network = seeded(DRAWN)
    image = np.random.default_rng(0).integers(0, 255, (45, 64, 3), dtype=np.uint8)
    points = np.random.default_rng(1).random((5, 2, 2)) * [64, 45]
    prompter = Prompter(network)
    decoded = prompter.decode(prompter.embed(image), points)
    predictor = SamPredictor(network)
    predictor.set_image(image)
    _, scores, low = predictor.predict_torch(torch.tensor(points).float(), torch.ones(5, 2), multimask_output=True)
    picture = slice(0, 4 * 6)  # of eight rows of positions; the others are padding
    torch.testing.assert_close(decoded.logits[:, :, picture], low[:, :, picture], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(decoded.scores, scores, atol=1e-5, rtol=1e-4)
    assert (decoded.logits[:, :, picture.stop :] == NOTHING).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_drawn_prompts_give_the_same_whatever_is_asked_with_them(dtype: torch.dtype) -> None:
    prompter = Prompter(seeded(DRAWN), dtype)
    embedding = prompter.embed(np.random.default_rng(0).integers(0, 255, (64, 40, 3), dtype=np.uint8))
    points = np.random.default_rng(1).random((11, 2, 2)) * [40, 64]
    together = prompter.decode(embedding, points)
    for chosen in ([7], [10, 2, 5], list(range(10, -1, -1))):
        alone = prompter.decode(embedding, points[chosen])
        assert torch.equal(alone.logits, together.logits[chosen])
        assert torch.equal(alone.scores, together.scores[chosen])


def test_less_precision_gives_nearly_the_same_masks() -> None:
    image = np.random.default_rng(0).integers(0, 255, (45, 64, 3), dtype=np.uint8)
    points = np.random.default_rng(1).random((5, 2, 2)) * [64, 45]
    exact, rough = (
        prompter.decode(prompter.embed(image), points)
        for prompter in (Prompter(seeded(DRAWN), dtype) for dtype in (torch.float32, torch.bfloat16))
    )
    assert rough.logits.dtype == torch.float32
    torch.testing.assert_close(
        rough.logits, exact.logits, atol=0.05 * float(exact.logits[:, :, :24].std()) + 0.01, rtol=0.1
    )
    torch.testing.assert_close(rough.scores, exact.scores, atol=0.02, rtol=0.05)


@pytest.mark.parametrize("config", [SMALL, DRAWN], ids=["tokens", "drawn"])
def test_segment_anythings_predictor_takes_the_convolutional_form(config: SAMConfig) -> None:
    predictor = SamPredictor(seeded(config))
    predictor.set_image(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    masks, scores, low = predictor.predict(np.array([[30, 20]]), np.array([1]), multimask_output=True)
    assert masks.shape == (3, 40, 60)
    assert scores.shape == (3,)
    assert low.shape == (3, 32, 32)
    masks, _, _ = predictor.predict(box=np.array([10, 5, 40, 30]), multimask_output=False)
    assert masks.shape == (1, 40, 60)


def test_a_box_alone_is_answered_twice_and_nothing_else_is() -> None:
    predictor = SamPredictor(seeded(DRAWN))
    predictor.set_image(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    box, points, labels = torch.tensor([[10.0, 5, 40, 30]]), torch.tensor([[[30.0, 20]]]), torch.ones(1, 1)
    encoder, decoder = predictor.model.prompt_encoder, predictor.model.mask_decoder
    with torch.inference_mode():
        sparse, dense = encoder(None, box, None)
        once, _ = decode(decoder, predictor.features, encoder.get_dense_pe(), sparse, dense, again=False)
        twice, quality = decode(decoder, predictor.features, encoder.get_dense_pe(), sparse, dense)
    _, sure, mended = predictor.predict_torch(None, None, box, mask_input=once[:, :1], multimask_output=False)
    mean = (once[:, :1] + mended) / 2
    middles = torch.arange(32) * 2 + 1.0  # of the logits' cells, in pixels of the input
    across = torch.maximum(10.5 - middles, middles - 40.5)
    down = torch.maximum(5.5 - middles, middles - 30.5)
    outside = torch.maximum(across, down[:, None]).clamp(min=0)
    whole = slice(2, 30)  # half a position at the rim has no neighbour to be enlarged with
    torch.testing.assert_close(twice[0, 0, whole, whole], (mean[0, 0] - outside)[whole, whole])
    torch.testing.assert_close(quality[:, :1], sure)
    assert not torch.allclose(twice[:, :1], once[:, :1])
    torch.testing.assert_close(twice[:, 1:], once[:, 1:])
    with torch.inference_mode():
        sparse, dense = encoder((points, labels), None, None)
        each = [
            decode(decoder, predictor.features, encoder.get_dense_pe(), sparse, dense, again=a)[0]
            for a in (False, True)
        ]
    torch.testing.assert_close(*each)


def test_a_file_of_ours_carries_its_configuration(tmp_path: Path) -> None:
    network = seeded()
    path = tmp_path / "small.safetensors"
    halved: dict[str, Tensor] = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    save_weights(path, halved, {"model": "sam", "config": SMALL.as_dict()})
    loaded, config = load_sam(path)
    assert config == SMALL
    assert not loaded.training
    for name, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, halved[name].to(tensor.dtype))


def test_other_weights_are_refused_by_what_they_look_like(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_weights(path, MMPM(MMPM_CONFIGS["mmpm-tiny"]).state_dict())
    with pytest.raises(CheckpointError, match="holds no SAM, it looks like mmpm-tiny"):
        load_sam(path)
    save_weights(path, {"image_encoder.layer8.x": torch.zeros(1)}, overwrite=True)
    with pytest.raises(CheckpointError, match="does not fit sam-tiny"):
        load_sam(path, "sam-tiny")


def test_an_encoder_begins_as_that_of_an_mmpm() -> None:
    mmpm, sam = MMPM(MMPM_CONFIGS["mmpm-tiny"]), build_sam(CONFIGS["sam-tiny"])
    before = sam.image_encoder.layer32[0].conv1[0].weight.clone()
    begin_encoder(sam.image_encoder, mmpm.state_dict(), "mmpm")
    torch.testing.assert_close(
        sam.image_encoder.layer8[1].conv2[0].weight, mmpm.image_encoder.layer8[1].conv2[0].weight
    )
    torch.testing.assert_close(sam.image_encoder.layer32[0].conv1[0].weight, before)
    with pytest.raises(CheckpointError, match="no image encoder of this kind"):
        begin_encoder(sam.image_encoder, {"key_proj.weight": torch.zeros(1)}, "other")
    with pytest.raises(CheckpointError, match="no image encoder of this kind"):
        begin_encoder(sam.image_encoder, {"image_encoder.stem.0.weight": torch.zeros(1, 3, 3, 3)}, "other")
