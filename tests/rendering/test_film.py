"""Drawn frames, films, and the bands of contact sheets."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from rendering_fakes import MemoryClip, MemoryVideo, block

from engine.errors import UsageError
from engine.rendering.bands import Layout, sheet_band, track_bands
from engine.rendering.colours import colour_of
from engine.rendering.film import FOLDER_RATE, SIDE_GAP, Span, Style, draw, film, write_film
from engine.rendering.overlay import overlay
from engine.rendering.scene import Scene
from engine.video import open_video


@pytest.fixture
def scene(moving_clip: MemoryClip) -> Scene:
    return Scene(moving_clip, MemoryVideo(12))


def test_a_frame_is_its_overlay(scene: Scene) -> None:
    shot = next(scene.shots(5))
    assert np.array_equal(draw(shot, scene, Style(alpha=0.3)), overlay(shot.image, shot.masks, 0.3))


def test_side_by_side_keeps_the_frame_on_the_left(scene: Scene) -> None:
    shot = next(scene.shots(5))
    drawn = draw(shot, scene, Style(side_by_side=True))
    assert drawn.shape == (24, 2 * 32 + SIDE_GAP, 3)
    assert np.array_equal(drawn[:, :32], shot.image)
    assert np.array_equal(drawn[:, 32 + SIDE_GAP :], overlay(shot.image, shot.masks))


@pytest.mark.parametrize(("side_by_side", "width"), [(False, 15), (True, 31), (True, 16)])
def test_wide_pictures_are_scaled_before_drawing(scene: Scene, side_by_side: bool, width: int) -> None:
    drawn = draw(next(scene.shots()), scene, Style(side_by_side=side_by_side, max_width=width))
    assert width - 1 <= drawn.shape[1] <= width
    assert colour_of(3) in {tuple(pixel) for pixel in drawn.reshape(-1, 3).tolist()}, "lines keep their full colour"


def test_narrow_pictures_are_left_alone(scene: Scene) -> None:
    assert draw(next(scene.shots()), scene, Style(max_width=4000)).shape == (24, 32, 3)


def test_a_film_shows_frames_without_masks_too(scene: Scene) -> None:
    shots = [shot for shot, _ in film(scene, Span(), Style())]
    assert [shot.index for shot in shots] == list(range(12))
    assert [3 in shot.masks for shot in shots] == [True] * 10 + [False] * 2


def test_written_films_keep_rate_and_length(scene: Scene, tmp_path: Path) -> None:
    seen: list[int] = []
    assert write_film(scene, tmp_path / "a.mp4", Span(), Style(), on_progress=seen.append) == 12
    assert seen == list(range(1, 13))
    with open_video(tmp_path / "a.mp4") as reader:
        assert (reader.count(), reader.info.fps) == (12, Fraction(25))


@pytest.mark.parametrize(
    ("step", "fps", "expected"), [(1, None, Fraction(25)), (5, None, Fraction(5)), (5, 12.0, Fraction(12))]
)
def test_rate_of_films(scene: Scene, tmp_path: Path, step: int, fps: float | None, expected: Fraction) -> None:
    write_film(scene, tmp_path / "a.mp4", Span(0, 10, step), Style(), fps)
    with open_video(tmp_path / "a.mp4") as reader:
        assert reader.info.fps == expected
        assert reader.count() == len(range(0, 10, step))


def test_rate_where_nobody_knows_one(moving_clip: MemoryClip, tmp_path: Path) -> None:
    write_film(Scene(moving_clip, None), tmp_path / "a.mp4", Span(), Style())
    with open_video(tmp_path / "a.mp4") as reader:
        assert reader.info.fps == FOLDER_RATE


def test_folders_of_png_hold_exactly_what_was_drawn(scene: Scene, tmp_path: Path) -> None:
    write_film(scene, tmp_path / "frames", Span(2, 4), Style())
    with open_video(tmp_path / "frames") as reader:
        written = [frame.image for frame in reader]
    assert all(np.array_equal(a, b) for a, (_, b) in zip(written, film(scene, Span(2, 4), Style()), strict=True))


def test_a_span_without_frames_leaves_no_file(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no frame from 50 on"):
        write_film(scene, tmp_path / "a.mp4", Span(start=50), Style())
    assert not list(tmp_path.iterdir())


def test_band_of_a_clip(scene: Scene) -> None:
    band = sheet_band(scene, Span(), Style(), Layout(columns=2, rows=2, width=400))
    assert [caption for _, caption in band.cells] == ["0", "3", "6", "9"]
    assert band.legend == {3: "thing 3", 5: "thing 5"}


def test_bands_of_tracks_show_the_frames_in_which_each_is_seen(scene: Scene) -> None:
    bands = track_bands(scene, Span(), Style(), Layout(columns=3, rows=1, width=400))
    assert [band.title for band in bands] == ["clip: track 3 thing 3", "clip: track 5 thing 5"]
    assert [[caption for _, caption in band.cells] for band in bands] == [["0", "4", "9"], ["4", "5", "6"]]


def test_cuts_keep_the_proportions_of_the_frame_and_hold_the_whole_track() -> None:
    clip = MemoryClip({(0, 1): block(90, 0, 100, 300, 240, 320), (5, 1): block(0, 10, 8, 14, 240, 320)}, "c", 240, 320)
    clip.masks[5, 2] = block(200, 300, 205, 310, 240, 320)
    scene = Scene(clip, MemoryVideo(6, width=320, height=240))
    for band in track_bands(scene, Span(), Style(alpha=1.0, contour=False), Layout(2, 1, 4000)):
        shapes = {image.shape for image, _ in band.cells}
        assert len(shapes) == 1
        height, width, _ = shapes.pop()
        assert width / height == pytest.approx(4 / 3, rel=0.02)
    seen = [int((image == colour_of(2)).all(axis=2).sum()) for image, _ in band.cells]
    assert seen == [50]
