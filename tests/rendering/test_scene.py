"""Which mask belongs to which frame, and which frames are read."""

import numpy as np
import pytest
from rendering_fakes import MemoryClip, MemoryVideo, block

from engine.errors import MaskError, UsageError
from engine.rendering.scene import BLANK_GREY, Scene
from engine.types import Track


def clip_of(numbers: list[int]) -> MemoryClip:
    """Track 1, whose mask in frame n is one pixel in column n."""
    return MemoryClip({(n, 1): block(3, n % 32, 4, n % 32 + 1) for n in numbers})


def paired(scene: Scene) -> dict[int, int]:
    """Index of the frame -> column of the mask's pixel."""
    return {shot.index: int(np.nonzero(shot.masks[1])[1][0]) for shot in scene.shots() if shot.masks}


def test_numbers_are_indices_in_a_video_file() -> None:
    assert paired(Scene(clip_of([0, 2, 5]), MemoryVideo(4))) == {0: 0, 2: 2}


def test_numbers_are_those_in_image_names() -> None:
    video = MemoryVideo(4, ["00000", "00002", "00004", "00006"])
    assert paired(Scene(clip_of([0, 4, 6]), video)) == {0: 0, 2: 4, 3: 6}


def test_numbers_that_no_image_has_are_indices() -> None:
    video = MemoryVideo(4, ["00000", "00002", "00004", "00006"])
    assert paired(Scene(clip_of([0, 1, 2, 3]), video)) == {0: 0, 1: 1, 2: 2, 3: 3}


def test_frames_counted_from_one() -> None:
    video = MemoryVideo(3, ["img_0001_left", "img_0002_left", "img_0003_left"])
    assert paired(Scene(clip_of([1, 3]), video)) == {0: 1, 2: 3}
    assert paired(Scene(clip_of([0, 1, 2]), video)) == {0: 0, 1: 1, 2: 2}


def test_more_masks_than_images_still_go_by_name() -> None:
    scene = Scene(clip_of(list(range(7))), MemoryVideo(4, ["0", "2", "4", "6"]))
    assert paired(scene) == {0: 0, 1: 2, 2: 4, 3: 6}
    assert scene.beyond(4) == [1, 3, 5]


@pytest.mark.parametrize("stems", [["a", "b", "c"], ["x1", "y1", "z2"]])
def test_names_without_numbers_or_with_equal_ones_are_counted(stems: list[str]) -> None:
    assert paired(Scene(clip_of([0, 2]), MemoryVideo(3, stems))) == {0: 0, 2: 2}


def test_masks_beyond_the_end_of_a_video_are_named() -> None:
    assert Scene(clip_of([0, 1, 8, 9]), MemoryVideo(5)).beyond(5) == [8, 9]


def test_without_a_video_the_clip_s_frames_are_grey() -> None:
    scene = Scene(clip_of([10, 20, 30]), None)
    shots = list(scene.shots(start=1))
    assert [(shot.index, shot.number) for shot in shots] == [(1, 20), (2, 30)]
    assert (shots[0].image == BLANK_GREY).all()
    assert scene.length == 3
    assert scene.beyond(3) == []


def test_spans() -> None:
    scene = Scene(clip_of([0]), MemoryVideo(10))
    assert [shot.index for shot in scene.shots(2, 9, 3)] == [2, 5, 8]
    assert scene.indices([0, 2, 3, 5, 8, 12], start=2, stop=9, step=3) == [2, 5, 8]


def test_chosen_frames_of_images_are_read_alone() -> None:
    video = MemoryVideo(100, [str(i) for i in range(100)])
    assert [shot.index for shot in Scene(clip_of([0]), video).chosen([70, 3, 3])] == [3, 70]
    assert video.asked == [3, 70]


def test_chosen_frames_of_a_file_are_read_in_one_pass_to_the_last() -> None:
    video = MemoryVideo(100)
    assert [shot.index for shot in Scene(clip_of([0]), video).chosen([7, 3])] == [3, 7]
    assert video.asked == [3, 4, 5, 6, 7]
    assert list(Scene(clip_of([0]), video).chosen([])) == []


def test_only_the_tracks_that_are_asked_for() -> None:
    clip = MemoryClip({(0, 1): block(0, 0, 4, 4), (0, 2): block(5, 5, 9, 9)})
    assert set(next(Scene(clip, None, {2}).shots()).masks) == {2}
    with pytest.raises(UsageError, match="clip clip: no track 7: it has 1, 2"):
        Scene(clip, None, {7})


def test_a_track_without_masks_is_shown_nowhere_but_has_a_name() -> None:
    clip = MemoryClip({(0, 1): block(0, 0, 4, 4)}, extra_tracks=[Track(9, "ghost")])
    scene = Scene(clip, None)
    assert scene.names[9] == "ghost"
    assert set(next(scene.shots()).masks) == {1}


def test_masks_of_another_size_than_the_video_are_refused_with_both_sizes() -> None:
    with pytest.raises(MaskError, match=r"clip clip: its masks are 32x24, the video memory is 64x48: .*--video"):
        Scene(clip_of([0]), MemoryVideo(3, width=64, height=48))
