"""SAM's inference path against the recorded outputs of segment-anything."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sam_golden import case, golden_sam

from engine.models.sam.preprocess import Geometry, network_input, resize_longest_side
from engine.models.sam.prompting import Embedding, Prompter, stability
from engine.models.sam.upsampling import Upsampler

HEIGHT, WIDTH = 96, 128


@pytest.fixture(scope="module")
def core() -> dict[str, np.ndarray]:
    return case("core")


@pytest.fixture(scope="module")
def prompter() -> Prompter:
    return Prompter(golden_sam())


@pytest.fixture(scope="module")
def embedding(core: dict[str, np.ndarray], prompter: Prompter) -> Embedding:
    return prompter.embed(core["image"])


def test_preprocessing(core: dict[str, np.ndarray]) -> None:
    geometry = Geometry.of(HEIGHT, WIDTH, 256)
    assert geometry.resized == tuple(core["input_size"])
    assert np.array_equal(resize_longest_side(core["image"], geometry)[::2, ::2], core["resized"][:, :, :])
    ready = network_input(golden_sam(), core["image"], geometry).numpy()
    assert np.allclose(ready[..., ::16, ::16], core["preprocessed"], atol=1e-6)
    assert np.allclose(geometry.points(core["points"]), core["points_model_frame"], atol=1e-4)


def test_image_features(core: dict[str, np.ndarray]) -> None:
    sam = golden_sam()
    with torch.inference_mode():
        features = sam.image_encoder(network_input(sam, core["image"], Geometry.of(HEIGHT, WIDTH, 256))).numpy()
    assert np.allclose(features[:, ::4, ::2, ::2], core["features"], atol=1e-4)


def _reference(core: dict[str, np.ndarray], points: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and scores of segment-anything's own forward pass, prompt by prompt."""
    sam, geometry = golden_sam(), Geometry.of(HEIGHT, WIDTH, 256)
    found = []
    with torch.inference_mode():
        features = sam.image_encoder(network_input(sam, core["image"], geometry))
        for prompt in geometry.points(points):
            labels = torch.ones(1, len(prompt), dtype=torch.int)
            sparse, dense = sam.prompt_encoder((torch.as_tensor(prompt)[None], labels), None, None)
            found.append(sam.mask_decoder(features, sam.prompt_encoder.get_dense_pe(), sparse, dense, True))
    return torch.cat([logits for logits, _ in found]), torch.cat([scores for _, scores in found])


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_the_shared_decoder_is_the_decoder(
    count: int, core: dict[str, np.ndarray], prompter: Prompter, embedding: Embedding
) -> None:
    points = np.random.default_rng(count).integers(0, (WIDTH, HEIGHT), (11, count, 2))
    logits, scores = _reference(core, points)
    ours = prompter.decode(embedding, points)
    assert torch.allclose(ours.logits, logits, atol=5e-3)
    assert torch.allclose(ours.scores, scores, atol=1e-4)
    assert ((ours.logits > 0) != (logits > 0)).float().mean() < 1e-5


def test_recorded_prompts(core: dict[str, np.ndarray], prompter: Prompter, embedding: Embedding) -> None:
    foreground = np.flatnonzero((core["labels"] == 1).all(1))
    assert len(foreground)
    for index in foreground:
        ours = prompter.decode(embedding, core["points"][[index]])
        assert np.allclose(ours.logits[0, :, ::2, ::2], core["points_low"][index], atol=5e-3)
        assert np.allclose(ours.scores[0], core["points_iou"][index], atol=1e-4)
        assert np.allclose(stability(ours.logits[0], 0.0), core["points_stability"][index], atol=2e-3)
        full = embedding.upsampler.full(ours.logits[0])
        assert np.allclose(full[..., ::4, ::4], core["points_full"][index], atol=5e-3)


def test_a_prompt_gives_the_same_whatever_is_asked_with_it(prompter: Prompter, embedding: Embedding) -> None:
    points = np.random.default_rng(0).integers(0, (WIDTH, HEIGHT), (21, 5, 2))
    together = prompter.decode(embedding, points)
    for chosen in ([3], [20, 3, 7], list(range(20, -1, -1))):
        alone = prompter.decode(embedding, points[chosen])
        assert torch.equal(alone.logits, together.logits[chosen])
        assert torch.equal(alone.scores, together.scores[chosen])


def test_no_prompts_give_no_masks(prompter: Prompter, embedding: Embedding) -> None:
    nothing = prompter.decode(embedding, np.zeros((0, 5, 2)))
    assert nothing.logits.shape == (0, 3, 64, 64) and nothing.scores.shape == (0, 3)


@pytest.mark.parametrize(
    ("size", "side", "low"),
    [((96, 128), 256, 64), ((480, 854), 1024, 256), ((317, 211), 384, 192), ((40, 31), 384, 192)],
)
def test_upsampling_is_two_bilinear_steps(size: tuple[int, int], side: int, low: int) -> None:
    geometry = Geometry.of(*size, side=side)
    ours = Upsampler((low, low), geometry)
    logits = torch.randn(2, low, low, generator=torch.Generator().manual_seed(0)) * 10
    square = F.interpolate(logits[None], (side, side), mode="bilinear", align_corners=False)
    cut = square[..., : geometry.resized[0], : geometry.resized[1]]
    full = F.interpolate(cut, size, mode="bilinear", align_corners=False)[0]
    assert torch.allclose(ours.full(logits), full, atol=2e-4)


@pytest.mark.parametrize(("size", "side", "low"), [((96, 128), 256, 64), ((480, 854), 1024, 256), ((70, 41), 384, 192)])
def test_the_part_around_an_object_is_all_of_it(size: tuple[int, int], side: int, low: int) -> None:
    ours = Upsampler((low, low), Geometry.of(*size, side=side))
    y, x = torch.meshgrid(torch.arange(low), torch.arange(low), indexing="ij")
    for row, column, radius in ((0, 0, 3.2), (20, 30, 11), (5, 40, 0.4), (low // 2, low - 1, 5)):
        logits = radius - torch.hypot(y - row + 0.3, x - column + 0.2)
        full = (ours.full(logits) > 0).numpy()
        assert np.array_equal(ours.boxed(logits, 0.0).whole(*size), full)
    assert ours.boxed(torch.full((low, low), -1.0), 0.0).area == 0


def test_cells_hold_every_pixel_once() -> None:
    ours = Upsampler((64, 64), Geometry.of(96, 128, 256))
    mask = np.random.default_rng(0).random((96, 128)) < 0.3
    counts = ours.pixels_in_cells(mask)
    assert counts.shape == (49, 64) and counts.sum() == mask.sum()
    part = ours.pixels_in_cells(mask[10:50, 20:90], 10, 20)
    inside = np.zeros_like(mask)
    inside[10:50, 20:90] = mask[10:50, 20:90]
    assert np.array_equal(part, ours.pixels_in_cells(inside))
