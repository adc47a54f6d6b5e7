"""Synthetic clips: seeded, in range, and their masks are what can be seen of the target."""

import numpy as np
import pytest
import torch

from engine.training.motion import MotionRange
from engine.training.pictures import HEIGHT, WIDTH, PicturePool
from engine.training.synthesis import SynthesisConfig, Synthesizer
from engine.training.textures import blob, parts, smooth_noise, texture

CONFIG = SynthesisConfig(size=48, frames=3)


def pool() -> PicturePool:
    """Two pictures; the first has a red square as its only region, the second has none."""
    images = torch.full((2, 3, HEIGHT, WIDTH), 40, dtype=torch.uint8)
    partition = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.int16)
    partition[0, 100:200, 160:320] = 4
    images[0, 0, 100:200, 160:320] = 250
    box = torch.tensor([[0.0, -0.0625, 80 / 240, 50 / 160]])
    return PicturePool(images, partition, torch.tensor([0]), torch.tensor([[0, 4]]), box)


def synthesizer(seed: int = 0, pictures: PicturePool | None = None, config: SynthesisConfig = CONFIG) -> Synthesizer:
    return Synthesizer(config, pictures, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("pictures", [None, pool()], ids=["drawn", "pictures"])
def test_clips_follow_from_the_seed(pictures: PicturePool | None) -> None:
    once, again, other = (synthesizer(seed, pictures).batch(3) for seed in (4, 4, 5))
    assert torch.equal(once[0], again[0])
    assert torch.equal(once[1], again[1])
    assert not torch.equal(once[0], other[0])
    assert not torch.equal(once[1], other[1])


@pytest.mark.parametrize("pictures", [None, pool()], ids=["drawn", "pictures"])
def test_shapes_ranges_and_a_target_in_frame_0(pictures: PicturePool | None) -> None:
    images, masks = synthesizer(1, pictures).batch(24)
    assert images.shape == (24, 3, 3, 48, 48)
    assert masks.shape == (24, 3, 48, 48)
    assert images.min() >= 0
    assert images.max() <= 1
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert (masks[:, 0].mean((1, 2)) >= CONFIG.smallest_visible).all()
    assert (images[:, 1] != images[:, 0]).any()


def test_a_source_goes_on_where_its_generator_is() -> None:
    source = synthesizer(2)
    source.batch(2)
    state = source.generator.get_state()
    expected = source.batch(2)
    other = synthesizer(9)
    other.generator.set_state(state)
    assert all(torch.equal(a, b) for a, b in zip(expected, other.batch(2), strict=True))


def layers(*planes: tuple[float, int, tuple[int, int] | None]) -> torch.Tensor:
    """Canvases (1, L, 5, 8, 8): grey value, opaque columns from.., target columns from..to or None."""
    canvases = torch.zeros(1, len(planes), 5, 8, 8)
    for canvas, (grey, opaque, target) in zip(canvases[0], planes, strict=True):
        canvas[:3], canvas[3, :, opaque:] = grey, 1
        if target is not None:
            canvas[4, :, target[0] : target[1]] = 1
    return canvases


def compose(canvases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The layers of one frame laid over each other without movement."""
    config = SynthesisConfig(size=8, frames=1)
    line = (torch.arange(8) + 0.5) / 4 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    grids = torch.stack([x, y], -1).expand(1, canvases.shape[1], 1, 8, 8, 2)
    images, masks = synthesizer(config=config)._compose(canvases, grids)
    return images[0, 0], masks[0, 0]


def test_the_mask_is_the_part_that_nothing_hides() -> None:
    image, mask = compose(layers((0.1, 0, None), (0.5, 2, (2, 8)), (0.9, 6, None)))
    assert torch.allclose(image[0, 0], torch.tensor([0.1, 0.1, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9]), atol=1e-5)
    assert mask[0].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]


def test_a_part_is_less_than_its_whole() -> None:
    _, mask = compose(layers((0.1, 0, None), (0.5, 2, (3, 5))))
    assert mask[0].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]


def test_a_region_of_the_background_is_hidden_by_objects() -> None:
    _, mask = compose(layers((0.1, 0, (0, 4)), (0.5, 3, None)))
    assert mask[0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


def test_one_layer_a_clip_is_the_target() -> None:
    source = synthesizer(3)
    canvases = torch.rand(40, 4, 5, 6, 6).round()
    canvases[:, :, 3] = 1
    before = canvases.clone()
    source._choose_target(canvases)
    chosen = canvases[:, :, 4].flatten(2).any(2)
    assert (chosen.sum(1) <= 1).all()
    assert chosen.any(0).all(), "every layer gets its turn, the background too"
    assert torch.equal(canvases[:, :, :4], before[:, :, :4])
    parts_kept = canvases[:, 0, 4]
    assert torch.equal(parts_kept[chosen[:, 0]], before[chosen[:, 0], 0, 4]), "of the background only a region"


def test_absent_objects_are_never_the_target() -> None:
    canvases = torch.ones(60, 3, 5, 4, 4)
    canvases[:, 2, 3:] = 0
    synthesizer(1)._choose_target(canvases)
    assert not canvases[:, 2, 4].any()


def test_without_movement_the_mask_stays() -> None:
    still = MotionRange(slowest=1e-9, fastest=1e-8, rotation=0, zoom=0, deformation=0)
    _, masks = synthesizer(2, config=SynthesisConfig(size=48, frames=3, motion=still)).batch(8)
    assert torch.equal(masks[:, 1], masks[:, 0])
    assert torch.equal(masks[:, 2], masks[:, 0])
    _, moving = synthesizer(2).batch(8)
    assert not torch.equal(moving[:, 2], moving[:, 0])


def test_textures_and_shapes() -> None:
    generator = torch.Generator().manual_seed(0)
    picture, shape, part = texture(6, 32, generator), blob(6, 32, generator), parts(6, 32, generator)
    assert picture.shape == (6, 3, 32, 32)
    assert 0 <= picture.min() <= picture.max() <= 1
    for mask in (shape, part):
        assert mask.shape == (6, 32, 32)
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert (shape[:, 15:17, 15:17] == 1).all(), "a shape holds its centre"
    assert not shape[:, [0, -1]].any(), "and ends before the border"
    noise = smooth_noise(4, 2, 3, 32, generator)
    assert np.abs(np.diff(noise.numpy(), axis=3)).max() < 0.7 * noise.abs().max().item()
