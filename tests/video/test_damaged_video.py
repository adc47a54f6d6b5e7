"""Videos that are no videos, or not whole ones: one clear line each."""

from pathlib import Path

import numpy as np
import pytest
from video_clips import cut, encode, picture, pictures

from engine.errors import VideoError
from engine.types import Frame
from engine.video import open_video
from engine.video.damage import missing_bytes

AT_OPENING = [
    ("missing.mp4", "no such file or folder"),
    ("text.mp4", "not a video file"),
    ("playlist.mp4", "not a video file"),
    ("noise.mp4", "not a video file"),
    ("empty.mp4", "the file is empty"),
    ("no-index.mp4", "moov atom not found"),
    ("zero.mp4", "holds no frame"),
    ("zero.avi", "holds no frame"),
    ("sound.mp4", "no video stream, only audio"),
]


@pytest.mark.parametrize(("name", "reason"), AT_OPENING)
def test_unusable_files_are_refused_at_once(damaged: Path, name: str, reason: str) -> None:
    with pytest.raises(VideoError, match=reason) as caught:
        open_video(damaged / name)
    assert name in caught.value.what
    assert caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".gif"])
def test_a_cut_off_file_ends_with_an_error(damaged: Path, suffix: str) -> None:
    frames, error = read_until_error(damaged / f"cut{suffix}")
    assert 5 < len(frames) < 50
    assert f"decoding stopped at frame {len(frames)}" in error.what
    assert [frame.time for frame in frames] == pytest.approx([index / 25 for index in range(len(frames))], abs=0.005)
    for frame in frames:
        assert np.abs(frame.image.astype(int) - picture(frame.index)).mean() < 30


def test_counting_a_cut_off_file_is_an_error_too(damaged: Path) -> None:
    with pytest.raises(VideoError, match=r"decoding stopped at frame \d+ of 60"):
        open_video(damaged / "cut.mp4").count()


def test_frames_before_the_damage_can_be_had(damaged: Path) -> None:
    assert len(list(open_video(damaged / "cut.mp4").frames(stop=5))) == 5


def test_damage_in_the_middle_names_the_frame(damaged: Path) -> None:
    frames, error = read_until_error(damaged / "scrambled.mp4")
    assert 0 < len(frames) < 60
    assert f"scrambled.mp4: decoding stopped at frame {len(frames)} of 60" in error.what


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv", "long.avi", "long.gif", "kind.mov", "kind.webm"])
def test_whole_files_lack_nothing(clips: Path, name: str) -> None:
    assert missing_bytes(clips / name) == 0


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.35, 0.7, 0.95, 0.999])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".gif"])
def test_a_cut_anywhere_is_an_error_or_costs_no_frame(clips: Path, suffix: str, fraction: float) -> None:
    path = cut(clips / f"long{suffix}", fraction, f"cut-{fraction}{suffix}")
    try:
        assert len(list(open_video(path))) == 60
    except VideoError as error:
        assert path.name in error.what


def test_a_declared_duration_tells_where_sizes_do_not(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.wmv", pictures(100), codec="wmv2", pix_fmt="yuv420p")
    assert missing_bytes(whole) is None
    assert open_video(whole).count() == 100
    frames, error = read_until_error(cut(whole, 0.4, "cut.wmv"))
    assert f"cut.wmv: decoding stopped at frame {len(frames)}" in error.what


def test_text_is_of_unknown_length(damaged: Path) -> None:
    assert missing_bytes(damaged / "text.mp4") is None


def read_until_error(path: Path) -> tuple[list[Frame], VideoError]:
    frames: list[Frame] = []
    with pytest.raises(VideoError) as caught:
        frames.extend(open_video(path))
    return frames, caught.value
