"""Healthy video files: frames, times, turns, sizes, pixel formats."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_clips import encode, picture, pictures

from engine.errors import UsageError, VideoError
from engine.video import open_video


def test_lossless_frames_are_equal(clips: Path) -> None:
    with open_video(clips / "cfr.mkv") as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(12))
    assert frames[3].name == "00003"
    for frame in frames:
        assert np.array_equal(frame.image, picture(frame.index))


def test_info_and_count(clips: Path) -> None:
    reader = open_video(clips / "cfr.mkv")
    info = reader.info
    assert (info.width, info.height, info.fps, info.name) == (64, 48, Fraction(30000, 1001), "cfr")
    assert info.frame_count is None
    assert reader.count() == 12


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi", ".webm", ".gif"])
def test_every_kind_yields_all_frames(clips: Path, suffix: str) -> None:
    reader = open_video(clips / f"kind{suffix}")
    frames = list(reader)
    assert len(frames) == reader.count() == 12
    assert frames[-1].time == pytest.approx(11 / 25, abs=0.005)
    assert np.abs(frames[5].image.astype(int) - picture(5)).mean() < 30


@pytest.mark.parametrize(
    ("start", "stop", "step", "expected"),
    [(0, None, 5, [0, 5, 10]), (3, 6, 1, [3, 4, 5]), (4, 12, 3, [4, 7, 10]), (5, 5, 1, []), (20, None, 1, [])],
)
def test_frames_of_a_range(clips: Path, start: int, stop: int | None, step: int, expected: list[int]) -> None:
    frames = list(open_video(clips / "cfr.mkv").frames(start, stop, step))
    assert [frame.index for frame in frames] == expected
    assert all(np.array_equal(frame.image, picture(frame.index)) for frame in frames)


@pytest.mark.parametrize("arguments", [(-1, None, 1), (0, -1, 1), (0, None, 0)])
def test_impossible_ranges_are_refused(clips: Path, arguments: tuple[int, int | None, int]) -> None:
    with pytest.raises(UsageError, match="step is 1 or more"):
        open_video(clips / "cfr.mkv").frames(*arguments)


def test_two_passes_at_once(clips: Path) -> None:
    reader = open_video(clips / "cfr.mkv")
    for one, other in zip(reader, reader.frames(0), strict=True):
        assert np.array_equal(one.image, other.image)


def test_variable_rate_keeps_time_stamps(tmp_path: Path) -> None:
    stamps = [1000, 1040, 1100, 1110, 1400]
    path = encode(tmp_path / "vfr.mkv", pictures(5), milliseconds=stamps)
    assert [frame.time for frame in open_video(path)] == pytest.approx([0, 0.04, 0.1, 0.11, 0.4])


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
def test_display_matrix_is_applied(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    path = encode(
        tmp_path / "turned.mp4",
        pictures(2, 64, 48),
        codec="png",
        pix_fmt="rgb24",
        before=lambda stream: stream.set_display_rotation(degrees, hflip=mirrored),
    )
    expected = np.rot90(picture(1), degrees // 90)
    expected = expected[:, ::-1] if mirrored else expected
    reader = open_video(path)
    assert (reader.info.height, reader.info.width) == expected.shape[:2]
    assert np.array_equal(list(reader)[1].image, expected)


@pytest.mark.parametrize(("width", "height"), [(63, 47), (1, 1), (17, 2), (33, 64)])
def test_odd_sizes(tmp_path: Path, width: int, height: int) -> None:
    path = encode(tmp_path / "odd.mkv", pictures(3, width, height))
    assert all(np.array_equal(frame.image, picture(frame.index, width, height)) for frame in open_video(path))


def test_grey_video(tmp_path: Path) -> None:
    grey = [np.full((48, 64), 10 * value, np.uint8) for value in range(5)]
    path = encode(tmp_path / "grey.mkv", grey, pix_fmt="gray", array_format="gray")
    assert [set(np.unique(frame.image)) for frame in open_video(path)] == [{0}, {10}, {20}, {30}, {40}]


def test_alpha_is_composed_over_black(tmp_path: Path) -> None:
    rgba = np.dstack([picture(0), np.full((48, 64), 255, np.uint8)])
    rgba[:10, :, 3], rgba[10:20, :, 3] = 0, 128
    path = encode(tmp_path / "alpha.mov", [rgba], codec="png", pix_fmt="rgba", array_format="rgba")
    image = next(iter(open_video(path))).image
    assert not image[:10].any()
    assert np.abs(image[10:20].astype(float) - picture(0)[10:20] * (128 / 255)).max() <= 0.5
    assert np.array_equal(image[20:], picture(0)[20:])


def test_ten_bit_video(tmp_path: Path) -> None:
    path = encode(tmp_path / "deep.mkv", pictures(2), pix_fmt="yuv444p10le")
    assert np.abs(next(iter(open_video(path))).image.astype(int) - picture(0)).max() <= 3


def test_a_change_of_size_is_named(tmp_path: Path) -> None:
    one = encode(tmp_path / "one.mpg", pictures(3, 64, 48), codec="mpeg2video", pix_fmt="yuv420p")
    two = encode(tmp_path / "two.mpg", pictures(3, 96, 64), codec="mpeg2video", pix_fmt="yuv420p")
    path = tmp_path / "both.mpg"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    with pytest.raises(VideoError, match=r"both.mpg: frame \d is 96x64, the first is 64x48"):
        list(open_video(path))


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    path = tmp_path / "many.avi"
    encode(path, (picture(index, 160, 120) for index in range(3000)), codec="mpeg4", pix_fmt="yuv420p")
    early, count = 0, 0
    for count, _frame in enumerate(open_video(path), start=1):
        if count == 300:
            early = resident()
    assert count == 3000
    assert resident() - early < 10 * 2**20  # the frames together are 173 MB


def resident() -> int:
    """Bytes of memory that this process holds."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0
