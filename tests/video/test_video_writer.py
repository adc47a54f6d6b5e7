"""Writing videos: what is read back, and what stays when writing fails."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_clips import picture

from engine.errors import OutputError, UsageError, VideoError
from engine.video import VideoWriter, open_video
from engine.video.sinks import StreamSink
from engine.video.writer import as_rate

NTSC = Fraction(30000, 1001)


def write(path: Path, count: int = 12, fps: Fraction | float = NTSC, width: int = 64, height: int = 48) -> Path:
    with VideoWriter(path, fps, width, height) as writer:
        for index in range(count):
            writer.write(picture(index, width, height))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".MP4"])
def test_rate_frames_and_times_come_back(tmp_path: Path, suffix: str) -> None:
    reader = open_video(write(tmp_path / f"a{suffix}"))
    frames = list(reader)
    assert reader.info.fps == NTSC
    assert len(frames) == 12
    assert [frame.time for frame in frames] == pytest.approx([index / NTSC for index in range(12)], abs=0.001)
    for frame in frames:
        assert np.abs(frame.image.astype(int) - picture(frame.index)).mean() < 6
    assert [entry.name for entry in tmp_path.iterdir()] == [f"a{suffix}"]


def test_gif(tmp_path: Path) -> None:
    reader = open_video(write(tmp_path / "a.gif", fps=10, width=63, height=47))
    frames = list(reader)
    assert reader.info.fps == 10
    assert len(frames) == 12
    for frame in frames:
        assert np.abs(frame.image.astype(int) - picture(frame.index, 63, 47)).mean() < 6


@pytest.mark.parametrize(("width", "height"), [(63, 47), (64, 47), (1, 1)])
def test_odd_sizes_repeat_the_edge(tmp_path: Path, width: int, height: int) -> None:
    flat = np.full((height, width, 3), 90, np.uint8)
    with VideoWriter(tmp_path / "a.mp4", 25, width, height) as writer:
        writer.write(flat)
    image = next(iter(open_video(tmp_path / "a.mp4"))).image
    assert image.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(image.astype(int) - 90).max() <= 3


def test_folder_of_pngs_is_lossless(tmp_path: Path) -> None:
    folder = write(tmp_path / "frames", width=63, height=47)
    assert sorted(entry.name for entry in folder.iterdir())[:2] == ["00000.png", "00001.png"]
    assert all(np.array_equal(frame.image, picture(frame.index, 63, 47)) for frame in open_video(folder))


def test_folder_of_pngs_is_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path / "frames", 5)
    write(tmp_path / "frames", 2)
    assert open_video(tmp_path / "frames").count() == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("mine")
    with pytest.raises(OutputError, match=r"holds notes\.md, which is no frame"):
        VideoWriter(tmp_path, 25, 4, 4)
    with pytest.raises(OutputError, match="a file without suffix"):
        VideoWriter((tmp_path / "notes.md").rename(tmp_path / "notes"), 25, 4, 4)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webm", "frames"])
def test_an_exception_leaves_earlier_output(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, 3)
    before = contents(path)
    with pytest.raises(KeyError), VideoWriter(path, 25, 64, 48) as writer:
        writer.write(picture(0))
        raise KeyError
    assert contents(path) == before
    assert len(list(tmp_path.iterdir())) == 1


def test_no_frame_is_an_error_and_leaves_earlier_output(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 3)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="no frame was written"), VideoWriter(path, 25, 64, 48):
        pass
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "image", [np.zeros((48, 63, 3), np.uint8), np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3), np.float32)]
)
def test_frames_of_another_size_or_kind_are_refused(tmp_path: Path, image: np.ndarray) -> None:
    with (
        pytest.raises(VideoError, match=r"a\.mp4: frame 1 is .* not uint8 \(48, 64, 3\)"),
        VideoWriter(tmp_path / "a.mp4", 25, 64, 48) as writer,
    ):
        writer.write(picture(0))
        writer.write(image)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    reasons = {
        tmp_path / "no" / "a.mp4": "its folder does not exist: create",
        tmp_path / "no" / "frames": "its folder does not exist: create",
        tmp_path / "file" / "a.mp4": "a part of its path is a file",
        tmp_path / "a.xyz": "unknown video suffix: use one of .mp4",
    }
    for path, reason in reasons.items():
        with pytest.raises(OutputError, match=reason):
            write(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "frames"])
def test_a_write_that_fails_midway(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, 1)
    before = contents(path)
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    with (
        pytest.raises(OutputError, match=f"{name}: cannot be written, the file would be larger than the system"),
        files_at_most(4000),
        VideoWriter(path, 25, 64, 48) as writer,
    ):
        for index in range(60):
            writer.write(np.roll(noise, 7 * index, axis=index % 2))
    assert contents(path) == before
    assert len(list(tmp_path.iterdir())) == 1


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StreamSink, "finish", full)
    with pytest.raises(OutputError, match="no space left on the disk: free some space"):
        write(tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (NTSC, NTSC),
        (29.97, NTSC),
        (23.976, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (25, Fraction(25)),
        (30.0, Fraction(30)),
        (12.5, Fraction(25, 2)),
        (1e-9, Fraction(1, 1001)),
    ],
)
def test_rates(fps: Fraction | float, expected: Fraction) -> None:
    assert as_rate(fps) == expected


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1001, Fraction(-1, 2)])
def test_impossible_rates(fps: Fraction | float) -> None:
    with pytest.raises(UsageError, match="a frame rate of"):
        as_rate(fps)


def test_impossible_sizes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0x4 pixels"):
        VideoWriter(tmp_path / "a.mp4", 25, 0, 4)


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name: file.read_bytes() for file in files}


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes while this holds (Python turns the signal into EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
