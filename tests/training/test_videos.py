"""Training clips from videos with masks: frames and masks belong together, whatever frames are called."""

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from small_videos import HEIGHT, WIDTH, scene, write_frames, write_video

from engine.errors import StoreError
from engine.masks import rle
from engine.store import StoreWriter, open_source
from engine.training.clip_table import FURTHEST, ClipRules, ClipTable
from engine.training.distributed import Group
from engine.training.footage import Footage
from engine.training.loop import Positioned
from engine.training.mixture import Mixture
from engine.training.synthesis import SynthesisConfig, Synthesizer
from engine.training.videos import VideoClips
from engine.types import MaskRecord, Track
from engine.video import open_video

RULES = ClipRules(size=32, frames=3)


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


def clips(path: Path, seed: int = 0, videos: Path | None = None, rules: ClipRules = RULES) -> VideoClips:
    return VideoClips(open_source(str(path)), rules, torch.Generator().manual_seed(seed), videos)


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
    assert source._table("clip").numbers == numbers
    assert brightness_agrees(*source.batch(12))


def test_only_some_frames_have_masks(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", scene(9)[0])
    every_other = scene(9)[1][::2]
    records = [rle.record(2 * at, 1, mask) for at, mask in enumerate(every_other)]
    with StoreWriter(tmp_path / "t.h5") as writer:
        writer.add_clip("clip", WIDTH, HEIGHT, 9, [Track(1, "a")], records, source=str(video), frames=[0, 2, 4, 6, 8])
    source = clips(tmp_path / "t.h5")
    assert source._table("clip").numbers == [0, 2, 4, 6, 8]
    assert brightness_agrees(*source.batch(8))


def test_seeds_decide(tmp_path: Path) -> None:
    path = store(tmp_path / "t.h5", write_video(tmp_path / "clip.mp4", scene(8)[0]), list(range(8)), 8)
    once, again, other = (clips(path, seed).batch(3) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not torch.equal(once[0], other[0])


def table(path: Path, **rules: Any) -> ClipTable:
    return ClipTable(open_source(str(path)).clip("clip"), dataclasses.replace(RULES, **rules))


def long_store(tmp_path: Path, *tracks: list[MaskRecord], count: int = 40) -> Path:
    with StoreWriter(tmp_path / "long.h5") as writer:
        named = [Track(1 + at, str(at)) for at in range(len(tracks))]
        records = sorted((record for track in tracks for record in track), key=lambda r: (r.frame, r.track))
        writer.add_clip("clip", WIDTH, HEIGHT, count, named, records)
    return tmp_path / "long.h5"


def box(frame: int, track: int, place: tuple[int, int, int, int], score: float = float("nan")) -> MaskRecord:
    """A mask of rows and columns from..to."""
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[place[0] : place[1], place[2] : place[3]] = True
    return dataclasses.replace(rle.record(frame, track, mask), score=score)


def test_frames_of_a_clip_are_distinct_and_go_away_from_the_first(tmp_path: Path) -> None:
    rows = table(long_store(tmp_path, [box(at, 1, (0, 20, 0, 20)) for at in range(40)]))
    rng = np.random.default_rng(0)
    for _ in range(50):
        picked, tracks = rows.choose(rng)
        assert tracks == [1]
        assert len(set(picked)) == 3
        assert all(min(abs(a - b) for b in picked if b != a) <= 2 * FURTHEST for a in picked)
        away = [abs(a - picked[0]) for a in picked]
        assert away == sorted(away)


def test_published_clips_run_forwards_or_backwards(tmp_path: Path) -> None:
    rows = table(long_store(tmp_path, [box(at, 1, (0, 20, 0, 20)) for at in range(40)]), published=True)
    rng = np.random.default_rng(0)
    drawn = [rows.choose(rng)[0] for _ in range(200)]
    forwards = sum(picked == sorted(picked) for picked in drawn)
    assert 70 < forwards < 130
    assert all(picked in (sorted(picked), sorted(picked, reverse=True)) for picked in drawn)
    steps = [abs(a - b) for picked in drawn for a, b in pairwise(picked)]
    assert max(steps) == FURTHEST
    assert min(steps) == 1


def test_tracks_of_low_score_in_any_frame_are_left_out(tmp_path: Path) -> None:
    good = [box(at, 1, (0, 20, 0, 20), 0.95) for at in range(3)]
    once_bad = [box(at, 2, (24, 44, 30, 60), 0.95 if at else 0.5) for at in range(3)]
    path = long_store(tmp_path, good, once_bad, count=3)
    rng = np.random.default_rng(0)
    strict, loose = (table(path, objects=2, min_score=score) for score in (0.9, 0.4))
    assert {tuple(strict.choose(rng)[1]) for _ in range(20)} == {(1,)}
    assert {tuple(loose.choose(rng)[1]) for _ in range(20)} == {(1, 2)}


def test_several_objects_do_not_overlap_in_the_first_frame(tmp_path: Path) -> None:
    places = [(0, 20, 0, 20), (10, 30, 10, 30), (30, 46, 40, 60)]
    path = long_store(
        tmp_path, *([box(at, 1 + i, place) for at in range(3)] for i, place in enumerate(places)), count=3
    )
    rng = np.random.default_rng(0)
    assert {tuple(table(path, objects=3).choose(rng)[1]) for _ in range(40)} == {(1, 3), (2, 3)}
    assert {len(table(path, objects=1).choose(rng)[1]) for _ in range(10)} == {1}


def test_batches_of_several_objects_fill_slots_from_the_first_on(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", scene(5)[0])
    with StoreWriter(tmp_path / "t.h5") as writer:
        squares = [rle.record(at, 1, mask) for at, mask in enumerate(scene(5)[1])]
        low = [box(at, 2, (34, 48, 30, 64)) for at in range(5)]
        records = sorted(squares + low, key=lambda r: (r.frame, r.track))
        writer.add_clip("clip", WIDTH, HEIGHT, 5, [Track(1, "a"), Track(2, "b")], records, source=str(video))
    for published in (False, True):
        rules = dataclasses.replace(RULES, objects=3, published=published)
        images, masks = clips(tmp_path / "t.h5", rules=rules).batch(16)
        assert images.shape == (16, 3, 3, 32, 32)
        assert masks.shape == (16, 3, 3, 32, 32)
        assert 0 <= images.min() <= images.max() <= 1
        assert masks.sum(2).max() == 1, "slots do not overlap"
        used = masks[:, 0].flatten(2).amax(2)
        assert torch.equal(used, used.sort(1, descending=True).values)
        assert used.sum(1).max() == 2
        assert used[:, 0].min() == 1


def test_a_source_goes_on_at_any_batch(tmp_path: Path) -> None:
    path = store(tmp_path / "t.h5", write_video(tmp_path / "clip.mp4", scene(8)[0]), list(range(8)), 8)
    source = clips(path)
    for _ in range(3):
        source.batch(2)
    assert source.position == 3
    state, position = source.generator.get_state(), source.position
    expected = source.batch(2)
    other = clips(path)
    other.batch(5)
    other.generator.set_state(state)
    other.position = position
    assert all(torch.equal(a, b) for a, b in zip(expected, other.batch(2), strict=True))


def test_a_mixture_goes_on_with_all_its_sources(tmp_path: Path) -> None:
    path = store(tmp_path / "t.h5", write_video(tmp_path / "clip.mp4", scene(8)[0]), list(range(8)), 8)

    def mixture() -> Mixture:
        generator = torch.Generator().manual_seed(1)
        drawn = Synthesizer(SynthesisConfig(size=32, frames=3), None, generator)
        videos = [VideoClips(open_source(str(path)), RULES, generator, stream=stream) for stream in (0, 1)]
        return Mixture([drawn, *videos], generator)

    source = mixture()
    for _ in range(6):
        source.batch(1)
    assert isinstance(source, Positioned)
    position, state = source.position, source.generator.get_state()
    assert position[0] is None
    assert sum(position[1:]) in range(1, 7)
    expected = [source.batch(1) for _ in range(6)]
    other = mixture()
    other.generator.set_state(state)
    other.position = position
    for batch in expected:
        assert all(torch.equal(a, b) for a, b in zip(batch, other.batch(1), strict=True))


def test_processes_load_their_own_rows_of_one_batch(tmp_path: Path) -> None:
    path = store(tmp_path / "t.h5", write_video(tmp_path / "clip.mp4", scene(8)[0]), list(range(8)), 8)
    whole = clips(path).batch(4)
    for rank in (0, 1):
        group = Group(rank, 2)
        source = VideoClips(open_source(str(path)), RULES, torch.Generator().manual_seed(0), None, group)
        part = source.batch(4)
        for ours, all_of_it in zip(part, whole, strict=True):
            assert torch.equal(group.rows(ours), group.rows(all_of_it))
        assert not Group(1 - rank, 2).rows(part[1]).any(), "the other rows are not loaded"


def test_frames_are_kept_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = scene(6)[0]
    folder = write_frames(tmp_path / "frames", images)
    opened: list[Path] = []
    monkeypatch.setattr("engine.training.footage.open_video", lambda path: opened.append(path) or open_video(path))
    small = Footage(kept_bytes=3 * images[0].nbytes)
    size = (WIDTH, HEIGHT)
    assert all(
        np.array_equal(a, b) for a, b in zip(small.frames(folder, [1, 4], size), [images[1], images[4]], strict=True)
    )
    small.frames(folder, [4, 1], size)
    assert len(opened) == 1, "kept"
    small.frames(folder, [0, 2, 3], size)
    assert np.array_equal(small.frames(folder, [1], size)[0], images[1])
    assert len(opened) == 3, "thrown out and read again"
    assert small._bytes <= small.kept_bytes
    with pytest.raises(StoreError, match="has no frame 9"):
        small.frames(folder, [9], size)


def test_a_video_file_is_decoded_once_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "clip.mp4", scene(6)[0])
    opened: list[Path] = []
    monkeypatch.setattr("engine.training.footage.open_video", lambda path: opened.append(path) or open_video(path))
    room, tight = Footage(), Footage(kept_bytes=1)
    for number in (5, 0, 3):
        for footage in (room, tight):
            (frame,) = footage.frames(video, [number], (WIDTH // 2, HEIGHT // 2))
            assert frame.shape == (HEIGHT // 2, WIDTH // 2, 3)
            assert (
                np.abs(
                    frame.astype(int)
                    - cv2.resize(scene(6)[0][number], (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
                ).mean()
                < 12
            )
    assert len(opened) == 1 + 3


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


def test_what_cannot_be_trained_on(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", scene(4)[0])
    with pytest.raises(StoreError, match=r"masks of 80x48, but .* is 64x48"):
        clips(store(tmp_path / "size.h5", video, list(range(4)), 4, (48, 80)))
    with pytest.raises(StoreError, match="3 are needed"):
        clips(store(tmp_path / "short.h5", video, [0, 1], 2))
