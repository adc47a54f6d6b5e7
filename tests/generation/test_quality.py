"""The granularity tree, quality filters, cuts and names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_videos import write_frames

from engine.errors import UsageError
from engine.generation.plan import ClipTask, Split, named, parse_shard, plan, shard, tasks_of
from engine.generation.quality import QualitySettings, judge
from engine.generation.scenes import cuts
from engine.generation.tree import Containment, Place
from engine.masks import rle
from engine.masks.boxed import BoxedMask
from engine.store import StoreReader, StoreWriter
from engine.store.ancestry import remaining
from engine.types import Frame, MaskRecord, Track


def box(top: int, left: int, height: int, width: int) -> BoxedMask:
    return BoxedMask(top, left, np.ones((height, width), np.bool_))


CAR, WHEEL, HUB, OTHER = box(0, 0, 20, 40), box(10, 5, 8, 8), box(12, 7, 3, 3), box(30, 30, 5, 5)
NOTHING = box(0, 0, 0, 0)


def test_a_part_belongs_to_the_smallest_that_contains_it() -> None:
    tree = Containment()
    tree.add({0: CAR, 1: WHEEL, 2: HUB, 3: OTHER})
    assert tree.tree() == {0: Place(None, 0), 1: Place(0, 1), 2: Place(1, 2), 3: Place(None, 0)}


def test_most_frames_decide() -> None:
    tree = Containment()
    away = box(40, 40, 8, 8)
    tree.add({0: CAR, 1: WHEEL})
    tree.add({0: CAR, 1: away})
    assert tree.tree()[1] == Place(None, 0)  # half is not most
    tree.add({0: CAR, 1: WHEEL})
    tree.add({0: CAR, 1: NOTHING})  # not to be seen, so it does not count
    assert tree.tree()[1] == Place(0, 1)


def test_nine_tenths_inside_are_inside() -> None:
    tree = Containment()
    tree.add({0: box(0, 0, 10, 20), 1: box(9, 0, 10, 1), 2: box(1, 5, 10, 1)})
    assert tree.tree()[1].parent is None and tree.tree()[2].parent == 0


def test_equal_masks_make_no_circle() -> None:
    tree = Containment()
    tree.add({4: CAR, 7: CAR})
    assert tree.tree() == {4: Place(None, 0), 7: Place(4, 1)}


def test_the_tree_can_be_saved() -> None:
    tree, copy = Containment(), Containment()
    tree.add({0: CAR, 1: WHEEL})
    copy.load_state(tree.state())
    for each in (tree, copy):
        each.add({0: CAR, 1: WHEEL, 2: HUB})
    assert tree.tree() == copy.tree()


@pytest.fixture
def clip(tmp_path: Path):
    """Tracks 0 and 1 alike, 2 seen once, 3 badly linked, 4 inside 3."""
    big, like = np.zeros((40, 60), np.bool_), np.zeros((40, 60), np.bool_)
    big[5:25, 5:25] = like[5:25, 6:25] = True
    poor, inner = np.zeros((40, 60), np.bool_), np.zeros((40, 60), np.bool_)
    poor[10:30, 30:55] = inner[15:20, 35:40] = True
    records: list[MaskRecord] = []
    for frame in range(4):
        seen = {0: big, 1: like, 2: big & (frame == 1), 3: poor, 4: inner}
        if frame == 3:
            seen[0] = big & False
        for track, mask in seen.items():
            score = 0.2 if track == 3 else 0.9
            records.append(replace(rle.record(frame, track, mask), warped_iou=score if mask.any() else 0.0))
    tracks = [Track(i, str(i), 0, parent, level) for i, parent, level in
              ((0, None, 0), (1, 0, 1), (2, None, 0), (3, 0, 1), (4, 3, 2))]  # fmt: skip
    with StoreWriter(tmp_path / "s.h5") as writer:
        writer.add_clip("c", 60, 40, 4, tracks, records)
    with StoreReader(tmp_path / "s.h5") as store:
        yield store.clip("c")


def test_each_filter(clip) -> None:
    assert judge(clip, QualitySettings(), {}) == {}
    assert judge(clip, QualitySettings(min_length=2), {}) == {2: "length"}
    assert judge(clip, QualitySettings(min_mean_iou=0.5), {}) == {3: "mean iou"}
    agreement = {0: 0.9, 1: 0.8, 2: 1.0, 3: 0.7, 4: 0.2}
    assert judge(clip, QualitySettings(min_agreement=0.75), agreement) == {3: "agreement", 4: "agreement"}


def test_of_duplicates_the_one_seen_longer_stays(clip) -> None:
    # Both are there in three frames with IoU 0.95, track 1 in a fourth: mean 0.7125 over the frames of either.
    assert judge(clip, QualitySettings(duplicate_iou=0.7), {}) == {0: "duplicate"}
    assert judge(clip, QualitySettings(duplicate_iou=0.72), {}) == {}


def test_parts_of_what_is_gone_go_to_the_next_larger(clip) -> None:
    kept = remaining(clip.tracks, {3: "mean iou"})
    assert [(t.id, t.parent, t.level) for t in kept] == [(0, None, 0), (1, 0, 1), (2, None, 0), (4, 0, 1)]
    assert [(t.id, t.parent, t.level) for t in remaining(clip.tracks, {0: "", 3: ""})][-1] == (4, None, 0)


def _scene(seed: int, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    wide = rng.integers(0, 256, (12, 40, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    return [np.ascontiguousarray(wide[:, 4 * t : 4 * t + 128]) for t in range(count)]


def _frames(images: list[np.ndarray]) -> list[Frame]:
    return [Frame(index, image, f"{index:05d}") for index, image in enumerate(images)]


def test_cuts_are_found_and_motion_is_none() -> None:
    assert cuts(_frames(_scene(0, 12) + _scene(1, 8) + _scene(2, 10))) == [12, 20]
    assert cuts(_frames(_scene(0, 20))) == []
    flash = [*_scene(0, 6), np.full((96, 128, 3), 255, np.uint8), *_scene(0, 12)[7:]]
    assert cuts(_frames(flash)) == []


def test_videos_taken_apart_at_cuts(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "film", _scene(0, 6) + _scene(1, 5))
    assert tasks_of("film", str(folder), Split(scenes=True)) == [
        ClipTask("film_scene0", str(folder), 0, 6),
        ClipTask("film_scene1", str(folder), 6, 11),
    ]
    assert [(t.name, t.start, t.stop) for t in tasks_of("film", str(folder), Split(4, True))] == [
        ("film_scene0_bin0", 0, 4),
        ("film_scene1_bin0", 6, 10),
    ]


def test_names_are_unique(tmp_path: Path) -> None:
    for place in ("x/1", "y/1", "y/2"):
        write_frames(tmp_path / place, _scene(0, 1))
    sources = [str(tmp_path / place) for place in ("x/1", "y/1", "y/2", "y/2")]
    assert [name for name, _ in named(sources)] == ["x/1", "y/1", "y/2", "y/2-2"]
    twins = [str(tmp_path / path) for path in ("x/a.mp4", "x/a.mkv", "x/a-2.mp4", "y/a-2.mp4")]
    for twin in twins:
        Path(twin).parent.mkdir(exist_ok=True)
        Path(twin).touch()
    assert [name for name, _ in named(twins)] == ["x/a", "x/a-3", "x/a-2", "y/a-2"]


def test_clips_of_one_name_are_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "film", _scene(0, 6) + _scene(1, 6))
    write_frames(tmp_path / "film_scene0", _scene(2, 2))
    videos = [(name, str(tmp_path / name)) for name in ("film", "film_scene0")]
    with pytest.raises(UsageError, match="both have a clip named film_scene0: rename"):
        plan(videos, Split(scenes=True), lambda name, error: None)
    assert len(plan(videos, Split(), lambda name, error: None)) == 2


def test_every_video_is_in_one_shard() -> None:
    videos = [(str(i), str(i)) for i in range(7)]
    parts = [shard(videos, parse_shard(f"{i}/3")) for i in (1, 2, 3)]
    assert sorted(video for part in parts for video in part) == videos
    for text in ("0/3", "4/3", "3", "a/b"):
        with pytest.raises(UsageError):
            parse_shard(text)
