"""Clips from pictures with masks: every frame warped by itself, image and mask alike, whoever loads them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.errors import FormatError
from engine.training.data import kind_of, open_data
from engine.training.distributed import Group
from engine.training.pairs import PairClips, find_pairs
from engine.training.settings import TrainSettings
from engine.training.synthesis import SynthesisConfig
from engine.training.warps import (
    FILL,
    WarpRange,
    bends,
    homographies,
    jittered,
    looked_at,
    plane,
    sampled,
)

CONFIG = SynthesisConfig(size=48, frames=3)
STILL = WarpRange(rotation=0, shear=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def add(folder: Path, name: str, size: tuple[int, int] = (60, 90)) -> None:
    """A bright ellipse on a dark ground, and its mask."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.ogrid[: size[0], : size[1]]
    mask = ((y - size[0] / 2) / (size[0] / 4)) ** 2 + ((x - size[1] / 2) / (size[1] / 5)) ** 2 < 1
    image = np.where(mask[..., None], 230, 40).astype(np.uint8).repeat(3, 2)
    Image.fromarray(image).save(folder / f"{name}.jpg", quality=95)
    Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{name}.png")


def test_the_published_layouts_are_found(tmp_path: Path) -> None:
    add(tmp_path / "fss" / "abacus", "1")
    add(tmp_path / "fss" / "cup", "1")
    add(tmp_path / "DUTS-TR", "ILSVRC_1")
    add(tmp_path / "BIG_small", "2007")
    Image.new("RGB", (8, 8)).save(tmp_path / "DUTS-TR" / "alone.jpg")
    found = [str(path.relative_to(tmp_path)) for path in find_pairs(tmp_path)]
    assert found == [
        *["BIG_small/2007.jpg"] * 5,
        "DUTS-TR/ILSVRC_1.jpg",
        "fss/abacus/1.jpg",
        "fss/cup/1.jpg",
    ]
    for part in ("", "fss", "DUTS-TR"):
        assert kind_of(str(tmp_path / part)) == "pairs"
    Image.new("RGB", (8, 8)).save(tmp_path / "lonely.jpg")
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "a.jpg")
    assert kind_of(str(tmp_path / "pictures")) == "pictures"
    wanted = TrainSettings(stage="static", clips=CONFIG)
    assert isinstance(open_data([str(tmp_path / "fss")], wanted, torch.device("cpu")), PairClips)


def test_images_and_masks_move_together(tmp_path: Path) -> None:
    for name, size in (("wide", (60, 90)), ("tall", (90, 60)), ("small", (20, 20))):
        add(tmp_path / "p", name, size)
    images, masks = PairClips([tmp_path / "p"], CONFIG, seeded()).batch(16)
    assert images.shape == (16, 3, 3, 48, 48)
    assert masks.shape == (16, 3, 48, 48)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert 0 <= images.min() <= images.max() <= 1
    assert masks[:, 0].flatten(1).any(1).all(), "the object is seen in frame 0"
    assert (masks[:, 1:] != masks[:, :1]).flatten(2).any(2).all(), "frames differ"
    grey = images.mean(2)
    inside = torch.stack([grey[b, t][masks[b, t] > 0].mean() for b in range(16) for t in range(3) if masks[b, t].any()])
    ground = torch.stack([grey[b, t][masks[b, t] == 0].mean() for b in range(16) for t in range(3)])
    assert inside.mean() > ground.mean() + 0.25


def test_batches_follow_from_the_seed_and_can_be_gone_on_with(tmp_path: Path) -> None:
    for name in "abc":
        add(tmp_path / "p", name)
    first = PairClips([tmp_path / "p"], CONFIG, seeded(3))
    first.batch(2)
    state, position = first.generator.get_state(), first.position
    expected = first.batch(2)
    other = PairClips([tmp_path / "p"], CONFIG, seeded(3))
    other.generator.set_state(state)
    other.position = position
    assert all(torch.equal(a, b) for a, b in zip(expected, other.batch(2), strict=True))
    assert not torch.equal(PairClips([tmp_path / "p"], CONFIG, seeded(4)).batch(2)[0], first.batch(2)[0])


def test_processes_load_their_own_rows(tmp_path: Path) -> None:
    for name in "abc":
        add(tmp_path / "p", name)
    whole = PairClips([tmp_path / "p"], CONFIG, seeded()).batch(4)
    for rank in (0, 1):
        part = PairClips([tmp_path / "p"], CONFIG, seeded(), Group(rank, 2)).batch(4)
        for ours, theirs in zip(part, whole, strict=True):
            assert torch.equal(Group(rank, 2).rows(ours), Group(rank, 2).rows(theirs))


