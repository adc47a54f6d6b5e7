"""Training clips from videos with masks: frames and masks belong together, whatever frames are called."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_videos import HEIGHT, WIDTH, scene, write_frames, write_video

from engine.errors import StoreError
from engine.masks import rle
from engine.store import StoreWriter, open_source
from engine.training import videos as module
from engine.training.synthesis import SynthesisConfig
from engine.training.videos import FURTHEST, VideoClips
from engine.types import Track

CONFIG = SynthesisConfig(size=32, frames=3)


def store(
    path: Path, source: Path | str, numbers: list[int], count: int, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> Path:
    """Masks of the drifting square on the frames called `numbers`."""
    masks = scene(count)[1]
    records = [rle.record(number, 1, np.resize(masks[at], size)) for at, number in enumerate(numbers)]
    with StoreWriter(path) as writer:
        frames = max(numbers) + 1
        writer.add_clip("clip", size[1], size[0], frames, [Track(1, "square")], records, source=str(source))
    return path


def clips(path: Path, seed: int = 0, videos: Path | None = None, config: SynthesisConfig = CONFIG) -> VideoClips:
    return VideoClips(open_source(str(path)), config, torch.Generator().manual_seed(seed), videos)


def brightness_agrees(images: torch.Tensor, masks: torch.Tensor) -> bool:
    """The square is brighter than the ground: in every frame the mask must say where."""
    grey = images.mean(2)
    return all(
        (grey[b, t][masks[b, t] > 0].mean() > grey[b, t][masks[b, t] == 0].mean() + 0.15).item()
        for b in range(len(masks))
        for t in range(masks.shape[1])
        if 20 < masks[b, t].sum() < masks[b, t].numel() - 20
    )


def test_frames_and_masks_belong_together(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", scene(8)[0])
    images, masks = clips(store(tmp_path / "t.h5", video, list(range(8)), 8)).batch(12)
    assert images.shape == (12, 3, 3, 32, 32)
    assert masks.shape == (12, 3, 32, 32)
    assert 0 <= images.min() <= images.max() <= 1
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert masks[:, 0].any(1).any(1).all(), "the object is in the first frame of every clip"
    assert brightness_agrees(images, masks)


def test_frames_called_by_numbers_are_found(tmp_path: Path) -> None:
    numbers = [10 + 5 * at for at in range(8)]
    images, _ = scene(8, speed=4)
    folder = write_frames(tmp_path / "clip", images, [f"{number:05d}" for number in numbers])
    masks = scene(8, speed=4)[1]
    records = [rle.record(number, 1, masks[at]) for at, number in enumerate(numbers)]
    with StoreWriter(tmp_path / "t.h5") as writer:
        writer.add_clip("clip", WIDTH, HEIGHT, 8, [Track(1, "a")], records, source=str(folder), frames=numbers)
    source = clips(tmp_path / "t.h5")
    assert source._clips[0].numbers == numbers
    assert brightness_agrees(*source.batch(12))


def test_only_some_frames_have_masks(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", scene(9)[0])
    every_other = scene(9)[1][::2]
    records = [rle.record(2 * at, 1, mask) for at, mask in enumerate(every_other)]
    with StoreWriter(tmp_path / "t.h5") as writer:
        writer.add_clip("clip", WIDTH, HEIGHT, 9, [Track(1, "a")], records, source=str(video), frames=[0, 2, 4, 6, 8])
    source = clips(tmp_path / "t.h5")
    assert source._clips[0].numbers == [0, 2, 4, 6, 8]
    assert len(source._clips[0].frames) == 5
    assert brightness_agrees(*source.batch(8))


def test_seeds_decide(tmp_path: Path) -> None:
    path = store(tmp_path / "t.h5", write_video(tmp_path / "clip.mp4", scene(8)[0]), list(range(8)), 8)
    once, again, other = (clips(path, seed).batch(3) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not torch.equal(once[0], other[0])


def test_frames_of_a_clip_are_distinct_and_near(tmp_path: Path) -> None:
    path = store(tmp_path / "t.h5", write_video(tmp_path / "clip.mp4", scene(8)[0]), list(range(8)), 8)
    source = clips(path)
    for _ in range(50):
        picked = source._near(20, 40)
        assert picked[0] == 20
        assert len(set(picked)) == 3
        assert all(min(abs(a - b) for b in picked if b != a) <= 2 * FURTHEST for a in picked)
        away = [abs(a - 20) for a in picked]
        assert away == sorted(away)
    assert sorted(source._near(0, 3)) == [0, 1, 2]


def test_videos_are_found_by_the_name_of_the_clip(tmp_path: Path) -> None:
    write_frames(tmp_path / "folders" / "clip", scene(4)[0])
    (tmp_path / "files").mkdir()
    write_video(tmp_path / "files" / "clip.mp4", scene(4)[0])
    path = store(tmp_path / "t.h5", "moved-away.mp4", list(range(4)), 4)
    for folder in ("folders", "files"):
        assert clips(path, videos=tmp_path / folder).batch(1)[0].shape == (1, 3, 3, 32, 32)
    write_frames(tmp_path / "files" / "clip", scene(4)[0])
    with pytest.raises(StoreError, match="several videos"):
        clips(path, videos=tmp_path / "files")
    for nowhere in (None, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match=r"clip clip: its video .* is not there.*--videos"):
            clips(path, videos=nowhere)


def test_what_cannot_be_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "clip.mp4", scene(4)[0])
    with pytest.raises(StoreError, match=r"masks of 80x48, but .* is 64x48"):
        clips(store(tmp_path / "size.h5", video, list(range(4)), 4, (48, 80)))
    with pytest.raises(StoreError, match="3 are needed"):
        clips(store(tmp_path / "short.h5", video, [0, 1], 2))
    monkeypatch.setattr(module, "MEMORY_LIMIT", 1000)
    with pytest.raises(StoreError, match="do not fit"):
        clips(store(tmp_path / "large.h5", video, list(range(4)), 4))
