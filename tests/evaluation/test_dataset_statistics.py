"""The columns of Table 1, counted once more on arrays."""

import numpy as np
import pytest
from evaluation_sources import MemoryClip, MemorySource, index_source, moving, source, square

from engine.evaluation import dataset_statistics


def test_density_is_the_mean_share_of_covered_pixels_over_annotated_frames() -> None:
    tracks = {"a": moving(range(4)), "b": moving(range(1, 4), 6)}
    wanted = [np.logical_or.reduce([masks[f] for masks in tracks.values() if f in masks]).mean() for f in range(4)]
    found = dataset_statistics(source({"v": tracks})).total
    assert found.density == pytest.approx(np.mean(wanted), abs=1e-12)
    assert (found.masks, found.tracks, found.frames) == (7, 2, 4)
    assert found.masks_per_frame == 7 / 4


def test_every_annotated_frame_weighs_the_same_whatever_its_clip() -> None:
    full, none = np.ones((40, 60), bool), np.zeros((40, 60), bool)
    clips = {"long": {"x": dict.fromkeys(range(9), none)}, "short": {"x": {0: full}}}
    found = dataset_statistics(source(clips))
    assert found.total.density == pytest.approx(0.1)
    assert found.clips["short"].density == 1 and found.clips["long"].density == 0


def test_empty_masks_annotate_a_frame_and_are_no_masks() -> None:
    empty = np.zeros((40, 60), bool)
    found = dataset_statistics(source({"v": {"x": {0: square(3), 1: empty}, "never": {0: empty, 1: empty}}})).total
    assert (found.masks, found.tracks, found.frames) == (1, 1, 2)


def test_frames_without_any_row_are_not_annotated() -> None:
    clip = MemoryClip("v", {"x": moving([0, 5])}, frames=range(10))
    assert dataset_statistics(MemorySource([clip])).total.frames == 2


def test_label_images_annotate_every_frame() -> None:
    values = np.zeros((3, 40, 60), np.uint8)
    values[0, :20], values[0, 20:] = 1, 2
    values[1, :20] = 1
    found = dataset_statistics(index_source({"v": values})).total
    assert (found.masks, found.tracks) == (3, 2)
    assert found.covered == pytest.approx(1.5)


def test_the_document_has_the_columns_of_the_table() -> None:
    document = dataset_statistics(source({"v": {"x": moving(range(3))}, "w": {"x": moving(range(2))}})).as_dict()
    assert document["videos"] == 2 and [clip["name"] for clip in document["clips"]] == ["v", "w"]
    columns = {"density", "masks", "mask_tracks", "masks_per_frame", "annotated_frames"}
    assert columns <= set(document) and columns < set(document["clips"][0])


def test_only_the_named_clips_are_counted_and_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    both = source({"v": {"x": moving(range(3))}, "w": {"x": moving(range(2))}})
    found = dataset_statistics(both, ["w"], lambda done, total: seen.append((done, total)))
    assert list(found.clips) == ["w"] and seen == [(1, 1)]