def test_damaged_pairs_are_named(tmp_path: Path) -> None:
    add(tmp_path / "p", "a")
    Image.new("L", (5, 5)).save(tmp_path / "p" / "a.png")
    with pytest.raises(FormatError, match=r"a\.png: 5x5 for a picture of 90x60"):
        PairClips([tmp_path / "p"], CONFIG, seeded()).batch(1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=r"empty: no X\.jpg"):
        PairClips([tmp_path / "empty"], CONFIG, seeded())


def view(size: int, maps: torch.Tensor, bend: torch.Tensor | None = None, half: float = 1.0) -> torch.Tensor:
    return looked_at(maps, bend, torch.zeros(len(maps), 2), torch.full((len(maps),), half), size)


def test_no_warp_shows_the_picture_itself_or_its_mirror_image() -> None:
    pictures, masks = torch.rand(2, 1, 3, 16, 16), (torch.rand(2, 1, 2, 16, 16) < 0.5).float()
    maps = homographies(2, 1, STILL, seeded())
    assert torch.allclose(maps, torch.eye(3).expand(2, 1, 3, 3))
    assert not bends(2, 1, 16, STILL, seeded()).any()
    images, seen = sampled(pictures, masks, view(16, maps))
    assert torch.allclose(images, pictures, atol=1e-5)
    assert torch.equal(seen, masks)
    mirrored, _ = sampled(pictures, masks, view(16, maps, half=-1.0))
    assert torch.allclose(mirrored, pictures.flip(3, 4).flip(3), atol=1e-5)


def test_outside_is_filled_and_belongs_to_nothing() -> None:
    maps = homographies(1, 1, STILL, seeded())
    images, seen = sampled(torch.ones(1, 1, 3, 16, 16), torch.ones(1, 1, 1, 16, 16), view(16, maps, half=2.0))
    assert torch.allclose(images[0, 0, :, 0, 0], torch.tensor(FILL))
    assert seen[0, 0, 0, 0].max() == 0
    assert seen.mean() == pytest.approx(0.25, abs=0.01)


def test_turns_shears_and_zooms_stay_in_their_range() -> None:
    turned = homographies(200, 2, WarpRange(rotation=20, shear=0), seeded())
    angles = torch.atan2(turned[..., 1, 0], turned[..., 0, 0]) * 180 / torch.pi
    assert 15 < angles.abs().max() <= 20.001
    assert torch.allclose(torch.linalg.det(turned), torch.ones(200, 2), atol=1e-5)
    zoomed = homographies(200, 2, WarpRange(rotation=0, shear=0, zoom=(0.9, 1.1)), seeded())
    assert 1 / 1.1 - 1e-6 <= zoomed[..., 0, 0].min() < 0.93
    assert 1.08 < zoomed[..., 0, 0].max() <= 1 / 0.9 + 1e-6
    assert not torch.equal(turned[:, 0], turned[:, 1])


def test_a_bend_is_smooth_and_moves_its_share_of_frames() -> None:
    field = bends(60, 2, 32, WarpRange(rotation=0, shear=0, bent=0.33), seeded())
    moved = field.flatten(2).abs().amax(2) > 1e-4
    assert 0.15 < moved.float().mean() < 0.5
    size = field[moved].abs().mean()
    assert 0.01 < size < 0.1
    assert (field[..., 1:, :, :] - field[..., :-1, :, :]).abs().mean() < 0.2 * size
    assert plane(4, torch.device("cpu"))[0, :, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]


def test_colours_change_a_little_once_a_clip_or_for_each_frame() -> None:
    clips = torch.rand(4, 1, 3, 8, 8).expand(-1, 3, -1, -1, -1)
    once = jittered(clips, (0.1, 0.1, 0.1), False, seeded())
    assert torch.allclose(once[:, 0], once[:, 1], atol=1e-6)
    each = jittered(clips, (0.1, 0.1, 0.1), True, seeded())
    assert not torch.allclose(each[:, 0], each[:, 1], atol=1e-3)
    assert (each - clips).abs().max() < 0.35
    assert torch.equal(jittered(clips, (0, 0, 0), True, seeded()).round(decimals=4), clips.round(decimals=4))
